//! Creation, states, rotation and names of CMKs.

use serde_json::{Value, json};

use crate::support::{Client, Emulator, unix_now};

fn create(client: &Client, alias: &str) -> String {
    client.expect("CreateKey", json!({ "Alias": alias }))["KeyId"].as_str().unwrap().to_owned()
}

fn metadata(client: &Client, key_id: &str) -> Value {
    client.expect("DescribeKey", json!({ "KeyId": key_id }))["KeyMetadata"].clone()
}

fn state(client: &Client, key_id: &str) -> String {
    metadata(client, key_id)["KeyState"].as_str().unwrap().to_owned()
}

#[test]
fn a_new_key_has_the_requested_description() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let tags = json!([{ "TagKey": "team", "TagValue": "red" }]);
    let made = client.expect("CreateKey", json!({ "Alias": "new", "Description": "for tests", "Tags": tags }));
    assert_eq!(made["Alias"], "new");
    assert_eq!(made["KeyState"], "Enabled");
    assert_eq!(made["KeyUsage"], "ENCRYPT_DECRYPT");
    assert_eq!(made["TagMsg"], "ok");
    let found = metadata(&client, made["KeyId"].as_str().unwrap());
    for field in ["KeyId", "Alias", "CreateTime", "Description", "KeyState", "KeyUsage"] {
        assert_eq!(found[field], made[field], "{field}");
    }
    assert!((found["CreateTime"].as_i64().unwrap() - unix_now()).abs() < 10);
    assert_eq!((&found["Origin"], &found["Owner"]), (&json!("TENCENT_KMS"), &json!("user")));
    assert_eq!(found.as_object().unwrap().len(), 29, "all fields of KeyMetadata");
}

#[test]
fn every_key_usage_can_be_created() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let usages = [
        "ENCRYPT_DECRYPT",
        "ASYMMETRIC_DECRYPT_RSA_2048",
        "ASYMMETRIC_DECRYPT_SM2",
        "ASYMMETRIC_SIGN_VERIFY_SM2",
        "ASYMMETRIC_SIGN_VERIFY_ECC",
        "ASYMMETRIC_SIGN_VERIFY_RSA_2048",
        "ASYMMETRIC_SIGN_VERIFY_ECDSA384",
    ];
    for usage in usages {
        let made = client.expect("CreateKey", json!({ "Alias": usage, "KeyUsage": usage }));
        assert_eq!(made["KeyUsage"], usage);
    }
}

#[test]
fn creation_refuses_invalid_parameters() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let twice = json!([{ "TagKey": "a", "TagValue": "1" }, { "TagKey": "a", "TagValue": "2" }]);
    let cases = [
        (json!({}), "MissingParameter"),
        (json!({ "Alias": "" }), "InvalidParameterValue.InvalidAlias"),
        (json!({ "Alias": "kms-mine" }), "InvalidParameterValue.InvalidAlias"),
        (json!({ "Alias": "x".repeat(61) }), "InvalidParameterValue.InvalidAlias"),
        (json!({ "Alias": "main" }), "InvalidParameterValue.AliasAlreadyExists"),
        (json!({ "Alias": "a", "Description": "x".repeat(1025) }), "InvalidParameter"),
        (json!({ "Alias": "a", "KeyUsage": "MAGIC" }), "InvalidParameterValue.InvalidKeyUsage"),
        (json!({ "Alias": "a", "Type": 3 }), "InvalidParameterValue.InvalidType"),
        (json!({ "Alias": "a", "Tags": twice }), "InvalidParameterValue.TagKeysDuplicated"),
        (json!({ "Alias": "a", "Tags": [1] }), "InvalidParameter"),
        (json!({ "Alias": "a", "HsmClusterId": "cls-hsm" }), "InvalidParameterValue.InvalidHsmClusterId"),
        (json!({ "Alias": "x".repeat(60), "Description": "x".repeat(1024) }), "OK"),
    ];
    for (body, expected) in cases {
        assert_eq!(client.code("CreateKey", body.clone()), expected, "{body}");
    }
}

