//! The questions, each with the answer of docs/kms-service.md.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, SHA384, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tckms::Status;
use tckms::sign::{KeyType, PublicKey, RsaPadding, SM2_DEFAULT_USER_ID, SignatureAlgorithm};

use crate::pss;
use crate::session::{Session, code_of};

/// The permission that a question needs.
pub enum Needs {
    Nothing,
    /// A symmetric CMK that may encrypt and decrypt.
    SymmetricKey,
    /// To make CMKs, and to schedule them for deletion.
    Changes,
    /// To send many requests at once.
    Burst,
}

/// One question.
pub struct Case {
    pub name: &'static str,
    pub expected: &'static str,
    /// The documentation marks the answer as a guess.
    pub is_guess: bool,
    pub needs: Needs,
    pub run: fn(&mut Session) -> Result<String, String>,
}

/// How far a timestamp may be off before a request is refused.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);
/// The lifetime of imported material in the question about its expiry.
const MATERIAL_LIFETIME: Duration = Duration::from_secs(3);
const UNKNOWN_KEY: &str = "11111111-1111-1111-8111-111111111111";
const SIGN_ECC: &str = "ASYMMETRIC_SIGN_VERIFY_ECC";
const SIGN_P384: &str = "ASYMMETRIC_SIGN_VERIFY_ECDSA384";
const SIGN_RSA: &str = "ASYMMETRIC_SIGN_VERIFY_RSA_2048";
const SIGN_SM2: &str = "ASYMMETRIC_SIGN_VERIFY_SM2";
const DECRYPT_RSA: &str = "ASYMMETRIC_DECRYPT_RSA_2048";
const SYMMETRIC: &str = "ENCRYPT_DECRYPT";

const fn documented(
    name: &'static str,
    expected: &'static str,
    needs: Needs,
    run: fn(&mut Session) -> Result<String, String>,
) -> Case {
    Case { name, expected, is_guess: false, needs, run }
}

const fn guess(
    name: &'static str,
    expected: &'static str,
    needs: Needs,
    run: fn(&mut Session) -> Result<String, String>,
) -> Case {
    Case { name, expected, is_guess: true, needs, run }
}

