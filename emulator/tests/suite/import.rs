//! RotateKey, imported key material, and bindings to cloud products.

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey, PublicEncryptingKey,
};
use serde_json::{Value, json};

use crate::support::{Client, Emulator, base64, unbase64, unix_now};

const OAEP: &str = "RSAES_OAEP_SHA_256";
const DAY: i64 = 86_400;

fn external_key(client: &Client, alias: &str) -> Value {
    client.expect("CreateKey", json!({ "Alias": alias, "Type": 2 }))["KeyId"].clone()
}

fn state(client: &Client, key: &Value) -> Value {
    client.expect("DescribeKey", json!({ "KeyId": key }))["KeyMetadata"]["KeyState"].clone()
}

/// The token of an import, and the material wrapped for it.
struct Wrapped {
    token: Value,
    material: String,
}

fn wrap(client: &Client, key: &Value, algorithm: &str, material: &[u8]) -> Wrapped {
    let body = json!({ "KeyId": key, "WrappingAlgorithm": algorithm, "WrappingKeySpec": "RSA_2048" });
    let answer = client.expect("GetParametersForImport", body);
    assert_eq!(answer["KeyId"], *key);
    let public = PublicEncryptingKey::from_der(&unbase64(&answer["PublicKey"])).unwrap();
    assert_eq!(public.key_size_bits(), 2048);
    let mut ciphertext = vec![0; 256];
    match algorithm {
        "RSAES_PKCS1_V1_5" => {
            Pkcs1PublicEncryptingKey::new(public).unwrap().encrypt(material, &mut ciphertext).unwrap();
        }
        _ => {
            let oaep = if algorithm == OAEP { &OAEP_SHA256_MGF1SHA256 } else { &OAEP_SHA1_MGF1SHA1 };
            let public = OaepPublicEncryptingKey::new(public).unwrap();
            public.encrypt(oaep, material, &mut ciphertext, None).unwrap();
        }
    }
    Wrapped { token: answer["ImportToken"].clone(), material: base64(ciphertext) }
}

fn body(key: &Value, wrapped: &Wrapped) -> Value {
    json!({ "KeyId": key, "ImportToken": wrapped.token, "EncryptedKeyMaterial": wrapped.material })
}

fn import(client: &Client, key: &Value, material: &[u8], valid_to: i64) -> String {
    let mut body = body(key, &wrap(client, key, OAEP, material));
    if valid_to != 0 {
        body["ValidTo"] = json!(valid_to);
    }
    client.code("ImportKeyMaterial", body)
}

fn encrypt(client: &Client, key: &Value) -> Result<Value, String> {
    Ok(client.invoke("Encrypt", json!({ "KeyId": key, "Plaintext": "eA==" }))?["CiphertextBlob"].clone())
}

fn decrypt(client: &Client, blob: &Value) -> String {
    client.code("Decrypt", json!({ "CiphertextBlob": blob }))
}

#[test]
fn material_is_imported_deleted_and_imported_again() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    for (alias, algorithm) in [("a", "RSAES_PKCS1_V1_5"), ("b", "RSAES_OAEP_SHA_1"), ("c", OAEP)] {
        let key = external_key(&client, alias);
        assert_eq!(state(&client, &key), "PendingImport");
        assert_eq!(encrypt(&client, &key).unwrap_err(), "ResourceUnavailable.CmkStateNotSupport");
        client.expect("ImportKeyMaterial", body(&key, &wrap(&client, &key, algorithm, &[7; 32])));
        assert_eq!(state(&client, &key), "Enabled");
        let blob = encrypt(&client, &key).unwrap();

        client.expect("DeleteImportedKeyMaterial", json!({ "KeyId": key }));
        assert_eq!(state(&client, &key), "PendingImport");
        assert_eq!(decrypt(&client, &blob), "ResourceUnavailable.CmkStateNotSupport");
        let again = client.code("DeleteImportedKeyMaterial", json!({ "KeyId": key }));
        assert_eq!(again, "ResourceUnavailable.CmkStateNotSupport");
        assert_eq!(import(&client, &key, &[8; 32], 0), "InvalidParameterValue.MaterialNotMatch");
        assert_eq!(import(&client, &key, &[7; 32], 0), "OK");
        assert_eq!(decrypt(&client, &blob), "OK");
    }
}

