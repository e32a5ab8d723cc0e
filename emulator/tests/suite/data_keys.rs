//! Data keys that KMS hosts.

use serde_json::{Value, json};

use crate::support::{Client, Emulator, base64, unbase64};

fn generate(client: &Client, key: &str, name: &str) -> Value {
    client.expect(
        "GenerateDataKey",
        json!({
            "KeyId": key, "KeySpec": "AES_256", "IsHostedByKms": 1, "DataKeyName": name, "Description": "for tests",
            "EncryptionContext": "{\"a\":\"b\"}", "Tags": [{ "TagKey": "team", "TagValue": name }],
        }),
    )
}

fn metadata(client: &Client, id: &Value) -> Value {
    client.expect("DescribeDataKey", json!({ "DataKeyId": id }))["DataKeyMetadata"].clone()
}

#[test]
fn a_generated_data_key_is_stored_and_returned() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let made = generate(&client, emulator.key_id(), "first");
    assert_eq!((&made["TagCode"], &made["TagMsg"]), (&json!(0), &json!("ok")));
    let id = json!({ "DataKeyId": made["DataKeyId"] });
    assert_eq!(client.expect("GetDataKeyPlaintext", id.clone())["Plaintext"], made["Plaintext"]);
    assert_eq!(client.expect("GetDataKeyCiphertextBlob", id)["CiphertextBlob"], made["CiphertextBlob"]);
    let found = metadata(&client, &made["DataKeyId"]);
    for (name, value) in [
        ("KeyId", json!(emulator.key_id())),
        ("KeyName", json!("main")),
        ("DataKeyName", json!("first")),
        ("NumberOfBytes", json!(32)),
        ("Description", json!("for tests")),
        ("KeyState", json!("Enabled")),
        ("Origin", json!("TENCENT_KMS")),
        ("Owner", json!("user")),
    ] {
        assert_eq!(found[name], value, "{name}");
    }
    // Without hosting, its parameters have no effect.
    let plain = client.expect(
        "GenerateDataKey",
        json!({ "KeyId": emulator.key_id(), "NumberOfBytes": 8, "DataKeyName": "first", "IsHostedByKms": 0 }),
    );
    assert!(plain.get("DataKeyId").is_none());
}

#[test]
fn invalid_and_duplicate_names_are_refused() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let first = generate(&client, emulator.key_id(), "first")["DataKeyId"].clone();
    let second = generate(&client, emulator.key_id(), "second")["DataKeyId"].clone();
    let key = emulator.key_id();
    let body = |name: Value| json!({ "KeyId": key, "KeySpec": "AES_128", "IsHostedByKms": 1, "DataKeyName": name });
    assert_eq!(client.code("GenerateDataKey", body(json!("first"))), "InvalidParameterValue.DataKeyNameAlreadyExists");
    assert_eq!(client.code("GenerateDataKey", body(json!("a b"))), "InvalidParameterValue.InvalidDataKeyName");
    assert_eq!(client.code("GenerateDataKey", body(Value::Null)), "MissingParameter");
    let rename =
        |id: &Value, name: &str| client.code("UpdateDataKeyName", json!({ "DataKeyId": id, "DataKeyName": name }));
    assert_eq!(rename(&second, "first"), "InvalidParameterValue.DataKeyNameAlreadyExists");
    assert_eq!(rename(&first, "first"), "OK");
    assert_eq!(rename(&second, "third"), "OK");
    let describe =
        |text: &str| client.code("UpdateDataKeyDescription", json!({ "DataKeyId": second, "Description": text }));
    assert_eq!([describe(&"x".repeat(101)).as_str(), describe("new").as_str()], ["InvalidParameter", "OK"]);
    let found = metadata(&client, &second);
    assert_eq!((&found["DataKeyName"], &found["Description"]), (&json!("third"), &json!("new")));
}

