//! The sizes that a message claims are limited before memory is allocated for them.

use tckms::Status;

use super::api::{Stream, info};
use super::key::{PROVIDER, TestKey, count};

#[test]
fn wrapped_keys_are_counted_before_they_are_read() {
    let (keyring, key) = TestKey::keyring();
    for _ in 0..8 {
        key.add_to(&keyring, PROVIDER.as_ptr());
    }
    assert_eq!(keyring.seal(b"x", ""), Err(Status::OutOfRange));
    keyring.set_max_wrapped_keys(9).unwrap();
    let message = keyring.seal(b"x", "").unwrap();
    assert_eq!(keyring.open(&message, "").unwrap(), b"x");
    keyring.set_max_wrapped_keys(8).unwrap();
    let asked = count(&key.unwrapped);
    assert_eq!(keyring.open(&message, ""), Err(Status::TooManyDataKeys));
    let stream = Stream::opening(&keyring, "{}").unwrap();
    // Version, suite, message id, an empty context, and the count.
    assert_eq!(stream.update(&message[..39], &mut []), Err(Status::TooManyDataKeys));
    assert_eq!(count(&key.unwrapped), asked);
}

#[test]
fn headers_are_limited_by_the_announced_length() {
    let (keyring, _) = TestKey::keyring();
    let context = format!("{{\"a\":\"{}\"}}", "x".repeat(900));
    let message = keyring.seal(b"x", &context).unwrap();
    keyring.set_max_header_len(900).unwrap();
    let stream = Stream::opening(&keyring, "{}").unwrap();
    assert_eq!(stream.update(&message[..37], &mut []), Err(Status::HeaderTooLong));
    assert_eq!(keyring.open(&message, ""), Err(Status::HeaderTooLong));
    let header_len = info(&message).unwrap()["header_len"].as_u64().unwrap() as usize;
    keyring.set_max_header_len(header_len - 1).unwrap();
    assert_eq!(keyring.open(&message, ""), Err(Status::HeaderTooLong));
    keyring.set_max_header_len(header_len).unwrap();
    assert_eq!(keyring.open(&message, "").unwrap(), b"x");
}

#[test]
fn frames_are_limited_by_the_announced_length() {
    let (keyring, key) = TestKey::keyring();
    keyring.set_frame_len((16 << 20) + 1).unwrap();
    let message = keyring.seal(b"x", "").unwrap();
    assert_eq!(keyring.open(&message, ""), Err(Status::FrameTooLong));
    assert_eq!(count(&key.unwrapped), 0);
    keyring.set_max_frame_len((16 << 20) + 1).unwrap();
    assert_eq!(keyring.open(&message, "").unwrap(), b"x");
}

#[test]
fn setters_have_ranges() {
    let (keyring, _) = TestKey::keyring();
    for refused in [
        keyring.set_frame_len(0),
        keyring.set_frame_len(1 << 31),
        keyring.set_max_wrapped_keys(0),
        keyring.set_max_wrapped_keys(65_536),
        keyring.set_max_header_len((1 << 30) + 1),
        keyring.set_max_frame_len(1 << 31),
        keyring.set_max_unframed_len((1 << 36) - 31),
        keyring.set_policy(2),
        keyring.set_policy(-1),
    ] {
        assert_eq!(refused, Err(Status::OutOfRange));
    }
}
