//! The request log, and key rotation by the admin API.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::{Call, Connection, Emulator, base64, unbase64};

fn encrypt(emulator: &Emulator) -> Call {
    let body = json!({ "KeyId": emulator.key_id(), "Plaintext": base64("a secret plaintext") });
    emulator.client().call("Encrypt", &body)
}

#[test]
fn a_request_is_logged_without_its_secrets() {
    let emulator = Emulator::start(&[]);
    let call = encrypt(&emulator).set_header("X-TC-RequestClient", "tester_1.0");
    let signature = call.authorization().rsplit_once('=').unwrap().1.to_owned();
    let reply = call.reply().json();
    let requests = emulator.requests();
    assert_eq!(requests.len(), 1);
    let seen = &requests[0];
    assert_eq!(seen["action"], "Encrypt");
    assert_eq!((&seen["code"], &seen["status"], &seen["fault"]), (&json!("OK"), &json!(200), &Value::Null));
    assert_eq!(seen["request_id"], reply["Response"]["RequestId"]);
    assert_eq!(seen["fields"], json!(["KeyId", "Plaintext"]));
    assert_eq!(seen["secret_id"], emulator.text("secret_id"));
    assert_eq!(seen["headers"]["content-type"], "application/json");
    assert_eq!(seen["headers"]["x-tc-requestclient"], "tester_1.0");
    let text = seen.to_string();
    for secret in [base64("a secret plaintext"), signature, emulator.text("secret_key").to_owned()] {
        assert!(!text.contains(&secret), "{text}");
    }
}

#[test]
fn failed_requests_are_logged_too() {
    let emulator = Emulator::start(&[]);
    emulator.client().code("Encrypt", json!({ "KeyId": "x", "Plaintext": "eA==" }));
    emulator.set_fault(json!({ "kind": "bad_gateway" }));
    encrypt(&emulator).reply();
    let requests = emulator.requests();
    assert_eq!(requests[0]["code"], "InvalidParameterValue.InvalidKeyId");
    assert_eq!((&requests[1]["code"], &requests[1]["status"]), (&Value::Null, &json!(502)));
    assert_eq!(requests[1]["fault"], "bad_gateway");
}

#[test]
fn peers_and_connections_show_which_calls_share_a_connection() {
    let emulator = Emulator::start(&[]);
    let mut kept = Connection::open(emulator.address());
    kept.exchange(&encrypt(&emulator).bytes()).unwrap();
    kept.exchange(&encrypt(&emulator).bytes()).unwrap();
    encrypt(&emulator).reply();
    let seen = emulator.admin("GET", "requests", Value::Null).1;
    assert_eq!(seen["connections"], 2, "admin connections are not counted");
    let peers: Vec<_> = seen["requests"].as_array().unwrap().iter().map(|request| request["peer"].clone()).collect();
    assert_eq!(peers[0], kept.stream.get_ref().local_addr().unwrap().to_string());
    assert_eq!(peers.iter().collect::<HashSet<_>>().len(), 2);

    assert_eq!(emulator.admin("DELETE", "requests", Value::Null).0, 204);
    let seen = emulator.admin("GET", "requests", Value::Null).1;
    assert_eq!(seen, json!({ "connections": 0, "forgotten": 0, "requests": [] }));
}

#[test]
fn a_rotated_key_encrypts_with_new_material_and_still_decrypts_the_old() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let old = encrypt(&emulator).outcome().unwrap()["CiphertextBlob"].clone();
    let rotate = format!("keys/{}/rotate", emulator.key_id());
    assert_eq!(emulator.admin("POST", &rotate, Value::Null).0, 204);

    let new = encrypt(&emulator).outcome().unwrap()["CiphertextBlob"].clone();
    let first_part = |blob: &Value| blob.as_str().unwrap().split("-k-").next().unwrap().to_owned();
    assert_ne!(first_part(&old), first_part(&new));
    for blob in [&old, &new] {
        let opened = client.expect("Decrypt", json!({ "CiphertextBlob": blob }));
        assert_eq!(unbase64(&opened["Plaintext"]), b"a secret plaintext");
    }
    let renewed = client.expect("ReEncrypt", json!({ "CiphertextBlob": old }));
    assert_eq!(renewed["ReEncrypted"], true);
    assert_eq!(first_part(&renewed["CiphertextBlob"]), first_part(&new));
    let described = client.expect("DescribeKey", json!({ "KeyId": emulator.key_id() }));
    assert!(described["KeyMetadata"]["LastRotateTime"].as_i64().unwrap() > 0);
    assert_eq!(emulator.admin("POST", "keys/x/rotate", Value::Null).0, 400);
}
