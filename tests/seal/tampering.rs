//! A message that was changed, truncated, reordered or spliced does not open, and no byte of a frame is released before the frame is
//! authenticated.

use tckms::Status;

use super::api::{Keyring, Stream, last_message};
use super::key::TestKey;

const FRAME: usize = 16;
const PLAINTEXT: &[u8; 40] = b"0123456789abcdefFEDCBA9876543210last:-)!";
const CONTEXT: &str = r#"{"a":"1","b":"22"}"#;
/// A regular frame with its number, IV and tag.
const WHOLE_FRAME: usize = 4 + 12 + FRAME + 16;
const LAST_FRAME: usize = 4 + 4 + 12 + 4 + 8 + 16;

fn keyring(signed: bool) -> Keyring {
    let (keyring, _) = TestKey::keyring();
    keyring.set_frame_len(FRAME).unwrap();
    keyring.set_signing(signed);
    keyring
}

fn stream(keyring: &Keyring, message: &[u8]) -> (Vec<u8>, Result<(), Status>) {
    Stream::opening(keyring, "{}").unwrap().allow_signed().run(message, &[7], &[4096])
}

/// The offset of frame `number` (from 0); the third is the final one.
fn frame_at(message: &[u8], signed: bool, number: usize) -> usize {
    let footer = if signed { 105 } else { 0 };
    message.len() - footer - LAST_FRAME - (2 - number) * WHOLE_FRAME
}

/// The maximum length of plaintext in complete frames before the damage.
fn untouched(message: &[u8], signed: bool, place: usize) -> usize {
    let whole = (0..2).filter(|number| place >= frame_at(message, signed, number + 1)).count() * FRAME;
    if signed || place < message.len() { whole } else { PLAINTEXT.len() }
}

#[test]
fn no_flipped_bit_is_overlooked() {
    for signed in [false, true] {
        let keyring = keyring(signed);
        let message = keyring.seal(PLAINTEXT, CONTEXT).unwrap();
        assert_eq!(keyring.open(&message, CONTEXT).unwrap(), PLAINTEXT);
        for bit in 0..message.len() * 8 {
            let mut changed = message.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(keyring.open(&changed, "").is_err(), "bit {bit}");
            let (out, result) = stream(&keyring, &changed);
            assert!(result.is_err(), "bit {bit}");
            let most = untouched(&message, signed, bit / 8);
            assert!(out.len() <= most && PLAINTEXT.starts_with(&out), "bit {bit}: {} bytes were released", out.len());
        }
    }
}

#[test]
fn no_truncation_is_overlooked() {
    for signed in [false, true] {
        let keyring = keyring(signed);
        let message = keyring.seal(PLAINTEXT, CONTEXT).unwrap();
        for len in 0..message.len() {
            assert_eq!(keyring.open(&message[..len], ""), Err(Status::Truncated), "{len}");
            let (out, result) = stream(&keyring, &message[..len]);
            assert_eq!(result, Err(Status::Truncated), "{len}");
            assert!(out.len() <= untouched(&message, signed, len) && PLAINTEXT.starts_with(&out), "{len}");
        }
    }
}

#[test]
fn nothing_may_follow_the_end() {
    for signed in [false, true] {
        let keyring = keyring(signed);
        let mut message = keyring.seal(PLAINTEXT, CONTEXT).unwrap();
        message.push(0);
        assert_eq!(keyring.open(&message, ""), Err(Status::TrailingData));
        assert_eq!(stream(&keyring, &message).1, Err(Status::TrailingData));
        let message = [&message[..message.len() - 1], &message[..message.len() - 1]].concat();
        assert_eq!(keyring.open(&message, ""), Err(Status::TrailingData));
        assert_eq!(stream(&keyring, &message).1, Err(Status::TrailingData));
    }
}

#[test]
fn a_line_end_after_the_end_is_named() {
    for signed in [false, true] {
        let keyring = keyring(signed);
        let message = keyring.seal(PLAINTEXT, CONTEXT).unwrap();
        for line_end in ["\n", "\r\n"] {
            let message = [&message, line_end.as_bytes()].concat();
            assert_eq!(keyring.open(&message, ""), Err(Status::TrailingData));
            assert!(last_message().contains("a newline follows"), "{}", last_message());
            assert_eq!(stream(&keyring, &message).1, Err(Status::TrailingData));
            assert!(last_message().contains("a newline follows"), "{}", last_message());
        }
    }
}

