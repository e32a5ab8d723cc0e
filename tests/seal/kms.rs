//! Keyrings of CMKs, against the emulator.

use tckms::Status;

use super::api::{Client, Keyring, Stream, forged, info};
use support::Emulator;

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
        assert_eq!(client.calls(), before, "no request was sent");
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
    // Without the first region, the second one is used; without both, the error is an outage and not a bad message.
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

/// A wrapped key that names an allowed CMK but was made by another one: the reply shows it.
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

/// Messages of one data key and context, and a keyring with a cache that opened one of them.
fn opened_once(client: &Client, key_id: &str) -> (Keyring, Vec<Vec<u8>>) {
    let limits = unsafe { std::mem::zeroed() };
    let writer = keyring(client, key_id);
    writer.set_cache(&limits).unwrap();
    let messages: Vec<_> = (0..20).map(|_| writer.seal(b"x", r#"{"a":"1"}"#).unwrap()).collect();
    let reader = keyring(client, key_id);
    reader.set_cache(&limits).unwrap();
    reader.open(&messages[0], "").unwrap();
    (reader, messages)
}

/// The offset of the text of the wrapped key.
fn blob_at(message: &[u8], key_id: &str) -> usize {
    message.windows(key_id.len()).position(|part| part == key_id.as_bytes()).unwrap() + key_id.len() + 2
}

#[test]
fn forged_messages_evict_nothing_and_cost_few_requests() {
    let emulator = Emulator::over_http(&["one"]);
    let client = Client::new(&emulator.environment(), "ap-guangzhou");
    let key_id = emulator.key_id("one");
    let (reader, messages) = opened_once(&client, key_id);
    let (message, before) = (&messages[0], client.calls());
    let commit_key_at = message.len() - (4 + 4 + 12 + 4 + 1 + 16) - 16 - 32;
    let begun = std::time::Instant::now();
    for number in 0..1000_usize {
        let mut forged = message.clone();
        match number % 4 {
            // Another message id, and another commitment, with a correct wrapped key.
            0 => forged[3 + number % 32] ^= 1 + (number / 32) as u8,
            1 => forged[commit_key_at + number % 32] ^= 1 + (number / 32) as u8,
            // Another wrapped key.
            2 => forged[blob_at(message, key_id) + 20 + number % 100] ^= 1 + (number / 100) as u8 % 3,
            // An additional wrapped key before the correct one.
            _ => forged = with_a_wrapped_key_more(message, key_id, format!("junk{number}").as_bytes()),
        }
        assert!(reader.open(&forged, "").is_err(), "{number}");
    }
    let share = 100 + 10 * (begun.elapsed().as_secs() + 1);
    assert!(client.calls() - before <= share, "{} requests", client.calls() - before);
    let before = client.calls();
    for message in &messages {
        assert_eq!(reader.open(message, "").unwrap(), b"x");
    }
    assert_eq!(client.calls(), before, "authentic messages are opened from the cache");
}

fn with_a_wrapped_key_more(message: &[u8], key_id: &str, blob: &[u8]) -> Vec<u8> {
    let context_len = usize::from(u16::from_be_bytes([message[35], message[36]]));
    let count_at = 37 + context_len;
    let more = forged(&[("tencent-kms", &format!("ap-guangzhou/{key_id}"), blob)]);
    let more = &more[39..more.len() - 5 - 32 - 16 - 40];
    [&message[..count_at], &[0, 2], more, &message[count_at + 2..]].concat()
}

#[test]
fn a_wrapped_key_that_the_service_refused_is_not_sent_again_for_a_while() {
    let emulator = Emulator::over_http(&["one"]);
    let client = Client::new(&emulator.environment(), "ap-guangzhou");
    let reader = keyring(&client, emulator.key_id("one"));
    let junk = forged(&[("tencent-kms", &format!("ap-guangzhou/{}", emulator.key_id("one")), b"junk")]);
    let first = reader.open(&junk, "").unwrap_err();
    for _ in 0..10 {
        assert_eq!(reader.open(&junk, ""), Err(first));
        let (_, result) = Stream::opening(&reader, "{}").unwrap().run(&junk, &[77], &[4096]);
        assert_eq!(result, Err(first));
    }
    assert_eq!(client.calls(), 1);
}

#[test]
fn a_data_key_that_did_not_authenticate_a_message_is_reused() {
    let emulator = Emulator::over_http(&["one"]);
    let client = Client::new(&emulator.environment(), "ap-guangzhou");
    let message = keyring(&client, emulator.key_id("one")).seal(b"x", "").unwrap();
    let reader = keyring(&client, emulator.key_id("one"));
    reader.set_cache(&unsafe { std::mem::zeroed() }).unwrap();
    let before = client.calls();
    for number in 0..300_usize {
        let mut changed = message.clone();
        changed[3 + number % 32] ^= 1 + (number / 32) as u8;
        assert_eq!(reader.open(&changed, ""), Err(Status::CommitmentMismatch));
    }
    for _ in 0..3 {
        assert_eq!(reader.open(&message, "").unwrap(), b"x");
    }
    assert_eq!(client.calls(), before + 1);
}

#[test]
fn useless_requests_are_limited() {
    let emulator = Emulator::over_http(&["one"]);
    let client = Client::new(&emulator.environment(), "ap-guangzhou");
    let reader = keyring(&client, emulator.key_id("one"));
    reader.set_total_timeout_ms(50).unwrap();
    let name = format!("ap-guangzhou/{}", emulator.key_id("one"));
    let outcomes: Vec<_> = (0..200)
        .map(|number| reader.open(&forged(&[("tencent-kms", &name, format!("junk{number}").as_bytes())]), ""))
        .collect();
    assert!(outcomes.contains(&Err(Status::OpenLimited)));
    assert!(client.calls() >= 100 && client.calls() < 150, "{}", client.calls());
    // Sealing and other keyrings are not affected.
    let message = reader.seal(b"x", "").unwrap();
    assert_eq!(keyring(&client, emulator.key_id("one")).open(&message, "").unwrap(), b"x");
    reader.set_total_timeout_ms(30_000).unwrap();
    assert_eq!(reader.open(&message, "").unwrap(), b"x");
}

/// A wrapped key may name a CMK that does not exist, and the service's error is about that CMK.
#[test]
fn refusals_that_blame_a_cmk_are_useless_requests_too() {
    let emulator = Emulator::over_http(&["one"]);
    let client = Client::new(&emulator.environment(), "ap-guangzhou");
    let messages = keyring(&client, emulator.key_id("one"));
    let messages: Vec<_> = (0..200).map(|_| messages.seal(b"x", "").unwrap()).collect();
    emulator.set_faults(r#"[{"fault":{"kind":"error","code":"ResourceUnavailable.CmkNotFound"},"times":1000000}]"#);
    let reader = keyring(&client, emulator.key_id("one"));
    reader.set_total_timeout_ms(50).unwrap();
    let before = client.calls();
    let outcomes: Vec<_> = messages.iter().map(|message| reader.open(message, "")).collect();
    assert!(outcomes.contains(&Err(Status::CmkNotFound)) && outcomes.contains(&Err(Status::OpenLimited)));
    assert!(client.calls() - before < 150, "{}", client.calls() - before);
}
