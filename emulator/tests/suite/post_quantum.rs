//! Post-quantum keys, of which only the calls are emulated, and the white-box product, which is not purchased.

use serde_json::{Value, json};

use crate::support::{Client, Emulator, base64, unbase64};

fn create(client: &Client, usage: &str) -> Value {
    client.expect("CreateKey", json!({ "Alias": usage, "KeyUsage": usage }))["KeyId"].clone()
}

#[test]
fn ciphertexts_decrypt_and_signatures_verify() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = create(&client, "POST_QUANTUM_ENCRYPT_DECRYPT");
    let plaintext = base64("secret");
    let answer = client.expect("PostQuantumCryptoEncrypt", json!({ "KeyId": key, "PlainText": plaintext }));
    let blob = &answer["CiphertextBlob"];
    let opened = client.expect("PostQuantumCryptoDecrypt", json!({ "CiphertextBlob": blob }));
    assert_eq!((&opened["PlainText"], &opened["KeyId"]), (&json!(plaintext), &key));

    let key = create(&client, "POST_QUANTUM_SIGN_VERIFY");
    let message = base64(vec![1; 4096]);
    let answer = client.expect("PostQuantumCryptoSign", json!({ "KeyId": key, "Message": message }));
    let mut signature = unbase64(&answer["Signature"]);
    assert_eq!(signature.len(), 3309);
    let verify = |signature: &str| {
        let body = json!({ "KeyId": key, "Message": message, "SignatureValue": signature });
        client.invoke("PostQuantumCryptoVerify", body)
    };
    assert_eq!(verify(&base64(&signature)).unwrap()["SignatureValid"], true);
    signature[9] ^= 1;
    assert_eq!(verify(&base64(&signature)).unwrap()["SignatureValid"], false);
    assert_eq!(verify("!").unwrap_err(), "InvalidParameterValue");
}

#[test]
fn the_wrong_usage_length_or_state_is_refused() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let encryption = create(&client, "POST_QUANTUM_ENCRYPT_DECRYPT");
    let signing = create(&client, "POST_QUANTUM_SIGN_VERIFY");
    let encrypt = |key: &Value, length: usize| {
        client.code("PostQuantumCryptoEncrypt", json!({ "KeyId": key, "PlainText": base64(vec![0; length]) }))
    };
    let sign = |key: &Value, length: usize| {
        client.code("PostQuantumCryptoSign", json!({ "KeyId": key, "Message": base64(vec![0; length]) }))
    };
    assert_eq!(encrypt(&encryption, 4097), "InvalidParameterValue.InvalidPlaintext");
    assert_eq!(encrypt(&encryption, 0), "InvalidParameterValue.InvalidPlaintext");
    assert_eq!(encrypt(&json!(emulator.key_id()), 1), "InvalidParameterValue.InvalidKeyUsage");
    assert_eq!(sign(&signing, 4097), "InvalidParameter");
    assert_eq!(sign(&encryption, 1), "InvalidParameterValue.InvalidKeyUsage");
    // Neither family opens the other's blobs.
    let made = client.expect("PostQuantumCryptoEncrypt", json!({ "KeyId": encryption, "PlainText": "eA==" }));
    let code = client.code("Decrypt", json!({ "CiphertextBlob": made["CiphertextBlob"] }));
    assert_eq!(code, "InvalidParameterValue.InvalidCiphertext");
    let ordinary = client.expect("Encrypt", json!({ "KeyId": emulator.key_id(), "Plaintext": "eA==" }));
    let code = client.code("PostQuantumCryptoDecrypt", json!({ "CiphertextBlob": ordinary["CiphertextBlob"] }));
    assert_eq!(code, "InvalidParameterValue.InvalidCiphertext");
    client.expect("DisableKeys", json!({ "KeyIds": [encryption, signing] }));
    assert_eq!(encrypt(&encryption, 1), "ResourceUnavailable.CmkDisabled");
    assert_eq!(sign(&signing, 1), "ResourceUnavailable.CmkStateNotSupport");
}

#[test]
fn white_box_keys_are_not_purchased() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    for action in ["CreateWhiteBoxKey", "EncryptByWhiteBox", "DescribeWhiteBoxKeyDetails", "DeleteWhiteBoxKey"] {
        assert_eq!(client.code(action, json!({ "KeyId": "any" })), "ResourceUnavailable.NotPurchased", "{action}");
    }
    assert_eq!(client.expect("DescribeWhiteBoxServiceStatus", json!({}))["ServiceEnabled"], false);
}
