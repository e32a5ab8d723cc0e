//! Sealing and opening between descriptors.

use std::ffi::{c_int, c_void};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tckms::Status;
use tckms::ffi::tckms_fd_options;

use super::api::Keyring;
use super::key::TestKey;
use support::Scratch;

const THREADS: [u32; 3] = [1, 2, 5];

fn options(threads: u32) -> tckms_fd_options {
    tckms_fd_options { threads, signed_allowed: 1, progress: None, userdata: ptr::null_mut() }
}

fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Seals or opens through files.
fn through(keyring: &Keyring, open: bool, input: &[u8], options: &tckms_fd_options) -> (Vec<u8>, Result<(), Status>) {
    let scratch = Scratch::new();
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    fs::write(&from, input).unwrap();
    let (source, sink) = (File::open(&from).unwrap(), File::create(&to).unwrap());
    let result = keyring.between(open, source.as_raw_fd(), sink.as_raw_fd(), options);
    (fs::read(&to).unwrap(), result)
}

#[test]
fn every_length_survives_with_any_number_of_threads() {
    const FRAME: usize = 65_536;
    const PIECE: usize = 1 << 20;
    for signed in [false, true] {
        let (keyring, _) = TestKey::keyring();
        keyring.set_signing(signed);
        for len in [0, 1, FRAME - 1, FRAME, FRAME + 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 77, 8 * PIECE] {
            let plaintext = plaintext(len);
            for threads in THREADS {
                let (message, result) = through(&keyring, false, &plaintext, &options(threads));
                result.unwrap();
                assert!(keyring.open(&message, "").unwrap() == plaintext, "{len} {threads}");
                let (opened, result) = through(&keyring, true, &message, &options(threads));
                assert_eq!(result, Ok(()), "{len} {threads}");
                assert!(opened == plaintext, "{len} {threads}");
            }
        }
    }
}

#[test]
fn short_and_long_frames_are_sealed_and_opened() {
    let (keyring, _) = TestKey::keyring();
    for (frame_len, len) in [(1, 3000), (100, 2_500_000), (3 << 20, 7 << 20)] {
        keyring.set_frame_len(frame_len).unwrap();
        let plaintext = plaintext(len);
        let (message, result) = through(&keyring, false, &plaintext, &options(3));
        result.unwrap();
        let (opened, result) = through(&keyring, true, &message, &options(3));
        assert_eq!(result, Ok(()));
        assert!(opened == plaintext);
    }
}

#[test]
fn only_what_is_authentic_is_written() {
    for signed in [false, true] {
        let (keyring, _) = TestKey::keyring();
        keyring.set_signing(signed);
        let plaintext = plaintext((3 << 20) + 77);
        let message = keyring.seal(&plaintext, "").unwrap();
        let mut changed = message.clone();
        changed[5 << 19] ^= 1;
        for threads in THREADS {
            let (written, result) = through(&keyring, true, &changed, &options(threads));
            assert_eq!(result, Err(Status::FrameNotAuthentic));
            assert!(written.len() <= 5 << 19 && plaintext.starts_with(&written));
            assert!(written.len() >= 3 << 19, "the data before the damage is written: {}", written.len());
            for len in [0, 1, 100, 1 << 20, message.len() - 1] {
                let (written, result) = through(&keyring, true, &message[..len], &options(threads));
                assert_eq!(result, Err(Status::Truncated), "{len}");
                assert!(plaintext.starts_with(&written) && written.len() < plaintext.len());
            }
            let (_, result) = through(&keyring, true, &[&message[..], b"x"].concat(), &options(threads));
            assert_eq!(result, Err(Status::TrailingData));
        }
    }
}

#[test]
fn a_signed_message_needs_to_be_allowed() {
    let (keyring, _) = TestKey::keyring();
    keyring.set_signing(true);
    let message = keyring.seal(b"x", "").unwrap();
    let refusing = tckms_fd_options { signed_allowed: 0, ..options(0) };
    assert_eq!(through(&keyring, true, &message, &refusing), (Vec::new(), Err(Status::SignedNotAllowed)));
}

#[test]
fn pipes_are_read_to_their_end() {
    let (keyring, _) = TestKey::keyring();
    let plaintext = plaintext(5_000_000);
    let (from, mut feed) = std::io::pipe().unwrap();
    let (mut drain, to) = std::io::pipe().unwrap();
    let opened = thread::scope(|scope| {
        scope.spawn(|| {
            for part in plaintext.chunks(9_999) {
                feed.write_all(part).unwrap();
            }
            drop(feed);
        });
        let reading = scope.spawn(move || {
            let mut message = Vec::new();
            drain.read_to_end(&mut message).unwrap();
            message
        });
        keyring.between(false, from.as_raw_fd(), to.as_raw_fd(), &options(2)).unwrap();
        drop(to);
        keyring.open(&reading.join().unwrap(), "").unwrap()
    });
    assert!(opened == plaintext);
}

