//! Keyrings of CMKs, against the emulator.

use tckms::Status;

use super::api::{Client, Keyring, info};
use super::support::Emulator;

fn keyring(client: &Client, key_id: &str) -> Keyring {
    let keyring = Keyring::new();
    keyring.add_kms(client, key_id).unwrap();
    keyring
}

#[test]
fn what_is_sealed_under_a_cmk_is_opened_with_it() {
    let emulator = Emulator::over_http(&["one", "two"]);
    let client = Client::new(&emulator.environment(), "ap-guangzhou");
    let one = keyring(&client, emulator.key_id("one"));
    for (signed, context) in
        [(false, ""), (true, ""), (false, r#"{"b":"密\n","a":"1"}"#), (true, r#"{"b":"2","a":"1"}"#)]
    {
        one.set_signing(signed);
        let message = one.seal(b"x", context).unwrap();
        assert_eq!(one.open(&message, context).unwrap(), b"x");
        let claims = info(&message).unwrap();
        let claim = &claims["wrapped_keys"][0];
        assert_eq!(claim["provider_id"], "tencent-kms");
        assert_eq!(claim["provider_info"], format!("ap-guangzhou/{}", emulator.key_id("one")));
        let before = client.calls();
        assert_eq!(keyring(&client, emulator.key_id("two")).open(&message, ""), Err(Status::NoMatchingKey));
        assert_eq!(one.open(&message, r#"{"a":"other"}"#), Err(Status::ContextMismatch));
        assert_eq!(client.calls(), before, "nobody was asked");
    }
}

#[test]
fn each_region_opens_alone() {
    let (near, far) = (Emulator::over_http(&["near"]), Emulator::over_http(&["far"]));
    let near_client = Client::new(&near.environment(), "ap-guangzhou");
    let far_client = Client::new(&far.environment(), "ap-singapore");
    let both = keyring(&near_client, near.key_id("near"));
    both.add_kms(&far_client, far.key_id("far")).unwrap();
    let message = both.seal(b"x", r#"{"a":"1"}"#).unwrap();
    assert_eq!((near_client.calls(), far_client.calls()), (1, 1));
    assert_eq!(keyring(&far_client, far.key_id("far")).open(&message, "").unwrap(), b"x");
    assert_eq!(near_client.calls(), 1);
    // With the first region gone, the second one answers; with both gone it is an outage and not a bad message.
    drop(near);
    assert_eq!(both.open(&message, "").unwrap(), b"x");
    drop(far);
    assert_eq!(both.open(&message, ""), Err(Status::ConnectFailed));
    assert!(super::api::last_is_retryable());
}

#[test]
fn a_region_is_part_of_a_keys_name() {
    let emulator = Emulator::over_http(&["one"]);
    let here = Client::new(&emulator.environment(), "ap-guangzhou");
    let there = Client::new(&emulator.environment(), "ap-singapore");
    let message = keyring(&here, emulator.key_id("one")).seal(b"x", "").unwrap();
    assert_eq!(keyring(&there, emulator.key_id("one")).open(&message, ""), Err(Status::NoMatchingKey));
    assert_eq!(there.calls(), 0);
}

/// A wrapped key that names an allowed CMK but was made by another one: the reply tells.
#[test]
fn a_reply_about_another_cmk_is_refused() {
    let emulator = Emulator::over_http(&["one", "two"]);
    let client = Client::new(&emulator.environment(), "ap-guangzhou");
    let (one, two) = (emulator.key_id("one"), emulator.key_id("two"));
    let message = keyring(&client, one).seal(b"x", "").unwrap();
    let place = message.windows(one.len()).position(|part| part == one.as_bytes()).unwrap();
    let mut renamed = message.clone();
    renamed[place..place + one.len()].copy_from_slice(two.as_bytes());
    assert_eq!(keyring(&client, two).open(&renamed, ""), Err(Status::KeyMismatch));
}

#[test]
fn an_alias_is_no_key_id() {
    let emulator = Emulator::over_http(&["one"]);
    let client = Client::new(&emulator.environment(), "ap-guangzhou");
    for bad in ["", "alias/one", "a b", &"a".repeat(65)] {
        assert_eq!(Keyring::new().add_kms(&client, bad), Err(Status::MalformedKeyId), "{bad}");
    }
    let unknown = keyring(&client, "00000000-0000-0000-0000-000000000000");
    assert!(matches!(unknown.seal(b"x", ""), Err(Status::CmkNotFound | Status::InvalidKeyId)));
}
