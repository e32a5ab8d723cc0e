//! Behaviour of the service that is not known, or differs between deployments: switches, and faults of signatures and
//! public keys.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED,
    RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Value, json};

use crate::support::{Client, Emulator, base64, unbase64};

const P256: &str = "ASYMMETRIC_SIGN_VERIFY_ECC";
const P384: &str = "ASYMMETRIC_SIGN_VERIFY_ECDSA384";
const RSA: &str = "ASYMMETRIC_SIGN_VERIFY_RSA_2048";
const SM2: &str = "ASYMMETRIC_SIGN_VERIFY_SM2";

/// A signing key with its public part.
struct Key {
    id: Value,
    public: Vec<u8>,
}

impl Key {
    fn create(client: &Client, usage: &str) -> Self {
        let id = client.expect("CreateKey", json!({ "Alias": usage, "KeyUsage": usage }))["KeyId"].clone();
        let public = unbase64(&client.expect("GetPublicKey", json!({ "KeyId": id }))["PublicKey"]);
        Self { id, public }
    }

    fn sign(&self, client: &Client, algorithm: &str) -> Vec<u8> {
        let body = json!({ "KeyId": self.id, "Algorithm": algorithm, "Message": base64("message") });
        unbase64(&client.expect("SignByAsymmetricKey", body)["Signature"])
    }

    fn is_valid(&self, signature: &[u8], algorithm: &'static dyn VerificationAlgorithm) -> bool {
        UnparsedPublicKey::new(algorithm, &self.public).verify(b"message", signature).is_ok()
    }
}

#[test]
fn faults_make_elliptic_signatures_raw_or_of_another_key() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let cases: [(_, _, _, &'static dyn VerificationAlgorithm, &'static dyn VerificationAlgorithm); 2] = [
        (P256, "ECC_P256_R1", 64, &ECDSA_P256_SHA256_ASN1, &ECDSA_P256_SHA256_FIXED),
        (P384, "ECC_P384_R1", 96, &ECDSA_P384_SHA384_ASN1, &ECDSA_P384_SHA384_FIXED),
    ];
    for (usage, algorithm, raw_len, der, fixed) in cases {
        let key = Key::create(&client, usage);
        assert!(key.is_valid(&key.sign(&client, algorithm), der));
        emulator.set_fault(json!({ "kind": "signature", "flaw": "raw" }));
        let raw = key.sign(&client, algorithm);
        assert!(raw.len() == raw_len && key.is_valid(&raw, fixed), "{algorithm}");
        emulator.set_fault(json!({ "kind": "signature", "flaw": "other_key" }));
        let other = key.sign(&client, algorithm);
        assert!(other[0] == 0x30 && !key.is_valid(&other, der), "{algorithm}");
        assert!(key.is_valid(&key.sign(&client, algorithm), der), "the fault applies once");
    }
    let key = Key::create(&client, SM2);
    emulator.set_fault(json!({ "kind": "signature", "flaw": "raw" }));
    assert_eq!(key.sign(&client, "SM2DSA").len(), 64);
}

#[test]
fn faults_make_rsa_signatures_of_another_salt_or_key() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = Key::create(&client, RSA);
    assert!(key.is_valid(&key.sign(&client, "RSA_PSS_SHA_256"), &RSA_PSS_2048_8192_SHA256));
    for flaw in ["pss_no_salt", "pss_longest_salt", "other_key"] {
        emulator.set_fault(json!({ "kind": "signature", "flaw": flaw }));
        let signature = key.sign(&client, "RSA_PSS_SHA_256");
        assert_eq!(signature.len(), 256);
        assert!(!key.is_valid(&signature, &RSA_PSS_2048_8192_SHA256), "{flaw}");
    }
    emulator.set_fault(json!({ "kind": "signature", "flaw": "pss_no_salt" }));
    let first = key.sign(&client, "RSA_PSS_SHA_256");
    emulator.set_fault(json!({ "kind": "signature", "flaw": "pss_no_salt" }));
    assert_eq!(key.sign(&client, "RSA_PSS_SHA_256"), first, "without a salt the signature is always the same");
}

/// OpenSSL verifies signatures with a salt of any length, so it can check that these signatures are otherwise valid.
#[test]
fn openssl_verifies_the_signatures_with_their_salt_lengths() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = Key::create(&client, RSA);
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("public.der"), &key.public).unwrap();
    std::fs::write(path("message"), "message").unwrap();
    for (flaw, salt_len) in [("pss_no_salt", "0"), ("pss_longest_salt", "222")] {
        emulator.set_fault(json!({ "kind": "signature", "flaw": flaw }));
        std::fs::write(path("signature"), key.sign(&client, "RSA_PSS_SHA_256")).unwrap();
        let verified = std::process::Command::new("openssl")
            .args(["dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt"])
            .arg(format!("rsa_pss_saltlen:{salt_len}"))
            .args(["-keyform", "DER", "-verify", "public.der", "-signature", "signature", "message"])
            .current_dir(directory.path())
            .output()
            .expect("openssl runs");
        assert!(verified.status.success(), "{flaw}: {verified:?}");
    }
}