#[test]
fn an_invalid_import_is_refused_and_changes_nothing() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let (key, other) = (external_key(&client, "key"), external_key(&client, "other"));
    let good = wrap(&client, &key, OAEP, &[1; 32]);
    let with = |name: &str, value: Value| {
        let mut body = body(&key, &good);
        body[name] = value;
        client.code("ImportKeyMaterial", body)
    };
    assert_eq!(with("ImportToken", wrap(&client, &other, OAEP, &[1; 32]).token), "InvalidParameter");
    assert_eq!(with("ImportToken", json!(base64([5; 300]))), "InvalidParameter");
    assert_eq!(with("ImportToken", json!("no base64")), "InvalidParameter");
    assert_eq!(with("KeyId", other.clone()), "InvalidParameter");
    assert_eq!(with("KeyId", json!(emulator.key_id())), "UnsupportedOperation.NotExternalCmk");
    assert_eq!(with("EncryptedKeyMaterial", json!(base64([5; 256]))), "InvalidParameter.DecryptMaterialError");
    assert_eq!(with("EncryptedKeyMaterial", json!(base64([5; 3]))), "InvalidParameter.DecryptMaterialError");
    // Wrapped with another padding than the one in the token.
    let pkcs1 = wrap(&client, &key, "RSAES_PKCS1_V1_5", &[1; 32]);
    assert_eq!(with("EncryptedKeyMaterial", json!(pkcs1.material)), "InvalidParameter.DecryptMaterialError");
    for valid_to in [unix_now() - 1, 1, 2_147_443_201] {
        assert_eq!(with("ValidTo", json!(valid_to)), "InvalidParameter", "{valid_to}");
    }
    for length in [0, 16, 31, 33] {
        assert_eq!(import(&client, &key, &vec![1; length], 0), "InvalidParameter", "{length} bytes");
    }
    assert_eq!(state(&client, &key), "PendingImport");
    let parameters = |key: &Value, algorithm: &str, spec: &str| {
        let body = json!({ "KeyId": key, "WrappingAlgorithm": algorithm, "WrappingKeySpec": spec });
        client.code("GetParametersForImport", body)
    };
    assert_eq!(parameters(&key, "ROT13", "RSA_2048"), "InvalidParameter");
    assert_eq!(parameters(&key, OAEP, "RSA_4096"), "InvalidParameter");
    assert_eq!(parameters(&json!(emulator.key_id()), OAEP, "RSA_2048"), "UnsupportedOperation.NotExternalCmk");
    assert_eq!(with("ValidTo", json!(0)), "OK");
    client.expect("DisableKey", json!({ "KeyId": key }));
    assert_eq!(with("ValidTo", json!(0)), "ResourceUnavailable.CmkStateNotSupport");
}

/// Shifts the emulator's clock, and returns a client whose clock has the same shift.
fn move_clock(emulator: &Emulator, seconds: i64) -> impl Fn(&str, Value) -> Result<Value, String> {
    emulator.set_faults(json!([{ "fault": { "kind": "clock_shift", "seconds": seconds } }]));
    let client = emulator.client();
    move |action, body| {
        let mut call = client.call(action, &body);
        call.set_time(unix_now() + seconds);
        call.outcome()
    }
}

#[test]
fn tokens_and_material_expire() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = external_key(&client, "key");
    let wrapped = wrap(&client, &key, OAEP, &[7; 32]);
    let late = move_clock(&emulator, DAY + 10);
    assert_eq!(late("ImportKeyMaterial", body(&key, &wrapped)).unwrap_err(), "ResourceUnavailable.TokenExpired");
    emulator.set_faults(json!([]));
    let valid_to = unix_now() + 100;
    assert_eq!(import(&client, &key, &[7; 32], valid_to), "OK");
    let described = client.expect("DescribeKey", json!({ "KeyId": key }))["KeyMetadata"].clone();
    assert_eq!((&described["ValidTo"], &described["Origin"]), (&json!(valid_to), &json!("EXTERNAL")));
    let blob = encrypt(&client, &key).unwrap();

    let later = move_clock(&emulator, 200);
    let described = later("DescribeKey", json!({ "KeyId": key })).unwrap()["KeyMetadata"].clone();
    assert_eq!((&described["KeyState"], &described["ValidTo"]), (&json!("PendingImport"), &json!(0)));
    let code = later("Decrypt", json!({ "CiphertextBlob": blob })).unwrap_err();
    assert_eq!(code, "ResourceUnavailable.CmkStateNotSupport");
    let waiting = later("ListKeyDetail", json!({ "KeyState": 4 })).unwrap();
    assert_eq!(waiting["TotalCount"], 1);
}

