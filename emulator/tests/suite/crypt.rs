//! Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateRandom.

use serde_json::{Value, json};

use crate::support::{Client, Emulator, base64, unbase64};

const CONTEXT: &str = r#"{"key1":"value1"}"#;

fn encrypt(client: &Client, key_id: &str, plaintext: &[u8], context: &str) -> Value {
    let body = json!({ "KeyId": key_id, "Plaintext": base64(plaintext), "EncryptionContext": context });
    client.expect("Encrypt", body)["CiphertextBlob"].clone()
}

fn new_key(client: &Client, alias: &str) -> String {
    client.expect("CreateKey", json!({ "Alias": alias }))["KeyId"].as_str().unwrap().to_owned()
}

#[test]
fn decryption_returns_the_plaintext_and_the_key_id() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    for plaintext in [vec![0], vec![b'x'; 4096]] {
        let blob = encrypt(&client, emulator.key_id(), &plaintext, CONTEXT);
        let answer = client.expect("Decrypt", json!({ "CiphertextBlob": blob, "EncryptionContext": CONTEXT }));
        assert_eq!(unbase64(&answer["Plaintext"]), plaintext);
        assert_eq!(answer["KeyId"], emulator.key_id());
    }
}

#[test]
fn a_blob_has_the_form_of_the_service_and_is_not_base64() {
    let emulator = Emulator::start(&[]);
    let blob = encrypt(&emulator.client(), emulator.key_id(), b"test\n", CONTEXT);
    let lengths: Vec<_> = blob.as_str().unwrap().split("-k-").map(|part| unbase64(&json!(part)).len()).collect();
    assert_eq!(lengths, [64, 16, 36]);
    assert_eq!(blob.as_str().unwrap().len(), 166);
}

#[test]
fn plaintexts_are_1_to_4096_bytes_of_base64() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let code = |plaintext: &str| client.code("Encrypt", json!({ "KeyId": emulator.key_id(), "Plaintext": plaintext }));
    let invalid = "InvalidParameterValue.InvalidPlaintext";
    assert_eq!(code(""), invalid);
    assert_eq!(code("not base64"), invalid);
    assert_eq!(code("eA"), invalid);
    assert_eq!(code(&base64(vec![0; 4097])), invalid);
    assert_eq!(code(&base64(vec![0; 4096])), "OK");
}

#[test]
fn contexts_are_json_objects_of_strings_up_to_1024_characters() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let code = |context: &str| {
        client.code("Encrypt", json!({ "KeyId": emulator.key_id(), "Plaintext": "eA==", "EncryptionContext": context }))
    };
    for bad in ["x", "[]", r#""text""#, r#"{"a":1}"#, r#"{"a":{"b":"c"}}"#, r#"{"a":null}"#] {
        assert_eq!(code(bad), "InvalidParameter", "{bad}");
    }
    // The limit counts characters, not bytes.
    let of_length = |length: usize| format!(r#"{{"a":"{}"}}"#, "密".repeat(length - 8));
    assert_eq!(code(&of_length(1024)), "OK");
    assert_eq!(code(&of_length(1025)), "InvalidParameter");
    assert_eq!(code("{}"), "OK");
}

#[test]
fn the_context_is_compared_as_text() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let blob = encrypt(&client, emulator.key_id(), b"secret", r#"{"a":"1","b":"2"}"#);
    let code = |context: &str| client.code("Decrypt", json!({ "CiphertextBlob": blob, "EncryptionContext": context }));
    assert_eq!(code(r#"{"a":"1","b":"2"}"#), "OK");
    for other in ["", r#"{"b":"2","a":"1"}"#, r#"{"a":"1", "b":"2"}"#, r#"{"a":"1"}"#] {
        assert_eq!(code(other), "InvalidParameterValue.InvalidCiphertext", "{other}");
    }
}

#[test]
fn an_altered_blob_is_an_invalid_ciphertext() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let blob = encrypt(&client, emulator.key_id(), b"secret", "");
    let blob = blob.as_str().unwrap();
    let code = |blob: &str| client.code("Decrypt", json!({ "CiphertextBlob": blob }));
    for index in (0..blob.len()).step_by(7) {
        let replacement = if blob.as_bytes()[index] == b'A' { "B" } else { "A" };
        let mut altered = blob.to_owned();
        altered.replace_range(index..=index, replacement);
        assert_eq!(code(&altered), "InvalidParameterValue.InvalidCiphertext", "character {index}");
    }
    for bad in ["", "x", "-k--k-", &blob[1..], &blob[..blob.len() - 4], &format!("{blob}-k-AAAA")] {
        assert_eq!(code(bad), "InvalidParameterValue.InvalidCiphertext", "{bad}");
    }
}

#[test]
fn another_emulator_cannot_decrypt() {
    let (one, other) = (Emulator::start(&[]), Emulator::start(&[]));
    let blob = encrypt(&one.client(), one.key_id(), b"secret", "");
    let code = other.client().code("Decrypt", json!({ "CiphertextBlob": blob }));
    assert_eq!(code, "InvalidParameterValue.InvalidCiphertext");
}

#[test]
fn malformed_and_unknown_key_ids_are_refused() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    for action in ["Encrypt", "GenerateDataKey"] {
        let code = |key_id: &str| {
            let mut body = json!({ "KeyId": key_id });
            body[if action == "Encrypt" { "Plaintext" } else { "KeySpec" }] = json!("AES_256");
            if action == "Encrypt" {
                body["Plaintext"] = json!("eA==");
            }
            client.code(action, body)
        };
        assert_eq!(code("alias/main"), "InvalidParameterValue.InvalidKeyId");
        assert_eq!(code("23e80852-1e38-11e9-b129-5cb9019b4b01"), "ResourceUnavailable.CmkNotFound");
    }
}