#[test]
fn an_account_has_at_most_200_keys() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    for number in 1..200 {
        create(&client, &format!("key{number}"));
    }
    assert_eq!(client.code("CreateKey", json!({ "Alias": "over" })), "LimitExceeded.CmkLimitExceeded");
    client.expect("DisableKey", json!({ "KeyId": emulator.key_id() }));
    client.expect("ScheduleKeyDeletion", json!({ "KeyId": emulator.key_id(), "PendingWindowInDays": 7 }));
    assert_eq!(client.code("CreateKey", json!({ "Alias": "over" })), "OK");
}

#[test]
fn the_limit_of_keys_is_an_option() {
    let emulator = Emulator::start(&["--max-keys", "3"]);
    let client = emulator.client();
    assert_eq!(client.expect("GetServiceStatus", json!({}))["CmkLimit"], 3);
    for alias in ["second", "third"] {
        client.expect("CreateKey", json!({ "Alias": alias }));
    }
    assert_eq!(client.code("CreateKey", json!({ "Alias": "over" })), "LimitExceeded.CmkLimitExceeded");
}

#[test]
fn keys_are_enabled_and_disabled() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = create(&client, "key");
    client.expect("DisableKey", json!({ "KeyId": key }));
    assert_eq!(state(&client, &key), "Disabled");
    client.expect("EnableKey", json!({ "KeyId": key }));
    assert_eq!(state(&client, &key), "Enabled");
}

#[test]
fn a_list_of_keys_changes_atomically() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let keys = [create(&client, "a"), create(&client, "b")];
    client.expect("DisableKeys", json!({ "KeyIds": keys }));
    assert_eq!(keys.each_ref().map(|key| state(&client, key)), ["Disabled", "Disabled"]);
    client.expect("EnableKeys", json!({ "KeyIds": keys }));
    client.expect("ArchiveKey", json!({ "KeyId": keys[1] }));
    let code = client.code("DisableKeys", json!({ "KeyIds": keys }));
    assert_eq!(code, "ResourceUnavailable.CmkStateNotSupport");
    assert_eq!(state(&client, &keys[0]), "Enabled");
}

#[test]
fn lists_of_keys_have_1_to_100_distinct_entries() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = emulator.key_id();
    for action in ["EnableKeys", "DisableKeys", "DescribeKeys"] {
        let code = |keys: Value| client.code(action, json!({ "KeyIds": keys }));
        assert_eq!(code(json!([])), "InvalidParameter");
        assert_eq!(code(json!(vec![key; 101])), "InvalidParameter");
        assert_eq!(code(json!([key, key])), "InvalidParameterValue.DuplicatedKeyId");
        assert_eq!(code(json!([key, "x"])), "InvalidParameterValue.InvalidKeyId");
        assert_eq!(code(json!(key)), "InvalidParameter");
        assert_eq!(code(json!([key])), "OK");
    }
}

#[test]
fn archiving_and_deletion_follow_the_state_rules() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = create(&client, "key");
    let schedule = |days: u64| client.code("ScheduleKeyDeletion", json!({ "KeyId": key, "PendingWindowInDays": days }));
    let code = |action: &str| client.code(action, json!({ "KeyId": key }));
    let not_supported = "ResourceUnavailable.CmkStateNotSupport";

    assert_eq!(schedule(7), "ResourceUnavailable.CmkShouldBeDisabled");
    assert_eq!(code("CancelKeyArchive"), not_supported);
    assert_eq!(code("CancelKeyDeletion"), "ResourceUnavailable.CmkNotPendingDelete");

    assert_eq!(code("ArchiveKey"), "OK");
    assert_eq!(state(&client, &key), "Archived");
    assert_eq!([code("ArchiveKey"), code("EnableKey"), code("DisableKey")], [not_supported; 3]);
    assert_eq!(code("CancelKeyArchive"), "OK");
    assert_eq!(state(&client, &key), "Enabled");

    assert_eq!(code("DisableKey"), "OK");
    assert_eq!([schedule(6), schedule(31)], ["InvalidParameter.InvalidPendingWindowInDays"; 2]);
    assert_eq!(schedule(7), "OK");
    assert_eq!(state(&client, &key), "PendingDelete");
    let deletion_date = metadata(&client, &key)["DeletionDate"].as_i64().unwrap();
    assert!((deletion_date - unix_now() - 7 * 86_400).abs() < 10);
    assert_eq!([code("EnableKey"), schedule(7)], [not_supported; 2]);
    let rename = client.code("UpdateAlias", json!({ "KeyId": key, "Alias": "renamed" }));
    let describe = client.code("UpdateKeyDescription", json!({ "KeyId": key, "Description": "x" }));
    assert_eq!([rename, describe], [not_supported; 2]);

    assert_eq!(code("CancelKeyDeletion"), "OK");
    assert_eq!(state(&client, &key), "Disabled");
    assert_eq!(metadata(&client, &key)["DeletionDate"], 0);
}

