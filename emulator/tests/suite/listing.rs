//! Lists of CMKs, and information about the service.

use serde_json::{Value, json};

use crate::support::{Client, Emulator};

fn create(client: &Client, body: Value) -> String {
    client.expect("CreateKey", body)["KeyId"].as_str().unwrap().to_owned()
}

fn aliases(client: &Client, filter: Value) -> Vec<String> {
    let answer = client.expect("ListKeyDetail", filter);
    let keys = answer["KeyMetadatas"].as_array().unwrap();
    assert_eq!(answer["TotalCount"], keys.len());
    keys.iter().map(|key| key["Alias"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn descriptions_are_in_the_requested_order() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let ids = [create(&client, json!({ "Alias": "a" })), emulator.key_id().to_owned()];
    let answer = client.expect("DescribeKeys", json!({ "KeyIds": ids }));
    let found: Vec<_> = answer["KeyMetadatas"].as_array().unwrap().iter().map(|key| key["KeyId"].clone()).collect();
    assert_eq!(found, ids);
    let missing = "23e80852-1e38-11e9-b129-5cb9019b4b01";
    assert_eq!(client.code("DescribeKeys", json!({ "KeyIds": [missing] })), "ResourceUnavailable.CmkNotFound");
}

#[test]
fn list_keys_pages_through_keys_in_use() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let mut ids: Vec<_> = (0..24).map(|number| create(&client, json!({ "Alias": format!("key{number}") }))).collect();
    ids.insert(0, emulator.key_id().to_owned());
    ids.reverse();
    let page = |body: Value| {
        let answer = client.expect("ListKeys", body);
        assert_eq!(answer["TotalCount"], 25);
        let keys = answer["Keys"].as_array().unwrap();
        keys.iter().map(|key| key["KeyId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(page(json!({})), ids[..10]);
    assert_eq!(page(json!({ "Offset": 20, "Limit": 200 })), ids[20..]);
    assert_eq!(client.code("ListKeys", json!({ "Limit": 201 })), "InvalidParameter");

    client.expect("ArchiveKey", json!({ "KeyId": ids[0] }));
    assert_eq!(client.expect("ListKeys", json!({}))["TotalCount"], 24);
    assert_eq!(client.expect("ListKeys", json!({ "Role": 1 }))["TotalCount"], 0);
}

#[test]
fn list_key_detail_filters_and_orders() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let tagged = json!([{ "TagKey": "team", "TagValue": "red" }]);
    create(&client, json!({ "Alias": "tagged", "Tags": tagged }));
    create(&client, json!({ "Alias": "external", "Type": 2 }));
    create(&client, json!({ "Alias": "signer", "KeyUsage": "ASYMMETRIC_SIGN_VERIFY_ECC" }));
    let disabled = create(&client, json!({ "Alias": "disabled" }));
    client.expect("DisableKey", json!({ "KeyId": disabled }));

    assert_eq!(aliases(&client, json!({})), ["disabled", "external", "tagged", "main"]);
    assert_eq!(aliases(&client, json!({ "OrderType": 1 })), ["main", "tagged", "external", "disabled"]);
    assert_eq!(aliases(&client, json!({ "KeyUsage": "ASYMMETRIC_SIGN_VERIFY_ECC" })), ["signer"]);
    assert_eq!(aliases(&client, json!({ "KeyUsage": "ALL" })).len(), 5);
    assert_eq!(aliases(&client, json!({ "KeyState": 1, "KeyUsage": "ALL" })), ["signer", "tagged", "main"]);
    assert_eq!(aliases(&client, json!({ "KeyState": 2 })), ["disabled"]);
    assert_eq!(aliases(&client, json!({ "KeyState": 4 })), ["external"]);
    assert_eq!(aliases(&client, json!({ "SearchKeyAlias": "ag" })), ["tagged"]);
    assert_eq!(aliases(&client, json!({ "SearchKeyAlias": emulator.key_id() })), ["main"]);
    assert_eq!(aliases(&client, json!({ "Origin": "EXTERNAL" })), ["external"]);
    assert_eq!(aliases(&client, json!({ "TagFilters": [{ "TagKey": "team", "TagValue": ["red"] }] })), ["tagged"]);
    assert!(aliases(&client, json!({ "TagFilters": [{ "TagKey": "team", "TagValue": ["blue"] }] })).is_empty());
    assert!(aliases(&client, json!({ "Role": 1 })).is_empty());
    for bad in [json!({ "KeyState": 6 }), json!({ "Origin": "external" }), json!({ "OrderType": 2 })] {
        assert_eq!(client.code("ListKeyDetail", bad), "InvalidParameter");
    }
}

#[test]
fn the_service_returns_its_regions_status_and_algorithms() {
    let emulator = Emulator::start(&["--region", "eu-frankfurt"]);
    let client = emulator.client();
    assert_eq!(client.expect("GetRegions", json!({}))["Regions"], json!(["eu-frankfurt"]));
    let status = client.expect("GetServiceStatus", json!({}));
    assert_eq!((&status["ServiceEnabled"], &status["CmkUserCount"]), (&json!(true), &json!(1)));
    assert_eq!(status.as_object().unwrap().len(), 26, "all fields of GetServiceStatus and the RequestId");
    let algorithms = client.expect("ListAlgorithms", json!({}));
    assert_eq!(algorithms["SymmetricAlgorithms"][0]["KeyUsage"], "ENCRYPT_DECRYPT");
    assert_eq!(algorithms["AsymmetricSignVerifyAlgorithms"].as_array().unwrap().len(), 5);
}