#[test]
fn frames_keep_their_places() {
    let keyring = keyring(false);
    let message = keyring.seal(PLAINTEXT, CONTEXT).unwrap();
    let (head, rest) = message.split_at(frame_at(&message, false, 0));
    let (first, rest) = rest.split_at(WHOLE_FRAME);
    let (second, last) = rest.split_at(WHOLE_FRAME);
    for (name, parts) in [
        ("swapped", vec![head, second, first, last]),
        ("repeated", vec![head, first, first, second, last]),
        ("dropped", vec![head, second, last]),
        ("dropped before the last", vec![head, first, last]),
        ("only the last", vec![head, last]),
    ] {
        let changed = parts.concat();
        assert_eq!(keyring.open(&changed, ""), Err(Status::FrameSequence), "{name}");
        let (out, result) = stream(&keyring, &changed);
        assert_eq!(result, Err(Status::FrameSequence), "{name}");
        assert!(PLAINTEXT.starts_with(&out), "{name}");
    }
    assert_eq!(keyring.open(&[head, first, second, last, last].concat(), ""), Err(Status::TrailingData));
    // A frame with a changed number.
    let mut renumbered = second.to_vec();
    renumbered[3] = 1;
    assert_eq!(keyring.open(&[head, &renumbered, second, last].concat(), ""), Err(Status::FrameNotAuthentic));
}

#[test]
fn parts_of_two_messages_do_not_make_one() {
    for same_data_key in [false, true] {
        let (keyring, _) = TestKey::keyring();
        keyring.set_frame_len(FRAME).unwrap();
        if same_data_key {
            keyring.set_cache(&Default::default()).unwrap();
        }
        let one = keyring.seal(PLAINTEXT, CONTEXT).unwrap();
        let other = keyring.seal(PLAINTEXT, CONTEXT).unwrap();
        for number in 0..3 {
            let place = frame_at(&one, false, number);
            let spliced = [&one[..place], &other[place..]].concat();
            assert_eq!(keyring.open(&spliced, ""), Err(Status::FrameNotAuthentic), "{number}");
            let (out, result) = stream(&keyring, &spliced);
            assert_eq!((out.len(), result), (number * FRAME, Err(Status::FrameNotAuthentic)));
        }
    }
}

#[test]
fn a_signed_message_keeps_its_last_frame_until_the_signature_is_checked() {
    let keyring = keyring(true);
    let message = keyring.seal(PLAINTEXT, CONTEXT).unwrap();
    let stream = Stream::opening(&keyring, "{}").unwrap().allow_signed();
    let mut room = [0; 100];
    let (consumed, produced) = stream.update(&message[..message.len() - 1], &mut room).unwrap();
    assert_eq!((consumed, produced), (message.len() - 1, 2 * FRAME));
    let (consumed, produced) = stream.update(&message[message.len() - 1..], &mut room).unwrap();
    assert_eq!((consumed, produced), (1, PLAINTEXT.len() - 2 * FRAME));
    assert_eq!(stream.finish(&mut room), Ok((0, true)));
}

#[test]
fn a_failed_call_leaves_nothing_in_its_output() {
    let keyring = keyring(false);
    let mut message = keyring.seal(PLAINTEXT, CONTEXT).unwrap();
    *message.last_mut().unwrap() ^= 1;
    let mut room = [0; 100];
    let stream = Stream::opening(&keyring, "{}").unwrap();
    assert_eq!(stream.update(&message, &mut room), Err(Status::FrameNotAuthentic));
    assert_eq!(room, [0; 100]);
}

#[test]
fn a_signed_stream_is_refused_unless_it_is_allowed() {
    let keyring = keyring(true);
    let message = keyring.seal(PLAINTEXT, CONTEXT).unwrap();
    let stream = Stream::opening(&keyring, "{}").unwrap();
    // The suite is in the first three bytes; no key is requested.
    assert_eq!(stream.update(&message[..3], &mut []), Err(Status::SignedNotAllowed));
    assert_eq!(stream.update(&message, &mut []), Err(Status::InvalidState));
}
