//! Streams produce the same results as calls on complete data, whatever the sizes of the chunks.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use tckms::Status;

use super::api::{Keyring, Stream};
use super::key::TestKey;

const FRAME: usize = 4096;

fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

fn keyring(signed: bool) -> Keyring {
    let (keyring, _) = TestKey::keyring();
    keyring.set_frame_len(FRAME).unwrap();
    keyring.set_signing(signed);
    keyring
}

/// Lengths around multiples of the frame length.
const LENGTHS: [usize; 7] = [0, 1, FRAME - 1, FRAME, FRAME + 1, 10 * FRAME, 50_003];
const PIECES: [&[usize]; 6] = [&[1], &[7], &[FRAME], &[65_535, 65_537], &[10 << 20], &[3, 5000, 1, 64, 9000]];
const ROOMS: [&[usize]; 4] = [&[1 << 20], &[0, 1], &[FRAME + 32], &[0, 7, 5000, 100]];

#[test]
fn every_length_survives_in_every_combination() {
    for signed in [false, true] {
        let keyring = keyring(signed);
        for len in LENGTHS {
            let plaintext = plaintext(len);
            let message = keyring.seal(&plaintext, r#"{"a":"密"}"#).unwrap();
            assert!(keyring.open(&message, r#"{"a":"密"}"#).unwrap() == plaintext);
            for (pieces, rooms) in PIECES.into_iter().flat_map(|pieces| ROOMS.map(|rooms| (pieces, rooms))) {
                let (sealed, result) =
                    Stream::sealing(&keyring, r#"{"a":"密"}"#).unwrap().run(&plaintext, pieces, rooms);
                result.unwrap();
                assert_eq!(sealed.len(), message.len());
                assert!(keyring.open(&sealed, "").unwrap() == plaintext, "{len} {pieces:?} {rooms:?}");
                let opening = Stream::opening(&keyring, r#"{"a":"密"}"#).unwrap().allow_signed();
                let (opened, result) = opening.run(&message, pieces, rooms);
                assert_eq!(result, Ok(()), "{len} {pieces:?} {rooms:?}");
                assert!(opened == plaintext, "{len} {pieces:?} {rooms:?}");
            }
        }
    }
}

/// The default frame length, with chunks of about that length and much longer ones.
#[test]
fn long_messages_do_not_depend_on_the_length_of_chunks() {
    const FRAME: usize = 65_536;
    let (keyring, _) = TestKey::keyring();
    let random = random_pieces();
    for len in [10 * FRAME, (10 << 20) + 12_345] {
        let plaintext = plaintext(len);
        let message = keyring.seal(&plaintext, "").unwrap();
        for pieces in [&[FRAME - 1][..], &[FRAME], &[FRAME + 1], &[10 << 20], &random] {
            for rooms in [&[1 << 20][..], &[0, FRAME + 32], &[11 << 20]] {
                let (sealed, result) = Stream::sealing(&keyring, "{}").unwrap().run(&plaintext, pieces, rooms);
                assert_eq!(result, Ok(()), "{len} {pieces:?} {rooms:?}");
                assert!(keyring.open(&sealed, "").unwrap() == plaintext, "{len} {pieces:?} {rooms:?}");
                let (opened, result) = Stream::opening(&keyring, "{}").unwrap().run(&message, pieces, rooms);
                assert_eq!(result, Ok(()), "{len} {pieces:?} {rooms:?}");
                assert!(opened == plaintext, "{len} {pieces:?} {rooms:?}");
            }
        }
    }
}

/// Random sizes; a failure prints them.
fn random_pieces() -> Vec<usize> {
    let mut state = RandomState::new().build_hasher().finish();
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % 200_000 + 1
    };
    (0..50).map(|_| next()).collect()
}

#[test]
fn an_output_size_beyond_memory_is_an_error() {
    let keyring = keyring(false);
    let sealing = Stream::sealing(&keyring, "{}").unwrap();
    let opening = Stream::opening(&keyring, "{}").unwrap();
    for len in [usize::MAX, usize::MAX - 100, usize::MAX / 4096 * 4095] {
        assert_eq!(sealing.output_size(len), Err(Status::InvalidLength), "{len}");
    }
    assert_eq!(opening.output_size(usize::MAX), Ok(usize::MAX));
    opening.update(&[2], &mut []).unwrap();
    assert_eq!(opening.output_size(usize::MAX), Err(Status::InvalidLength));
}

#[test]
fn the_message_size_of_an_unknown_length_is_an_error() {
    let keyring = keyring(false);
    let stream = Stream::sealing(&keyring, "{}").unwrap();
    assert_eq!(stream.message_size(), Err(Status::InvalidState));
    stream.set_size(1).unwrap();
    stream.message_size().unwrap();
}

#[test]
fn a_multiple_of_the_frame_length_ends_with_an_empty_frame() {
    let keyring = keyring(false);
    let message = keyring.seal(&plaintext(2 * FRAME), "").unwrap();
    let last = &message[message.len() - 40..];
    assert_eq!(last[..8], [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 3]);
    assert_eq!(last[20..24], [0; 4]);
}

#[test]
fn sizes_are_known_before() {
    for signed in [false, true] {
        let keyring = keyring(signed);
        for len in LENGTHS {
            let stream = Stream::sealing(&keyring, "{}").unwrap();
            stream.set_size(len as u64).unwrap();
            let total = stream.message_size().unwrap();
            let mut room = vec![0; stream.output_size(len).unwrap()];
            assert_eq!(room.len() as u64, total, "{len}");
            let (consumed, produced) = stream.update(&plaintext(len), &mut room).unwrap();
            assert_eq!(consumed, len);
            let (rest, done) = stream.finish(&mut room[produced..]).unwrap();
            assert!(done);
            assert_eq!((produced + rest) as u64, total);
            let opening = Stream::opening(&keyring, "{}").unwrap().allow_signed();
            let mut plain = vec![0; opening.output_size(room.len()).unwrap()];
            let (consumed, produced) = opening.update(&room, &mut plain).unwrap();
            assert_eq!((consumed, produced, opening.finish(&mut [])), (room.len(), len, Ok((0, true))));
        }
    }
}

#[test]
fn the_configured_size_is_used() {
    let keyring = keyring(false);
    let sealing = |size| {
        let stream = Stream::sealing(&keyring, "{}").unwrap();
        stream.set_size(size).unwrap();
        stream
    };
    let room = &mut [0; 1000];
    assert_eq!(sealing(2).update(b"abc", room), Err(Status::PlaintextSize));
    let short = sealing(4);
    short.update(b"abc", room).unwrap();
    assert_eq!(short.finish(room), Err(Status::PlaintextSize));
    let bounded = Stream::sealing(&keyring, "{}").unwrap();
    bounded.set_bound(4).unwrap();
    bounded.update(b"abc", room).unwrap();
    assert_eq!(bounded.update(b"de", room), Err(Status::PlaintextSize));
    let message = keyring.seal(b"abc", "").unwrap();
    for (set, expected) in [(2, Err(Status::PlaintextSize)), (3, Ok(())), (4, Err(Status::PlaintextSize))] {
        let opening = Stream::opening(&keyring, "{}").unwrap();
        opening.set_size(set).unwrap();
        let (out, result) = opening.run(&message, &[100], &[100]);
        assert_eq!(result, expected);
        assert_eq!(out.is_empty(), set == 2);
    }
}

#[test]
fn options_come_before_the_first_byte_and_nothing_after_the_end() {
    let keyring = keyring(false);
    let stream = Stream::sealing(&keyring, "{}").unwrap();
    stream.update(&[], &mut []).unwrap();
    assert_eq!(stream.set_size(1), Err(Status::InvalidState));
    assert_eq!(stream.message_size(), Err(Status::InvalidState));
    let room = &mut [0; 1000];
    stream.finish(room).unwrap();
    assert_eq!(stream.finish(room), Ok((0, true)));
    assert_eq!(stream.update(b"x", room), Err(Status::InvalidState));
    let opening = Stream::opening(&keyring, "{}").unwrap();
    opening.update(&[2], &mut []).unwrap();
    assert_eq!(opening.set_bound(1), Err(Status::InvalidState));
    assert_eq!(opening.message_size(), Err(Status::InvalidState));
    assert_eq!(opening.finish(room), Err(Status::Truncated));
    assert_eq!(opening.finish(room), Err(Status::InvalidState));
}

#[test]
fn nothing_is_requested_before_the_first_byte() {
    let (keyring, key) = TestKey::keyring();
    let stream = Stream::sealing(&keyring, "{}").unwrap();
    assert_eq!(super::key::count(&key.generated), 0);
    stream.update(&[], &mut []).unwrap();
    assert_eq!(super::key::count(&key.generated), 1);
    drop(keyring);
    assert_eq!(super::key::count(&key.destroyed), 0, "a stream keeps the keys");
    drop(stream);
    assert_eq!(super::key::count(&key.destroyed), 1);
}

/// Two processes with the same key and the same frame numbers would reveal the content.
#[test]
fn a_forked_child_cannot_continue_its_parents_message() {
    let keyring = keyring(false);
    let stream = Stream::sealing(&keyring, "{}").unwrap();
    let room = &mut [0; 1000];
    stream.update(b"abc", room).unwrap();
    // SAFETY: the child only makes the calls and exits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let refused = stream.update(b"def", room) == Err(Status::InvalidState);
        // SAFETY: _exit() runs no code of the test harness.
        unsafe { libc::_exit(if refused { 0 } else { 1 }) };
    }
    let mut state = 0;
    // SAFETY: the child is our own.
    assert_eq!(unsafe { libc::waitpid(child, &mut state, 0) }, child);
    assert_eq!(state, 0);
    assert!(stream.finish(room).unwrap().1, "the parent continues");
}
