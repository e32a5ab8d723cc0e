//! Asymmetric CMKs, and replies encrypted under the caller's public key.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Value, json};

use crate::support::{Client, Emulator, base64, unbase64};

fn create(client: &Client, usage: &str) -> Value {
    client.expect("CreateKey", json!({ "Alias": usage, "KeyUsage": usage }))["KeyId"].clone()
}

fn public_key(client: &Client, key: &Value) -> Vec<u8> {
    unbase64(&client.expect("GetPublicKey", json!({ "KeyId": key }))["PublicKey"])
}

fn public_key_pem(client: &Client, key: &Value) -> Value {
    client.expect("GetPublicKey", json!({ "KeyId": key }))["PublicKeyPem"].clone()
}

const SCHEMES: [(&str, &str); 5] = [
    ("ASYMMETRIC_SIGN_VERIFY_SM2", "SM2DSA"),
    ("ASYMMETRIC_SIGN_VERIFY_ECC", "ECC_P256_R1"),
    ("ASYMMETRIC_SIGN_VERIFY_ECDSA384", "ECC_P384_R1"),
    ("ASYMMETRIC_SIGN_VERIFY_RSA_2048", "RSA_PSS_SHA_256"),
    ("ASYMMETRIC_SIGN_VERIFY_RSA_2048", "RSA_PKCS1_SHA_256"),
];

#[test]
fn a_signature_is_valid_for_its_message_only() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let mut keys = std::collections::HashMap::new();
    for (usage, algorithm) in SCHEMES {
        let key = keys.entry(usage).or_insert_with(|| create(&client, usage)).clone();
        let digest = base64(vec![7; if usage.ends_with("384") { 48 } else { 32 }]);
        for (kind, message) in [("RAW", base64("message")), ("RAW", base64(vec![0; 4096])), ("DIGEST", digest)] {
            let mut body = json!({ "KeyId": key, "Algorithm": algorithm, "Message": message, "MessageType": kind });
            let signature = client.expect("SignByAsymmetricKey", body.clone())["Signature"].clone();
            body["SignatureValue"] = signature;
            let valid = |body: &Value| client.expect("VerifyByAsymmetricKey", body.clone())["SignatureValid"].clone();
            assert_eq!(valid(&body), true, "{algorithm} {kind}");
            body["Message"] = json!(base64([8; 48].split_at(unbase64(&body["Message"]).len().min(48)).0));
            assert_eq!(valid(&body), false, "{algorithm} {kind}");
        }
    }
}

/// By the service's documents, a wrong signature gets `false` and a malformed one an error.
#[test]
fn a_malformed_signature_is_an_error() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let mut keys = std::collections::HashMap::new();
    for (usage, algorithm) in SCHEMES {
        let key = keys.entry(usage).or_insert_with(|| create(&client, usage)).clone();
        let mut body = json!({ "KeyId": key, "Algorithm": algorithm, "Message": base64("m") });
        let signature = unbase64(&client.expect("SignByAsymmetricKey", body.clone())["Signature"]);
        let longer = [&signature[..], &[0]].concat();
        for malformed in [&[][..], &[1; 64], &[0x30; 72], &signature[..signature.len() - 1], &longer] {
            body["SignatureValue"] = json!(base64(malformed));
            let code = client.code("VerifyByAsymmetricKey", body.clone());
            assert_eq!(code, "InvalidParameterValue", "{algorithm}: {} bytes", malformed.len());
        }
        body["SignatureValue"] = json!("not base64!");
        assert_eq!(client.code("VerifyByAsymmetricKey", body.clone()), "InvalidParameterValue");
    }
}

#[test]
fn another_implementation_verifies_the_signatures() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let cases: [(_, _, &'static dyn VerificationAlgorithm); 2] = [
        ("ASYMMETRIC_SIGN_VERIFY_ECC", "ECC_P256_R1", &ECDSA_P256_SHA256_ASN1),
        ("ASYMMETRIC_SIGN_VERIFY_RSA_2048", "RSA_PSS_SHA_256", &RSA_PSS_2048_8192_SHA256),
    ];
    for (usage, algorithm, verification) in cases {
        let key = create(&client, usage);
        let public_key = UnparsedPublicKey::new(verification, public_key(&client, &key));
        let sign = |kind: &str, bytes: &[u8]| {
            let message = base64(bytes);
            let body = json!({ "KeyId": key, "Algorithm": algorithm, "Message": message, "MessageType": kind });
            unbase64(&client.expect("SignByAsymmetricKey", body)["Signature"])
        };
        public_key.verify(b"message", &sign("RAW", b"message")).unwrap();
        public_key.verify(b"message", &sign("DIGEST", digest(&SHA256, b"message").as_ref())).unwrap();
    }
}

#[test]
fn signing_refuses_an_unsuitable_key_algorithm_or_message() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = create(&client, "ASYMMETRIC_SIGN_VERIFY_ECC");
    let code = |key: &Value, algorithm: &str, length: usize, kind: &str| {
        let message = base64(vec![0; length]);
        let body = json!({ "KeyId": key, "Algorithm": algorithm, "Message": message, "MessageType": kind });
        client.code("SignByAsymmetricKey", body)
    };
    assert_eq!(code(&key, "SM2DSA", 1, "RAW"), "InvalidParameter");
    assert_eq!(code(&key, "ECC_P256_R1", 4097, "RAW"), "InvalidParameter");
    assert_eq!(code(&key, "ECC_P256_R1", 31, "DIGEST"), "InvalidParameter");
    assert_eq!(code(&key, "ECC_P256_R1", 1, "OTHER"), "InvalidParameter");
    let symmetric = json!(emulator.key_id());
    assert_eq!(code(&symmetric, "ECC_P256_R1", 1, "RAW"), "InvalidParameterValue.InvalidKeyUsage");
    client.expect("DisableKey", json!({ "KeyId": key }));
    assert_eq!(code(&key, "ECC_P256_R1", 1, "RAW"), "ResourceUnavailable.CmkStateNotSupport");
    let public = client.code("GetPublicKey", json!({ "KeyId": key }));
    assert_eq!(public, "ResourceUnavailable.CmkStateNotSupport");
}