#[test]
fn imported_material_and_bindings_persist_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("kms.db").to_str().unwrap().to_owned();
    let first = Emulator::start(&["--data", &data]);
    let client = first.client();
    let (key, deleted) = (external_key(&client, "key"), external_key(&client, "deleted"));
    assert_eq!(import(&client, &key, &[7; 32], 0), "OK");
    assert_eq!(import(&client, &deleted, &[8; 32], 0), "OK");
    let blobs = [&key, &deleted].map(|key| encrypt(&client, key).unwrap());
    let wrapped = wrap(&client, &deleted, OAEP, &[8; 32]);
    client.expect("DeleteImportedKeyMaterial", json!({ "KeyId": deleted }));
    client.expect("BindCloudResource", json!({ "KeyId": key, "ProductId": "cos", "ResourceId": "r" }));
    first.stop();

    let second = Emulator::start(&["--data", &data]);
    let client = second.client();
    assert_eq!(decrypt(&client, &blobs[0]), "OK");
    assert_eq!(decrypt(&client, &blobs[1]), "ResourceUnavailable.CmkStateNotSupport");
    assert_eq!(import(&client, &deleted, &[9; 32], 0), "InvalidParameterValue.MaterialNotMatch");
    // The token is still valid.
    assert_eq!(client.code("ImportKeyMaterial", body(&deleted, &wrapped)), "OK");
    assert_eq!(decrypt(&client, &blobs[1]), "OK");
    assert_eq!(client.code("DisableKey", json!({ "KeyId": key })), "FailedOperation.CmkUsedByCloudProduct");
}

#[test]
fn a_key_rotates_once_a_day() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = json!(emulator.key_id());
    let old = encrypt(&client, &key).unwrap();
    let answer = client.expect("RotateKey", json!({ "KeyId": key }));
    assert_eq!(answer["TaskId"].as_str().unwrap().len(), 36);
    let described = client.expect("DescribeKey", json!({ "KeyId": key }))["KeyMetadata"].clone();
    assert!((described["LastRotateTime"].as_i64().unwrap() - unix_now()).abs() < 5);
    assert_eq!(decrypt(&client, &old), "OK");
    let renewed = client.expect("ReEncrypt", json!({ "CiphertextBlob": old }));
    assert_eq!(renewed["ReEncrypted"], true);
    assert_eq!(client.code("RotateKey", json!({ "KeyId": key })), "RequestLimitExceeded.RotateRateLimited");
    let tomorrow = move_clock(&emulator, DAY + 10);
    tomorrow("RotateKey", json!({ "KeyId": key })).unwrap();
    assert_eq!(tomorrow("RotateKey", json!({ "KeyId": key })).unwrap_err(), "RequestLimitExceeded.RotateRateLimited");
}

#[test]
fn keys_that_cannot_rotate_are_refused() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let rotate = |key: &Value| client.code("RotateKey", json!({ "KeyId": key }));
    let asymmetric = client.expect("CreateKey", json!({ "Alias": "a", "KeyUsage": "ASYMMETRIC_SIGN_VERIFY_ECC" }));
    assert_eq!(rotate(&asymmetric["KeyId"]), "UnsupportedOperation.RotateNotSupported");
    let external = external_key(&client, "e");
    assert_eq!(import(&client, &external, &[7; 32], 0), "OK");
    assert_eq!(rotate(&external), "UnsupportedOperation.RotateNotSupported");
    let key = json!(emulator.key_id());
    client.expect("DisableKey", json!({ "KeyId": key }));
    assert_eq!(rotate(&key), "ResourceUnavailable.CmkStateNotSupport");
    assert_eq!(rotate(&json!("x")), "InvalidParameterValue.InvalidKeyId");
}

#[test]
fn a_bound_key_can_neither_be_disabled_nor_deleted() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = emulator.key_id();
    let binding = json!({ "KeyId": key, "ProductId": "cos", "ResourceId": "bucket" });
    assert_eq!(client.code("UnbindCloudResource", binding.clone()), "ResourceUnavailable.CloudResourceBindingNotFound");
    client.expect("BindCloudResource", binding.clone());
    client.expect("BindCloudResource", binding.clone());
    let used = "FailedOperation.CmkUsedByCloudProduct";
    assert_eq!(client.code("DisableKey", json!({ "KeyId": key })), used);
    assert_eq!(client.code("DisableKeys", json!({ "KeyIds": [key] })), used);
    assert_eq!(client.code("ArchiveKey", json!({ "KeyId": key })), used);
    assert_eq!(client.code("ScheduleKeyDeletion", json!({ "KeyId": key, "PendingWindowInDays": 7 })), used);
    client.expect("UnbindCloudResource", binding);
    client.expect("DisableKey", json!({ "KeyId": key }));
    for id in ["", &"x".repeat(129)] {
        let binding = json!({ "KeyId": key, "ProductId": id, "ResourceId": "r" });
        assert_eq!(client.code("BindCloudResource", binding), "InvalidParameter");
    }
}