#[test]
fn archived_keys_only_decrypt_and_disabled_keys_do_nothing() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = new_key(&client, "states");
    let blob = encrypt(&client, &key, b"secret", "");
    let codes = || {
        [
            client.code("Encrypt", json!({ "KeyId": key, "Plaintext": "eA==" })),
            client.code("GenerateDataKey", json!({ "KeyId": key, "KeySpec": "AES_128" })),
            client.code("Decrypt", json!({ "CiphertextBlob": blob })),
        ]
    };
    let (archived, disabled) = ("ResourceUnavailable.CmkArchived", "ResourceUnavailable.CmkDisabled");
    assert_eq!(codes(), ["OK", "OK", "OK"]);
    client.expect("ArchiveKey", json!({ "KeyId": key }));
    assert_eq!(codes(), [archived, archived, "OK"]);
    client.expect("CancelKeyArchive", json!({ "KeyId": key }));
    client.expect("DisableKey", json!({ "KeyId": key }));
    assert_eq!(codes(), [disabled, disabled, disabled]);
    client.expect("ScheduleKeyDeletion", json!({ "KeyId": key, "PendingWindowInDays": 7 }));
    assert_eq!(codes(), [disabled, disabled, disabled]);
}

#[test]
fn re_encryption_encrypts_the_plaintext_under_another_key_and_context() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let other = new_key(&client, "other");
    let blob = encrypt(&client, emulator.key_id(), b"secret", CONTEXT);
    let moved = client.expect(
        "ReEncrypt",
        json!({ "CiphertextBlob": blob, "DestinationKeyId": other, "SourceEncryptionContext": CONTEXT }),
    );
    assert_eq!(moved["KeyId"], other);
    assert_eq!(moved["SourceKeyId"], emulator.key_id());
    assert_eq!(moved["ReEncrypted"], true);
    let opened = client.expect("Decrypt", json!({ "CiphertextBlob": moved["CiphertextBlob"] }));
    assert_eq!(unbase64(&opened["Plaintext"]), b"secret");
    assert_eq!(opened["KeyId"], other);
}

#[test]
fn re_encryption_with_the_same_key_and_context_returns_the_old_blob() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let blob = encrypt(&client, emulator.key_id(), b"secret", CONTEXT);
    let body = |destination: &str| {
        json!({
            "CiphertextBlob": blob,
            "SourceEncryptionContext": CONTEXT,
            "DestinationEncryptionContext": destination,
        })
    };
    let same = client.expect("ReEncrypt", body(CONTEXT));
    assert_eq!((&same["CiphertextBlob"], &same["ReEncrypted"]), (&blob, &json!(false)));
    let changed = client.expect("ReEncrypt", body(r#"{"other":"context"}"#));
    assert_ne!(changed["CiphertextBlob"], blob);
    assert_eq!(changed["ReEncrypted"], true);
}

#[test]
fn data_keys_have_the_requested_length_and_their_blob_decrypts() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let lengths = [
        (json!({ "KeySpec": "AES_128" }), 16),
        (json!({ "KeySpec": "AES_256" }), 32),
        (json!({ "NumberOfBytes": 1 }), 1),
        (json!({ "NumberOfBytes": 1024 }), 1024),
        (json!({ "KeySpec": "AES_128", "NumberOfBytes": 64 }), 64),
    ];
    for (mut body, length) in lengths {
        body["KeyId"] = json!(emulator.key_id());
        let answer = client.expect("GenerateDataKey", body);
        assert_eq!(unbase64(&answer["Plaintext"]).len(), length);
        let opened = client.expect("Decrypt", json!({ "CiphertextBlob": answer["CiphertextBlob"] }));
        assert_eq!(opened["Plaintext"], answer["Plaintext"]);
    }
}

#[test]
fn invalid_data_key_parameters_are_refused() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let cases = [
        (json!({}), "MissingParameter"),
        (json!({ "KeySpec": "AES_512" }), "InvalidParameter"),
        (json!({ "NumberOfBytes": 0 }), "InvalidParameter"),
        (json!({ "NumberOfBytes": 1025 }), "InvalidParameter"),
        (json!({ "NumberOfBytes": 1, "IsHostedByKms": 1 }), "MissingParameter"),
        (json!({ "NumberOfBytes": 1, "IsHostedByKms": 0 }), "OK"),
    ];
    for (mut body, expected) in cases {
        body["KeyId"] = json!(emulator.key_id());
        assert_eq!(client.code("GenerateDataKey", body.clone()), expected, "{body}");
    }
}

#[test]
fn random_bytes_are_1_to_1024_and_differ() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let code = |count: u64| client.code("GenerateRandom", json!({ "NumberOfBytes": count }));
    assert_eq!([code(0), code(1), code(1024), code(1025)], ["InvalidParameter", "OK", "OK", "InvalidParameter"]);
    let [one, other] = [(), ()].map(|()| client.expect("GenerateRandom", json!({ "NumberOfBytes": 32 })));
    assert_eq!(unbase64(&one["Plaintext"]).len(), 32);
    assert_ne!(one["Plaintext"], other["Plaintext"]);
}

#[test]
fn an_asymmetric_key_cannot_encrypt() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let body = json!({ "Alias": "signer", "KeyUsage": "ASYMMETRIC_SIGN_VERIFY_ECC" });
    let key = client.expect("CreateKey", body)["KeyId"].clone();
    let code = client.code("Encrypt", json!({ "KeyId": key, "Plaintext": "eA==" }));
    assert_eq!(code, "InvalidParameterValue.InvalidKeyUsage");
}