#[test]
fn ciphertexts_of_another_rsa_implementation_decrypt() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = create(&client, "ASYMMETRIC_DECRYPT_RSA_2048");
    let public = PublicEncryptingKey::from_der(&public_key(&client, &key)).unwrap();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let mut ciphertext = vec![0; public.ciphertext_size()];
    public.encrypt(&OAEP_SHA256_MGF1SHA256, b"secret", &mut ciphertext, None).unwrap();
    let body = |algorithm: &str| json!({ "KeyId": key, "Ciphertext": base64(&ciphertext), "Algorithm": algorithm });
    let answer = client.expect("AsymmetricRsaDecrypt", body("RSAES_OAEP_SHA_256"));
    assert_eq!(unbase64(&answer["Plaintext"]), b"secret");
    assert_eq!(client.code("AsymmetricRsaDecrypt", body("RSAES_OAEP_SHA_1")), "FailedOperation.DecryptError");
    assert_eq!(client.code("AsymmetricRsaDecrypt", body("ROT13")), "InvalidParameter");
}

#[test]
fn data_keys_are_returned_encrypted_under_an_rsa_public_key() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let recipient = create(&client, "ASYMMETRIC_DECRYPT_RSA_2048");
    let pem = public_key_pem(&client, &recipient);
    for (algorithm, most) in [("RSAES_PKCS1_V1_5", 245), ("RSAES_OAEP_SHA_1", 214), ("RSAES_OAEP_SHA_256", 190)] {
        let body = |length: usize| {
            json!({
                "KeyId": emulator.key_id(),
                "NumberOfBytes": length,
                "EncryptionPublicKey": pem,
                "EncryptionAlgorithm": algorithm,
            })
        };
        let made = client.expect("GenerateDataKey", body(most));
        let opened = client.expect(
            "AsymmetricRsaDecrypt",
            json!({ "KeyId": recipient, "Ciphertext": made["Plaintext"], "Algorithm": algorithm }),
        );
        let direct = client.expect("Decrypt", json!({ "CiphertextBlob": made["CiphertextBlob"] }));
        assert_eq!(opened["Plaintext"], direct["Plaintext"]);
        assert_eq!(client.code("GenerateDataKey", body(most + 1)), "InvalidParameter");
    }
}

#[test]
fn plaintexts_are_returned_encrypted_under_an_sm2_public_key() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let recipient = create(&client, "ASYMMETRIC_DECRYPT_SM2");
    let pem = public_key_pem(&client, &recipient);
    let blob = client.expect("Encrypt", json!({ "KeyId": emulator.key_id(), "Plaintext": base64("secret") }));
    let decrypt = |algorithm: &str| {
        let blob = &blob["CiphertextBlob"];
        json!({ "CiphertextBlob": blob, "EncryptionPublicKey": pem, "EncryptionAlgorithm": algorithm })
    };
    let asn1 = client.expect("Decrypt", decrypt("SM2_C1C3C2_ASN1"));
    let opened = client.expect("AsymmetricSm2Decrypt", json!({ "KeyId": recipient, "Ciphertext": asn1["Plaintext"] }));
    assert_eq!(unbase64(&opened["Plaintext"]), b"secret");
    // C1 is an uncompressed point, C3 an SM3 hash; the empty algorithm means this raw form.
    for algorithm in ["", "SM2"] {
        let raw = unbase64(&client.expect("Decrypt", decrypt(algorithm))["Plaintext"]);
        assert_eq!((raw.len(), raw[0]), (65 + 32 + 6, 4));
    }
    assert_eq!(client.code("Decrypt", decrypt("RSAES_OAEP_SHA_1")), "InvalidParameter");
    assert_eq!(client.code("Decrypt", decrypt("ROT13")), "InvalidParameter");
}

#[test]
fn malformed_sm2_ciphertexts_are_refused() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = create(&client, "ASYMMETRIC_DECRYPT_SM2");
    let code = |length: usize| {
        client.code("AsymmetricSm2Decrypt", json!({ "KeyId": key, "Ciphertext": base64(vec![0; length]) }))
    };
    assert_eq!([code(257), code(100)], ["InvalidParameter", "FailedOperation.DecryptError"]);
}

#[test]
fn public_key_pem_contains_public_key() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = create(&client, "ASYMMETRIC_SIGN_VERIFY_ECDSA384");
    let answer = client.expect("GetPublicKey", json!({ "KeyId": key }));
    let pem = answer["PublicKeyPem"].as_str().unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    assert_eq!(json!(body), answer["PublicKey"]);
    assert!(pem.lines().all(|line| line.len() <= 64));
    let symmetric = client.code("GetPublicKey", json!({ "KeyId": emulator.key_id() }));
    assert_eq!(symmetric, "InvalidParameter");
}