#[test]
fn data_keys_have_the_states_of_cmks() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let ids = ["a", "b"].map(|name| generate(&client, emulator.key_id(), name)["DataKeyId"].clone());
    let id = json!({ "DataKeyId": ids[0] });
    let state = |id: &Value| metadata(&client, id)["KeyState"].clone();
    client.expect("DisableDataKey", id.clone());
    for action in ["GetDataKeyPlaintext", "GetDataKeyCiphertextBlob"] {
        assert_eq!(client.code(action, id.clone()), "ResourceUnavailable.DataKeyDisabled");
    }
    client.expect("EnableDataKey", id.clone());
    client.expect("DisableDataKeys", json!({ "DataKeyIds": ids }));
    assert_eq!(ids.each_ref().map(state), ["Disabled"; 2]);
    client.expect("EnableDataKeys", json!({ "DataKeyIds": [ids[1]] }));
    let duplicated = client.code("EnableDataKeys", json!({ "DataKeyIds": [ids[1], ids[1]] }));
    assert_eq!(duplicated, "InvalidParameterValue.DuplicatedDataKeyId");

    let schedule = |id: &Value, days: i64| {
        client.code("ScheduleDataKeyDeletion", json!({ "DataKeyId": id, "PendingWindowInDays": days }))
    };
    assert_eq!(schedule(&ids[1], 7), "ResourceUnavailable.DataKeyStateNotSupport");
    assert_eq!(schedule(&ids[0], 6), "InvalidParameter");
    assert_eq!(client.code("CancelDataKeyDeletion", id.clone()), "ResourceUnavailable.DataKeyNotPendingDelete");
    assert_eq!(schedule(&ids[0], 7), "OK");
    for (action, body) in [
        ("GetDataKeyPlaintext", id.clone()),
        ("UpdateDataKeyName", json!({ "DataKeyId": ids[0], "DataKeyName": "c" })),
        ("UpdateDataKeyDescription", json!({ "DataKeyId": ids[0], "Description": "c" })),
    ] {
        assert_eq!(client.code(action, body), "ResourceUnavailable.DataKeyPendingDelete", "{action}");
    }
    assert_eq!(client.code("EnableDataKey", id.clone()), "ResourceUnavailable.DataKeyStateNotSupport");
    assert!(metadata(&client, &ids[0])["DeletionDate"].as_i64().unwrap() > 0);
    assert_eq!(client.expect("CancelDataKeyDeletion", id)["DataKeyId"], ids[0]);
    assert_eq!(state(&ids[0]), "Disabled");
    // A data key is returned only while its CMK can decrypt it.
    client.expect("DisableKey", json!({ "KeyId": emulator.key_id() }));
    let code = client.code("GetDataKeyPlaintext", json!({ "DataKeyId": ids[1] }));
    assert_eq!(code, "ResourceUnavailable.CmkDisabled");
}

#[test]
fn data_keys_are_listed_by_page_and_filter() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let names = ["one", "two", "three"];
    let ids = names.map(|name| generate(&client, emulator.key_id(), name)["DataKeyId"].clone());
    let imported = client.expect(
        "ImportDataKey",
        json!({
            "DataKeyName": "four", "ImportKeyMaterial": base64([7; 16]), "ImportType": 2, "KeyId": emulator.key_id(),
        }),
    )["DataKeyId"]
        .clone();
    client.expect("DisableDataKey", json!({ "DataKeyId": ids[0] }));
    let page = client.expect("ListDataKeys", json!({ "Offset": 1, "Limit": 2 }));
    assert_eq!(page, {
        let mut expected = json!({ "DataKeys": [{ "DataKeyId": ids[2] }, { "DataKeyId": ids[1] }], "TotalCount": 4 });
        expected["RequestId"] = page["RequestId"].clone();
        expected
    });
    let count = |filter: Value| client.expect("ListDataKeyDetail", filter)["TotalCount"].clone();
    for (filter, expected) in [
        (json!({}), 4),
        (json!({ "KeyState": 2 }), 1),
        (json!({ "KeyState": 3 }), 0),
        (json!({ "SearchKeyAlias": "t" }), 2),
        (json!({ "SearchKeyAlias": imported }), 1),
        (json!({ "Origin": "EXTERNAL" }), 1),
        (json!({ "KeyId": "other" }), 0),
        (json!({ "DataKeyLen": 32 }), 3),
        (json!({ "TagFilters": [{ "TagKey": "team", "TagValue": ["one", "two"] }] }), 2),
        (json!({ "Role": 1 }), 0),
    ] {
        assert_eq!(count(filter.clone()), expected, "{filter}");
    }
    let oldest = client.expect("ListDataKeyDetail", json!({ "OrderType": 1, "Limit": 1 }));
    assert_eq!(oldest["DataKeyMetadatas"][0]["DataKeyId"], ids[0]);
    let described = client.expect("DescribeDataKeys", json!({ "DataKeyIds": [ids[1], ids[0]] }));
    assert_eq!(described["DataKeyMetadatas"][0]["DataKeyName"], "two");
    assert_eq!(client.expect("GetServiceStatus", json!({}))["DataKeyUsedCount"], 4);
}