/// SIGPIPE has its default disposition here, which would end the test process.
#[test]
fn a_pipe_without_a_reader_is_an_error_and_no_signal() {
    // SAFETY: changes the disposition of one signal of the test process.
    let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let (keyring, _) = TestKey::keyring();
    let (drain, to) = std::io::pipe().unwrap();
    drop(drain);
    let scratch = Scratch::new();
    let from = scratch.write("from", "hello");
    let source = File::open(from).unwrap();
    let result = keyring.between(false, source.as_raw_fd(), to.as_raw_fd(), &options(1));
    assert_eq!(result, Err(Status::DescriptorFailed));
    let errno = unsafe { tckms::ffi::tckms_error_os_errno(tckms::ffi::tckms_last_error()) };
    assert_eq!(errno, libc::EPIPE);
    // SAFETY: restores the disposition.
    unsafe { libc::signal(libc::SIGPIPE, before) };
}

#[test]
fn an_invalid_descriptor_is_an_error() {
    let (keyring, _) = TestKey::keyring();
    assert_eq!(keyring.between(false, -1, -1, &options(0)), Err(Status::DescriptorFailed));
    assert_eq!(keyring.between(true, -1, -1, &options(0)), Err(Status::DescriptorFailed));
    assert_eq!(keyring.between(false, 0, 1, &options(257)), Err(Status::OutOfRange));
}

#[derive(Default)]
struct ProgressRecord {
    calls: u32,
    done: u64,
    total: u64,
    stop: bool,
}

unsafe extern "C" fn on_progress(userdata: *mut c_void, done: u64, total: u64) -> c_int {
    let record = unsafe { &mut *userdata.cast::<ProgressRecord>() };
    assert!(done >= record.done);
    (record.calls, record.done, record.total) = (record.calls + 1, done, total);
    record.stop.into()
}

fn recorded_by(record: &mut ProgressRecord) -> tckms_fd_options {
    tckms_fd_options { progress: Some(on_progress), userdata: ptr::from_mut(record).cast(), ..options(2) }
}

#[test]
fn progress_ends_with_everything() {
    let (keyring, _) = TestKey::keyring();
    let mut record = ProgressRecord::default();
    let message = through(&keyring, false, &plaintext(3_000_000), &recorded_by(&mut record));
    message.1.unwrap();
    assert_eq!((record.done, record.total), (3_000_000, 3_000_000));

    let mut record = ProgressRecord::default();
    through(&keyring, true, &message.0, &recorded_by(&mut record)).1.unwrap();
    assert_eq!((record.done, record.total), (message.0.len() as u64, message.0.len() as u64));
}

/// A peer that sent invalid data and keeps its connection open must not delay the error.
#[test]
fn a_failure_is_reported_while_the_tool_waits_for_input() {
    let (keyring, _) = TestKey::keyring();
    let mut message = keyring.seal(&plaintext(3 << 20), "").unwrap();
    message[500_000] ^= 1;
    for threads in [1, 2, 4] {
        let (from, mut feed) = std::io::pipe().unwrap();
        let scratch = Scratch::new();
        let sink = File::create(scratch.path().join("to")).unwrap();
        thread::scope(|scope| {
            // The pipe stays open until the call returns.
            let feeding = scope.spawn(|| {
                let _ = feed.write_all(&message[..5 << 19]);
                feed
            });
            let started = Instant::now();
            let result = keyring.between(true, from.as_raw_fd(), sink.as_raw_fd(), &options(threads));
            assert_eq!(result, Err(Status::FrameNotAuthentic), "{threads}");
            assert!(started.elapsed() < Duration::from_secs(2), "{threads}: {:?}", started.elapsed());
            drop(from);
            drop(feeding.join().unwrap());
        });
    }
}

#[test]
fn a_callback_can_stop_a_call_that_waits_for_the_keys() {
    let (keyring, key) = TestKey::keyring();
    let message = keyring.seal(b"x", "").unwrap();
    key.delay_ms.store(500, Ordering::SeqCst);
    for (open, input) in [(false, &b"x"[..]), (true, &message)] {
        for answer in [Status::Ok, Status::RequestLimitExceeded] {
            key.set_answer(answer);
            let mut record = ProgressRecord { stop: true, ..ProgressRecord::default() };
            let (written, result) = through(&keyring, open, input, &recorded_by(&mut record));
            assert_eq!((written, result), (Vec::new(), Err(Status::Canceled)));
        }
    }
}

#[test]
fn a_callback_can_cancel_a_pipe_without_data() {
    let (keyring, _) = TestKey::keyring();
    let (from, mut feed) = std::io::pipe().unwrap();
    feed.write_all(b"a little").unwrap();
    let scratch = Scratch::new();
    let sink = File::create(scratch.path().join("to")).unwrap();
    let mut record = ProgressRecord { stop: true, ..ProgressRecord::default() };
    let started = Instant::now();
    let result = keyring.between(false, from.as_raw_fd(), sink.as_raw_fd(), &recorded_by(&mut record));
    assert_eq!(result, Err(Status::Canceled));
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(record.total, u64::MAX);
}