#[test]
fn rotation_is_switched_on_and_off() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = create(&client, "key");
    let status = || client.expect("GetKeyRotationStatus", json!({ "KeyId": key }))["KeyRotationEnabled"].clone();
    assert_eq!(status(), false);
    client.expect("EnableKeyRotation", json!({ "KeyId": key, "RotateDays": 30 }));
    assert_eq!(status(), true);
    let found = metadata(&client, &key);
    assert_eq!(found["RotateDays"], 30);
    assert_eq!(found["NextRotateTime"].as_i64().unwrap() - found["CreateTime"].as_i64().unwrap(), 30 * 86_400);
    client.expect("DisableKeyRotation", json!({ "KeyId": key }));
    assert_eq!(status(), false);
}

#[test]
fn rotation_needs_an_enabled_symmetric_key_made_by_kms() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let made = |body: Value| client.expect("CreateKey", body)["KeyId"].clone();
    let rotate = |key: &Value, days: u64| client.code("EnableKeyRotation", json!({ "KeyId": key, "RotateDays": days }));
    let external = made(json!({ "Alias": "external", "Type": 2 }));
    assert_eq!(rotate(&external, 30), "UnsupportedOperation.ExternalCmkCanNotRotate");
    let asymmetric = made(json!({ "Alias": "sm2", "KeyUsage": "ASYMMETRIC_DECRYPT_SM2" }));
    assert_eq!(rotate(&asymmetric, 30), "UnsupportedOperation.RotateNotSupported");
    let disabled = made(json!({ "Alias": "disabled" }));
    assert_eq!([rotate(&disabled, 6), rotate(&disabled, 366)], ["InvalidParameter"; 2]);
    client.expect("DisableKey", json!({ "KeyId": disabled }));
    assert_eq!(rotate(&disabled, 30), "ResourceUnavailable.CmkStateNotSupport");
}

#[test]
fn an_external_key_cannot_encrypt_before_its_material_is_imported() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let made = client.expect("CreateKey", json!({ "Alias": "external", "Type": 2 }));
    assert_eq!(made["KeyState"], "PendingImport");
    let key = made["KeyId"].as_str().unwrap();
    assert_eq!(metadata(&client, key)["Origin"], "EXTERNAL");
    let encrypt = client.code("Encrypt", json!({ "KeyId": key, "Plaintext": "eA==" }));
    assert_eq!(encrypt, "ResourceUnavailable.CmkStateNotSupport");
}

#[test]
fn aliases_and_descriptions_change() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = create(&client, "before");
    let rename = |alias: &str| client.code("UpdateAlias", json!({ "KeyId": key, "Alias": alias }));
    assert_eq!(rename("main"), "InvalidParameterValue.AliasAlreadyExists");
    assert_eq!(rename("-bad"), "InvalidParameterValue.InvalidAlias");
    assert_eq!([rename("before"), rename("after")], ["OK", "OK"]);
    client.expect("UpdateKeyDescription", json!({ "KeyId": key, "Description": "changed" }));
    let found = metadata(&client, &key);
    assert_eq!((&found["Alias"], &found["Description"]), (&json!("after"), &json!("changed")));
    create(&client, "before");
    let long = client.code("UpdateKeyDescription", json!({ "KeyId": key, "Description": "x".repeat(1025) }));
    assert_eq!(long, "InvalidParameter");
}