#[test]
fn data_keys_are_imported_as_plaintext_or_ciphertext() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let import = |kind: i64, material: &Value, key: Value, name: &str| {
        let body = json!({ "DataKeyName": name, "ImportKeyMaterial": material, "ImportType": kind, "KeyId": key });
        client.invoke("ImportDataKey", body)
    };
    let plaintext = json!(base64([9; 24]));
    let key = json!(emulator.key_id());
    let made = client.expect("GenerateDataKey", json!({ "KeyId": key, "KeySpec": "AES_256" }));
    let first = import(2, &plaintext, key.clone(), "first").unwrap();
    let second = import(1, &made["CiphertextBlob"], Value::Null, "second").unwrap();
    assert_eq!(second["KeyId"], key);
    let get = |answer: &Value| client.expect("GetDataKeyPlaintext", json!({ "DataKeyId": answer["DataKeyId"] }));
    assert_eq!(unbase64(&get(&first)["Plaintext"]), [9; 24]);
    assert_eq!(get(&second)["Plaintext"], made["Plaintext"]);
    let invalid = "InvalidParameterValue.InvalidImportKeyMaterial";
    let other = client.expect("CreateKey", json!({ "Alias": "other" }))["KeyId"].clone();
    assert_eq!(import(1, &made["CiphertextBlob"], other, "x").unwrap_err(), invalid);
    assert_eq!(import(1, &plaintext, Value::Null, "x").unwrap_err(), invalid);
    assert_eq!(import(2, &json!("!"), key.clone(), "x").unwrap_err(), invalid);
    assert_eq!(import(2, &json!(base64(vec![0; 1025])), key.clone(), "x").unwrap_err(), invalid);
    assert_eq!(import(2, &plaintext, Value::Null, "x").unwrap_err(), "MissingParameter");
    assert_eq!(import(3, &plaintext, key, "x").unwrap_err(), "InvalidParameter");
}

#[test]
fn malformed_and_unknown_data_key_ids_are_refused() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let code = |id: &str| client.code("DescribeDataKey", json!({ "DataKeyId": id }));
    assert_eq!(code("x"), "InvalidParameterValue.InvalidDataKeyId");
    assert_eq!(code(emulator.key_id()), "ResourceUnavailable.DataKeyNotFound");
}

#[test]
fn data_keys_persist_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("kms.db").to_str().unwrap().to_owned();
    let first = Emulator::start(&["--data", &data]);
    let made = generate(&first.client(), first.key_id(), "kept");
    first.client().expect("UpdateDataKeyDescription", json!({ "DataKeyId": made["DataKeyId"], "Description": "new" }));
    first.stop();
    let second = Emulator::start(&["--data", &data]);
    let client = second.client();
    let plaintext =
        client.expect("GetDataKeyPlaintext", json!({ "DataKeyId": made["DataKeyId"] }))["Plaintext"].clone();
    assert_eq!(plaintext, made["Plaintext"]);
    assert_eq!(metadata(&client, &made["DataKeyId"])["Description"], "new");
}