pub const ALL: &[Case] = &[
    documented(
        "Encrypt under a key that does not exist",
        "ResourceUnavailable.CmkNotFound",
        Needs::Nothing,
        |session| session.outcome("Encrypt", &json!({"KeyId": UNKNOWN_KEY, "Plaintext": BASE64.encode("x")})),
    ),
    documented("An action that does not exist", "InvalidAction", Needs::Nothing, |session| {
        session.outcome("EncryptEverything", &json!({}))
    }),
    documented("A field that does not exist", "UnknownParameter", Needs::Nothing, |session| {
        session.outcome("GetServiceStatus", &json!({"Verbose": true}))
    }),
    documented("Encrypt without a plaintext", "MissingParameter", Needs::Nothing, |session| {
        session.outcome("Encrypt", &json!({"KeyId": UNKNOWN_KEY}))
    }),
    documented("GenerateRandom of 16 bytes", "16 bytes", Needs::Nothing, |session| {
        let reply = session.expect("GenerateRandom", &json!({"NumberOfBytes": 16}))?;
        Ok(format!("{} bytes", decoded(&reply, "Plaintext")?.len()))
    }),
    documented("GenerateRandom of 0 bytes", "InvalidParameter", Needs::Nothing, |session| {
        session.outcome("GenerateRandom", &json!({"NumberOfBytes": 0}))
    }),
    documented("GenerateRandom of 1025 bytes", "InvalidParameter", Needs::Nothing, |session| {
        session.outcome("GenerateRandom", &json!({"NumberOfBytes": 1025}))
    }),
    documented("ListKeys with a page of 201", "InvalidParameter", Needs::Nothing, |session| {
        session.outcome("ListKeys", &json!({"Limit": 201}))
    }),
    guess("The Date of a reply is the time", "within 5 minutes", Needs::Nothing, |session| {
        session.expect("GetServiceStatus", &json!({}))?;
        Ok(distance_of(session.last_date()))
    }),
    guess("The Date of a refusal is the time", "within 5 minutes", Needs::Nothing, |session| {
        session.outcome("EncryptEverything", &json!({}))?;
        Ok(distance_of(session.last_date()))
    }),
    guess(
        "An unknown key and an unknown field: which is reported first",
        "UnknownParameter",
        Needs::Nothing,
        |session| session.outcome("DescribeKey", &json!({"KeyId": UNKNOWN_KEY, "Verbose": true})),
    ),
    guess("The algorithms for P-384 in ListAlgorithms", "ECC_P384_R1", Needs::Nothing, |session| {
        let reply = session.expect("ListAlgorithms", &json!({}))?;
        let algorithms = reply["AsymmetricSignVerifyAlgorithms"].as_array().cloned().unwrap_or_default();
        let p384 = algorithms.iter().filter(|entry| entry["KeyUsage"] == SIGN_P384);
        let names = p384.filter_map(|entry| entry["Algorithm"].as_str()).collect::<Vec<_>>().join(", ");
        Ok(if names.is_empty() { "none".to_owned() } else { names })
    }),
    guess("The names in ListAlgorithms", "signature algorithms", Needs::Nothing, |session| {
        let reply = session.expect("ListAlgorithms", &json!({}))?;
        let algorithms = reply["AsymmetricSignVerifyAlgorithms"].as_array().cloned().unwrap_or_default();
        let names = algorithms.iter().filter_map(|entry| entry["Algorithm"].as_str()).collect::<Vec<_>>();
        let known = ["SM2DSA", "ECC_P256_R1", "RSA_PSS_SHA_256", "RSA_PKCS1_SHA_256"];
        let is_known = names.iter().any(|name| known.contains(name));
        Ok(if is_known { "signature algorithms".to_owned() } else { names.join(", ") })
    }),
    documented("A ciphertext blob", "three base64 texts joined by -k-", Needs::SymmetricKey, |session| {
        let blob = encrypted(session, "x", None)?;
        let parts: Vec<_> = blob.split("-k-").collect();
        let is_base64 = parts.iter().all(|part| BASE64.decode(part).is_ok());
        Ok(match (parts.len(), is_base64) {
            (3, true) => "three base64 texts joined by -k-".to_owned(),
            (1, true) => "one base64 text".to_owned(),
            (count, _) => format!("{count} parts"),
        })
    }),
    documented("An empty plaintext", "InvalidParameterValue.InvalidPlaintext", Needs::SymmetricKey, |session| {
        let key_id = session.symmetric_key()?;
        session.outcome("Encrypt", &json!({"KeyId": key_id, "Plaintext": ""}))
    }),
    documented("A plaintext of 4096 bytes", "OK", Needs::SymmetricKey, |session| encrypt_len(session, 4096)),
    documented("A plaintext of 4097 bytes", "InvalidParameterValue.InvalidPlaintext", Needs::SymmetricKey, |session| {
        encrypt_len(session, 4097)
    }),
    guess(
        "A key that does not exist, and an empty plaintext: which is reported first",
        "InvalidParameterValue.InvalidPlaintext",
        Needs::Nothing,
        |session| session.outcome("Encrypt", &json!({"KeyId": UNKNOWN_KEY, "Plaintext": ""})),
    ),
    guess("A context with its pairs in another order", "refused", Needs::SymmetricKey, |session| {
        context_variant(session, r#"{"a":"1","b":"2"}"#, r#"{"b":"2","a":"1"}"#)
    }),
    guess("A context with a blank more", "refused", Needs::SymmetricKey, |session| {
        context_variant(session, r#"{"a":"1"}"#, r#"{"a": "1"}"#)
    }),
    documented("A context with another value", "refused", Needs::SymmetricKey, |session| {
        context_variant(session, r#"{"a":"1"}"#, r#"{"a":"2"}"#)
    }),
    guess("The KeyId of a reply to an alias", "InvalidParameterValue.InvalidKeyId", Needs::SymmetricKey, |session| {
        let key_id = session.symmetric_key()?;
        let key = session.expect("DescribeKey", &json!({"KeyId": key_id}))?;
        let alias = key["KeyMetadata"]["Alias"].as_str().unwrap_or_default().to_owned();
        Ok(match session.send("Encrypt", &json!({"KeyId": alias, "Plaintext": BASE64.encode("x")}))? {
            Err(code) => code,
            Ok(reply) if reply["KeyId"] == alias.as_str() => "the alias".to_owned(),
            Ok(reply) if reply["KeyId"] == key_id.as_str() => "the key's own id".to_owned(),
            Ok(_) => "another id".to_owned(),
        })
    }),
    documented("ECDSA signatures", "DER", Needs::Changes, |session| {
        let key_id = session.key(SIGN_ECC)?;
        let hash = digest(&SHA256, b"message");
        let reply = session.expect("SignByAsymmetricKey", &sign_digest(&key_id, "ECC_P256_R1", hash.as_ref()))?;
        let signature = decoded(&reply, "Signature")?;
        Ok(match signature.len() {
            64 => "r and s concatenated".to_owned(),
            _ if tckms::sign::raw_from_der(&signature, 64).is_ok() => "DER".to_owned(),
            len => format!("{len} bytes that are not DER"),
        })
    }),
    guess("SM2 signatures", "DER, of the digest with the default user id", Needs::Changes, |session| {
        let key_id = session.key(SIGN_SM2)?;
        let client = session.client();
        let key = client.public_key(&key_id).map_err(|error| error.to_string())?;
        let digest = key.digest(SignatureAlgorithm::Sm2Sm3, SM2_DEFAULT_USER_ID).map_err(|error| error.to_string())?;
        let digest = digest.finish();
        let reply = session.expect("SignByAsymmetricKey", &sign_digest(&key_id, "SM2DSA", digest.as_ref()))?;
        let signature = decoded(&reply, "Signature")?;
        let form = if signature.len() == 64 { "r and s concatenated" } else { "DER" };
        let verified = key.verify_digest(SignatureAlgorithm::Sm2Sm3, digest.as_ref(), &signature);
        Ok(format!(
            "{form}, {}",
            if verified.is_ok() { "of the digest with the default user id" } else { "of something else" }
        ))
    }),
    guess("The public key of a P-384 key", "P-384", Needs::Changes, |session| {
        let key_id = session.key(SIGN_P384)?;
        let key = session.client().public_key(&key_id).map_err(|error| error.to_string())?;
        Ok(if key.key_type() == KeyType::P384 { "P-384" } else { "another" }.to_owned())
    }),
    guess("RotateKey of an asymmetric key", "UnsupportedOperation.RotateNotSupported", Needs::Changes, |session| {
        let key_id = session.key(SIGN_ECC)?;
        session.outcome("RotateKey", &json!({"KeyId": key_id}))
    }),
    guess("EnableKey of an enabled key", "OK", Needs::Changes, |session| {
        let key_id = session.key(SYMMETRIC)?;
        session.outcome("EnableKey", &json!({"KeyId": key_id}))
    }),
    guess("DisableKey of a disabled key", "OK", Needs::Changes, |session| {
        let key_id = session.key(SYMMETRIC)?;
        while_disabled(session, &key_id, |session| session.outcome("DisableKey", &json!({"KeyId": key_id})))
    }),
    guess("ArchiveKey of a disabled key", "ResourceUnavailable.CmkStateNotSupport", Needs::Changes, |session| {
        let key_id = session.key(SYMMETRIC)?;
        while_disabled(session, &key_id, |session| session.outcome("ArchiveKey", &json!({"KeyId": key_id})))
    }),
    guess("The state of a key without material after CancelKeyDeletion", "PendingImport", Needs::Changes, |session| {
        let key_id = session.external_key()?;
        session.expect("ScheduleKeyDeletion", &json!({"KeyId": key_id, "PendingWindowInDays": 7}))?;
        session.expect("CancelKeyDeletion", &json!({"KeyId": key_id}))?;
        state_of(session, &key_id)
    }),
    guess("Encrypt with a key without material", "ResourceUnavailable.CmkStateNotSupport", Needs::Changes, |session| {
        let key_id = session.external_key()?;
        session.outcome("Encrypt", &json!({"KeyId": key_id, "Plaintext": BASE64.encode("x")}))
    }),
    guess("Imported material of 16 bytes", "InvalidParameter", Needs::Changes, |session| {
        let key_id = session.external_key()?;
        let imported = session.client().import_key_material(&key_id, &[0x5a; 16], None);
        imported.map_or_else(|error| code_of(&error), |()| Ok("OK".to_owned()))
    }),
    guess("Another key's import token", "InvalidParameter", Needs::Changes, |session| {
        let key_id = session.external_key()?;
        let request = json!({"KeyId": key_id, "EncryptedKeyMaterial": BASE64.encode([1; 256]), "ImportToken": "AAAA"});
        session.outcome("ImportKeyMaterial", &request)
    }),
    guess("An import token after another one was issued", "OK", Needs::Changes, |session| {
        let key_id = session.external_key()?;
        let first = import_parameters(session, &key_id)?;
        import_parameters(session, &key_id)?;
        import(session, &key_id, &first, 0)
    }),
    guess("DeleteImportedKeyMaterial of a disabled key", "OK", Needs::Changes, |session| {
        let key_id = session.external_key()?;
        let parameters = import_parameters(session, &key_id)?;
        import(session, &key_id, &parameters, 0)?;
        session.expect("DisableKey", &json!({"KeyId": key_id}))?;
        session.outcome("DeleteImportedKeyMaterial", &json!({"KeyId": key_id}))
    }),
    guess("The state of a key whose material has expired", "PendingImport", Needs::Changes, |session| {
        let key_id = session.external_key()?;
        let parameters = import_parameters(session, &key_id)?;
        let valid_to = SystemTime::now() + MATERIAL_LIFETIME;
        let seconds = valid_to.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        match import(session, &key_id, &parameters, seconds)?.as_str() {
            "OK" => {
                std::thread::sleep(2 * MATERIAL_LIFETIME);
                state_of(session, &key_id)
            }
            refusal => Ok(refusal.to_owned()),
        }
    }),
    guess(
        "RotateKey of a key with imported material",
        "UnsupportedOperation.RotateNotSupported",
        Needs::Changes,
        |session| {
            let key_id = session.external_key()?;
            let parameters = import_parameters(session, &key_id)?;
            import(session, &key_id, &parameters, 0)?;
            session.outcome("RotateKey", &json!({"KeyId": key_id}))
        },
    ),
    guess(
        "A data key whose name begins with -",
        "InvalidParameterValue.InvalidDataKeyName",
        Needs::Changes,
        |session| {
            let key_id = session.key(SYMMETRIC)?;
            session.outcome("GenerateDataKey", &hosted_data_key(&key_id, "-tckms-live-test"))
        },
    ),
    guess(
        "ScheduleDataKeyDeletion of an enabled data key",
        "ResourceUnavailable.DataKeyStateNotSupport",
        Needs::Changes,
        |session| {
            let data_key = session.data_key()?;
            session.outcome("ScheduleDataKeyDeletion", &json!({"DataKeyId": data_key, "PendingWindowInDays": 7}))
        },
    ),
    guess(
        "GetDataKeyPlaintext of a disabled data key",
        "ResourceUnavailable.DataKeyDisabled",
        Needs::Changes,
        |session| {
            let data_key = session.data_key()?;
            session.expect("DisableDataKey", &json!({"DataKeyId": data_key}))?;
            let refused = session.outcome("GetDataKeyPlaintext", &json!({"DataKeyId": data_key}));
            session.expect("EnableDataKey", &json!({"DataKeyId": data_key}))?;
            refused
        },
    ),
    guess(
        "An imported data key of 1025 bytes",
        "InvalidParameterValue.InvalidImportKeyMaterial",
        Needs::Changes,
        |session| {
            let key_id = session.key(SYMMETRIC)?;
            let request = json!({"DataKeyName": "tckms-live-test-import", "ImportKeyMaterial": BASE64.encode([1; 1025]),
            "ImportType": 2, "KeyId": key_id});
            session.outcome("ImportDataKey", &request)
        },
    ),
    guess("CreateKey with the usage POST_QUANTUM_SIGN_VERIFY", "OK", Needs::Changes, |session| {
        session.key_outcome("POST_QUANTUM_SIGN_VERIFY")
    }),
    documented("A digest of 31 bytes", "InvalidParameter", Needs::Changes, |session| {
        let key_id = session.key(SIGN_ECC)?;
        session.outcome("SignByAsymmetricKey", &sign_digest(&key_id, "ECC_P256_R1", &[1; 31]))
    }),
    documented("PublicKeyPem is the PEM of PublicKey", "yes", Needs::Changes, |session| {
        let key_id = session.key(SIGN_ECC)?;
        let reply = session.expect("GetPublicKey", &json!({"KeyId": key_id}))?;
        let pem = reply["PublicKeyPem"].as_str().unwrap_or_default();
        let key = PublicKey::from_spki(&decoded(&reply, "PublicKey")?).map_err(|error| error.to_string())?;
        let without_line_ends = |text: &str| text.split_whitespace().collect::<String>();
        Ok(if without_line_ends(pem) == without_line_ends(&key.pem()) { "yes" } else { "no" }.to_owned())
    }),
    guess("The salt of a PSS signature", "32 bytes", Needs::Changes, |session| {
        let key_id = session.key(SIGN_RSA)?;
        let key = session.client().public_key(&key_id).map_err(|error| error.to_string())?;
        let hash = digest(&SHA256, b"message");
        let reply = session.expect("SignByAsymmetricKey", &sign_digest(&key_id, "RSA_PSS_SHA_256", hash.as_ref()))?;
        let salt = pss::salt_len(key.spki(), hash.as_ref(), &decoded(&reply, "Signature")?);
        Ok(salt.map_or_else(|| "no PSS signature with SHA-256 and MGF1".to_owned(), |len| format!("{len} bytes")))
    }),
    documented("PKCS#1 v1.5 signs the bare digest", "yes", Needs::Changes, |session| {
        let key_id = session.key(SIGN_RSA)?;
        let signed = session.client().sign(&key_id, Some(SignatureAlgorithm::RsaPkcs1Sha256), b"message");
        yes_unless(signed, Status::SignatureInvalid)
    }),
    guess("P-384 under the name ECC_P384_R1, a digest of 48 bytes", "OK", Needs::Changes, |session| {
        let key_id = session.key(SIGN_P384)?;
        let hash = digest(&SHA384, b"message");
        session.outcome("SignByAsymmetricKey", &sign_digest(&key_id, "ECC_P384_R1", hash.as_ref()))
    }),
    guess("P-384 under the name ECC_P384_R1, a digest of 32 bytes", "InvalidParameter", Needs::Changes, |session| {
        let key_id = session.key(SIGN_P384)?;
        session.outcome("SignByAsymmetricKey", &sign_digest(&key_id, "ECC_P384_R1", &[1; 32]))
    }),
    guess("P-384 under the name ECC_P384_R1, a message", "OK", Needs::Changes, |session| {
        let key_id = session.key(SIGN_P384)?;
        let request = json!({"KeyId": key_id, "Algorithm": "ECC_P384_R1", "Message": BASE64.encode("message")});
        session.outcome("SignByAsymmetricKey", &request)
    }),
    guess("A signature by a key that decrypts", "InvalidParameterValue.InvalidKeyUsage", Needs::Changes, |session| {
        let key_id = session.key(DECRYPT_RSA)?;
        session.outcome("SignByAsymmetricKey", &sign_digest(&key_id, "RSA_PSS_SHA_256", &[1; 32]))
    }),
    documented("Verification of a signature of another message", "false", Needs::Changes, |session| {
        let key_id = session.key(SIGN_ECC)?;
        let reply = session.expect("SignByAsymmetricKey", &sign_digest(&key_id, "ECC_P256_R1", &[1; 32]))?;
        verification(session, &sign_digest(&key_id, "ECC_P256_R1", &[2; 32]), &reply["Signature"])
    }),
    guess("Verification of a signature that is not DER", "InvalidParameterValue", Needs::Changes, |session| {
        let key_id = session.key(SIGN_ECC)?;
        verification(session, &sign_digest(&key_id, "ECC_P256_R1", &[1; 32]), &BASE64.encode([1; 64]).into())
    }),
    guess("Verification of an RSA signature of 255 bytes", "InvalidParameterValue", Needs::Changes, |session| {
        let key_id = session.key(SIGN_RSA)?;
        verification(session, &sign_digest(&key_id, "RSA_PSS_SHA_256", &[1; 32]), &BASE64.encode([1; 255]).into())
    }),
    guess("OAEP with SHA-256 has an empty label and MGF1 with SHA-256", "yes", Needs::Changes, |session| {
        let key_id = session.key(DECRYPT_RSA)?;
        let client = session.client();
        let ciphertext =
            client.rsa_encrypt(&key_id, RsaPadding::OaepSha256, b"x").map_err(|error| error.to_string())?;
        yes_unless(client.rsa_decrypt(&key_id, RsaPadding::OaepSha256, &ciphertext), Status::DecryptionFailed)
    }),
    documented("A ciphertext of RSA with a flipped bit", "FailedOperation.DecryptError", Needs::Changes, |session| {
        let key_id = session.key(DECRYPT_RSA)?;
        let ciphertext = session.client().rsa_encrypt(&key_id, RsaPadding::OaepSha256, b"x");
        let mut ciphertext = ciphertext.map_err(|error| error.to_string())?;
        ciphertext[100] ^= 1;
        let request =
            json!({"KeyId": key_id, "Ciphertext": BASE64.encode(ciphertext), "Algorithm": "RSAES_OAEP_SHA_256"});
        session.outcome("AsymmetricRsaDecrypt", &request)
    }),
    documented("An alias that exists", "InvalidParameterValue.AliasAlreadyExists", Needs::Changes, |session| {
        session.key(SYMMETRIC)?;
        let alias = session.alias(SYMMETRIC);
        session.outcome("CreateKey", &json!({"Alias": alias}))
    }),
    documented("An alias that begins with kms-", "InvalidParameterValue.InvalidAlias", Needs::Changes, |session| {
        session.outcome("CreateKey", &json!({"Alias": "kms-tckms-live-test"}))
    }),
    documented(
        "Scheduling the deletion of an enabled key",
        "ResourceUnavailable.CmkShouldBeDisabled",
        Needs::Changes,
        |session| {
            let key_id = session.key(SYMMETRIC)?;
            session.outcome("ScheduleKeyDeletion", &json!({"KeyId": key_id, "PendingWindowInDays": 7}))
        },
    ),
    documented("A disabled key", "encrypts: ResourceUnavailable.CmkDisabled", Needs::Changes, |session| {
        let key_id = session.key(SYMMETRIC)?;
        session.expect("DisableKey", &json!({"KeyId": key_id}))?;
        let refused = session.outcome("Encrypt", &json!({"KeyId": key_id, "Plaintext": BASE64.encode("x")}));
        session.expect("EnableKey", &json!({"KeyId": key_id}))?;
        Ok(format!("encrypts: {}", refused?))
    }),
    documented(
        "The public key of a disabled key",
        "ResourceUnavailable.CmkStateNotSupport",
        Needs::Changes,
        |session| {
            let key_id = session.key(SIGN_ECC)?;
            session.expect("DisableKey", &json!({"KeyId": key_id}))?;
            let refused = session.outcome("GetPublicKey", &json!({"KeyId": key_id}));
            session.expect("EnableKey", &json!({"KeyId": key_id}))?;
            refused
        },
    ),
    guess("Encrypt with a key that is to be deleted", "ResourceUnavailable.CmkDisabled", Needs::Changes, |session| {
        let key_id = session.key(SYMMETRIC)?;
        session.expect("DisableKey", &json!({"KeyId": key_id}))?;
        session.expect("ScheduleKeyDeletion", &json!({"KeyId": key_id, "PendingWindowInDays": 7}))?;
        let refused = session.outcome("Encrypt", &json!({"KeyId": key_id, "Plaintext": BASE64.encode("x")}));
        session.expect("CancelKeyDeletion", &json!({"KeyId": key_id}))?;
        session.expect("EnableKey", &json!({"KeyId": key_id}))?;
        refused
    }),
    guess("The state after CancelKeyDeletion", "Disabled", Needs::Changes, |session| {
        let key_id = session.key(SIGN_SM2)?;
        session.expect("DisableKey", &json!({"KeyId": key_id}))?;
        session.expect("ScheduleKeyDeletion", &json!({"KeyId": key_id, "PendingWindowInDays": 7}))?;
        session.expect("CancelKeyDeletion", &json!({"KeyId": key_id}))?;
        let key = session.expect("DescribeKey", &json!({"KeyId": key_id}))?;
        Ok(key["KeyMetadata"]["KeyState"].as_str().unwrap_or("none").to_owned())
    }),
    documented("An alias of another key's", "InvalidParameterValue.AliasAlreadyExists", Needs::Changes, |session| {
        let key_id = session.key(SIGN_ECC)?;
        session.key(SYMMETRIC)?;
        let alias = session.alias(SYMMETRIC);
        session.outcome("UpdateAlias", &json!({"KeyId": key_id, "Alias": alias}))
    }),
    guess("RotateKey a second time on one day", "RequestLimitExceeded.RotateRateLimited", Needs::Changes, |session| {
        let key_id = session.key(SYMMETRIC)?;
        session.expect("RotateKey", &json!({"KeyId": key_id}))?;
        session.outcome("RotateKey", &json!({"KeyId": key_id}))
    }),
    guess("Many requests at once", "RequestLimitExceeded, HTTP status 200", Needs::Burst, Session::burst),
];

/// "no" for the status that means it; another failure is none of the answers.
fn yes_unless<T>(result: tckms::Result<T>, no: Status) -> Result<String, String> {
    match result {
        Ok(_) => Ok("yes".to_owned()),
        Err(error) if error.status() == no => Ok("no".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn sign_digest(key_id: &str, algorithm: &str, digest: &[u8]) -> Value {
    json!({"KeyId": key_id, "Algorithm": algorithm, "Message": BASE64.encode(digest), "MessageType": "DIGEST"})
}

/// "true", "false", or the code of the refusal.
fn verification(session: &mut Session, signed: &Value, signature: &Value) -> Result<String, String> {
    let mut request = signed.clone();
    request["SignatureValue"] = signature.clone();
    Ok(session
        .send("VerifyByAsymmetricKey", &request)?
        .map_or_else(|code| code, |reply| reply["SignatureValid"].to_string()))
}

/// The difference between a time and now.
fn distance_of(date: Option<SystemTime>) -> String {
    let Some(date) = date else { return "there is no Date".to_owned() };
    let now = SystemTime::now();
    let difference = now.duration_since(date).or_else(|_| date.duration_since(now)).unwrap_or_default();
    if difference <= CLOCK_TOLERANCE {
        "within 5 minutes".to_owned()
    } else {
        format!("{} s off", difference.as_secs())
    }
}

fn while_disabled<T>(
    session: &mut Session,
    key_id: &str,
    run: impl FnOnce(&mut Session) -> Result<T, String>,
) -> Result<T, String> {
    session.expect("DisableKey", &json!({"KeyId": key_id}))?;
    let outcome = run(session);
    session.expect("EnableKey", &json!({"KeyId": key_id}))?;
    outcome
}

fn state_of(session: &mut Session, key_id: &str) -> Result<String, String> {
    let key = session.expect("DescribeKey", &json!({"KeyId": key_id}))?;
    Ok(key["KeyMetadata"]["KeyState"].as_str().unwrap_or("none").to_owned())
}

fn import_parameters(session: &mut Session, key_id: &str) -> Result<Value, String> {
    let request = json!({"KeyId": key_id, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
    session.expect("GetParametersForImport", &request)
}

/// "OK", or the code of the refusal. The material is the same each time, as the service requires.
fn import(session: &mut Session, key_id: &str, parameters: &Value, valid_to: u64) -> Result<String, String> {
    let key = PublicKey::from_spki(&decoded(parameters, "PublicKey")?).map_err(|error| error.to_string())?;
    let material = key.rsa_encrypt(RsaPadding::OaepSha256, &[0x5a; 32]).map_err(|error| error.to_string())?;
    let request = json!({"KeyId": key_id, "ImportToken": parameters["ImportToken"], "ValidTo": valid_to,
        "EncryptedKeyMaterial": BASE64.encode(material)});
    session.outcome("ImportKeyMaterial", &request)
}

fn hosted_data_key(key_id: &str, name: &str) -> Value {
    json!({"KeyId": key_id, "NumberOfBytes": 32, "IsHostedByKms": 1, "DataKeyName": name})
}

fn decoded(reply: &Value, field: &str) -> Result<Vec<u8>, String> {
    let text = reply[field].as_str().ok_or_else(|| format!("the reply has no {field}"))?;
    BASE64.decode(text).map_err(|_| format!("{field} is not base64"))
}

fn encrypted(session: &mut Session, plaintext: &str, context: Option<&str>) -> Result<String, String> {
    let key_id = session.symmetric_key()?;
    let mut request = json!({"KeyId": key_id, "Plaintext": BASE64.encode(plaintext)});
    if let Some(context) = context {
        request["EncryptionContext"] = context.into();
    }
    let reply = session.expect("Encrypt", &request)?;
    reply["CiphertextBlob"].as_str().map(str::to_owned).ok_or_else(|| "the reply has no CiphertextBlob".to_owned())
}

fn encrypt_len(session: &mut Session, len: usize) -> Result<String, String> {
    let key_id = session.symmetric_key()?;
    session.outcome("Encrypt", &json!({"KeyId": key_id, "Plaintext": BASE64.encode(vec![b'x'; len])}))
}

/// Whether a ciphertext can be decrypted with another context.
fn context_variant(session: &mut Session, context: &str, other: &str) -> Result<String, String> {
    let blob = encrypted(session, "x", Some(context))?;
    let request = json!({"CiphertextBlob": blob, "EncryptionContext": other});
    Ok(session.send("Decrypt", &request)?.map_or("refused", |_| "accepted").to_owned())
}