#[test]
fn faults_change_public_key_pem_only() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = Key::create(&client, P256);
    let get = || client.expect("GetPublicKey", json!({ "KeyId": key.id }));
    let text = |answer: &Value| answer["PublicKeyPem"].as_str().unwrap().to_owned();
    let good = text(&get());
    emulator.set_fault(json!({ "kind": "public_key_pem", "flaw": "escaped_line_ends" }));
    let escaped = get();
    assert_eq!(text(&escaped), good.replace('\n', "\\n"));
    emulator.set_fault(json!({ "kind": "public_key_pem", "flaw": "double_base64" }));
    let doubled = get();
    let body = text(&doubled).lines().nth(1).unwrap().to_owned();
    let inner = String::from_utf8(unbase64(&json!(body))).unwrap();
    for answer in [escaped, doubled] {
        assert_eq!(answer["PublicKey"], base64(&key.public));
    }
    assert_eq!(inner, base64(&key.public));
    assert_eq!(text(&get()), good);
}

#[test]
fn with_strict_digests_a_digest_has_32_bytes() {
    let emulator = Emulator::start(&["--behaviour", "strict-digests"]);
    let client = emulator.client();
    let key = Key::create(&client, P384);
    let sign = |length: usize| {
        let message = base64(vec![9; length]);
        json!({ "KeyId": key.id, "Algorithm": "ECC_P384_R1", "Message": message, "MessageType": "DIGEST" })
    };
    assert_eq!(client.code("SignByAsymmetricKey", sign(48)), "InvalidParameter");
    let mut body = sign(32);
    body["SignatureValue"] = client.expect("SignByAsymmetricKey", body.clone())["Signature"].clone();
    assert_eq!(client.expect("VerifyByAsymmetricKey", body.clone())["SignatureValid"], true);
    assert!(key.is_valid(&key.sign(&client, "ECC_P384_R1"), &ECDSA_P384_SHA384_ASN1), "the switch does not change RAW");

    assert_eq!(emulator.admin("PUT", "behaviour", json!({ "strict_digests": false })).0, 200);
    assert_eq!(client.code("SignByAsymmetricKey", sign(48)), "OK");
    assert_eq!(client.code("SignByAsymmetricKey", sign(32)), "InvalidParameter");
}

#[test]
fn list_algorithms_can_name_key_types() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let signing = || client.expect("ListAlgorithms", json!({}))["AsymmetricSignVerifyAlgorithms"].clone();
    assert!(signing().to_string().contains("SM2DSA"));
    let (status, switches) = emulator.admin("PUT", "behaviour", json!({ "list_key_types": true }));
    assert_eq!((status, &switches["list_key_types"], &switches["strict_digests"]), (200, &json!(true), &json!(false)));
    assert!(signing().as_array().unwrap().contains(&json!({ "KeyUsage": SM2, "Algorithm": "SM2" })));
    assert!(!signing().to_string().contains("SM2DSA"));
    assert_eq!(emulator.admin("PUT", "behaviour", json!({ "other": true })).0, 400);
    assert_eq!(emulator.admin("GET", "behaviour", Value::Null), (200, switches));
}

#[test]
fn private_deployments_have_two_more_names_for_sm2() {
    let emulator = Emulator::start(&["--behaviour", "private-cloud"]);
    let client = emulator.client();
    let key = Key::create(&client, SM2);
    let raw = key.sign(&client, "SM2DSA_RAW");
    assert_eq!((raw.len(), key.sign(&client, "SM2DSA_ASN1")[0]), (64, 0x30));
    let body = |algorithm: &str| {
        json!({
            "KeyId": key.id, "Algorithm": algorithm, "Message": base64("message"), "SignatureValue": base64(&raw),
        })
    };
    assert_eq!(client.expect("VerifyByAsymmetricKey", body("SM2DSA_RAW"))["SignatureValid"], true);
    assert_eq!(client.code("VerifyByAsymmetricKey", body("SM2DSA_ASN1")), "InvalidParameterValue");
    assert_eq!(emulator.admin("PUT", "behaviour", json!({})).0, 200);
    let body = json!({ "KeyId": key.id, "Algorithm": "SM2DSA_RAW", "Message": "eA==" });
    assert_eq!(client.code("SignByAsymmetricKey", body), "InvalidParameter");
}
