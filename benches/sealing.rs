//! What sealing costs beside the bare cipher of the same library, in one run: `cargo bench --bench sealing`.
//!
//! Prints a table, and writes the figures to target/sealing.json. Each figure is the best of several rounds that take
//! turns, so that what else the machine does falls on both. What one thread does is measured in its CPU time, page faults
//! included.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Salt};
use aws_lc_rs::rand;
use tckms::ffi::*;
use tckms::seal::{Cache, CacheLimits, Context, KeyRequest, Keyring, WrappedKey, WrappingKey};
use tckms::{Result, Secret, Status};

const FRAME: usize = 65_536;
const CONTEXT: &str = r#"{"purpose":"backup","tenant":"7"}"#;

fn main() {
    // `cargo test --benches` only wants to see it build and begin.
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let gibibyte = if quick { 1 << 22 } else { 1 << 30 };
    let small = if quick { 100 } else { 100_000 };
    let mut figures = Figures::default();
    large(gibibyte, if quick { 1 } else { 7 }, &mut figures);
    messages(small, if quick { 1 } else { 9 }, &mut figures);
    descriptors(gibibyte, if quick { 1 } else { 5 }, &mut figures);
    figures.write();
}

/// 1 GiB in frames of 64 KiB: the core into warm memory beside the cipher into the same, and the C functions, which
/// return fresh memory, beside the cipher into fresh memory.
fn large(len: usize, rounds: usize, figures: &mut Figures) {
    let (keyring, c_keyring, context) = keyrings();
    let plaintext = vec![9; len];
    let mut room = vec![1; len + (len / FRAME + 2) * 64 + 4096];
    let sealed = |room: &mut [u8]| {
        let mut used = 0;
        let all: &mut [u8] = room;
        keyring
            .seal_into(&plaintext, &context, |len| {
                used = len;
                Ok(&mut all[..len])
            })
            .unwrap();
        used
    };
    let (mut bare_warm, mut core_warm) = (Best::new(), Best::new());
    let (mut bare_open, mut core_open, mut back) = (Best::new(), Best::new(), vec![1; len]);
    let (mut bare_fresh, mut seal, mut open) = (Best::new(), Best::new(), Best::new());
    for _ in 0..rounds {
        bare_warm.time(|| bare_frames(&plaintext, &mut room));
        bare_open.time(|| bare_open_frames(&room, &mut back));
        let mut used = 0;
        core_warm.time(|| used = sealed(&mut room));
        core_open.time(|| {
            let back = &mut back;
            keyring.open_into(&room[..used], &context, move |len| Ok(&mut back[..len])).unwrap();
        });
        bare_fresh.time(|| {
            let mut fresh = vec![0; len + (len / FRAME + 1) * 32];
            bare_frames(&plaintext, &mut fresh);
        });
        let mut message = empty();
        seal.time(|| c_seal(c_keyring, &plaintext, &mut message));
        let mut opened = empty();
        open.time(|| c_open(c_keyring, &message, &mut opened));
        unsafe {
            tckms_buffer_free(&mut message);
            tckms_buffer_free(&mut opened);
        }
    }
    let rate = |best: &Best| len as f64 / best.0 / 1e9;
    figures.add("bare cipher, warm memory, GB/s", rate(&bare_warm));
    figures.add("seal into warm memory, GB/s", rate(&core_warm));
    figures.add("seal into warm memory / bare", bare_warm.0 / core_warm.0);
    figures.add("bare opening, warm memory, GB/s", rate(&bare_open));
    figures.add("open into warm memory, GB/s", rate(&core_open));
    figures.add("open into warm memory / bare", bare_open.0 / core_open.0);
    figures.add("bare cipher, fresh memory, GB/s", rate(&bare_fresh));
    figures.add("tckms_seal, GB/s", rate(&seal));
    figures.add("tckms_open, GB/s", rate(&open));
    figures.add("tckms_seal / bare into fresh memory", bare_fresh.0 / seal.0);
    figures.add("tckms_open / bare into fresh memory", bare_fresh.0 / open.0);
    unsafe { tckms_keyring_free(c_keyring) };
}

/// Messages of 1 KiB under a cached data key, beside the sum of the primitives that none can do without.
fn messages(count: usize, rounds: usize, figures: &mut Figures) {
    let (_, c_keyring, _) = keyrings();
    let plaintext = [7; 1024];
    let (mut bare, mut seal, mut open) = (Best::new(), Best::new(), Best::new());
    let mut message = empty();
    c_seal(c_keyring, &plaintext, &mut message);
    for _ in 0..rounds {
        let mut room = [0; 1024];
        bare.time(|| (0..count).for_each(|_| bare_message(&plaintext, &mut room)));
        seal.time(|| repeat(count, |out| c_seal(c_keyring, &plaintext, out)));
        open.time(|| repeat(count, |out| c_open(c_keyring, &message, out)));
    }
    let rate = |best: &Best| count as f64 / best.0;
    figures.add("bare primitives, 1 KiB messages/s", rate(&bare));
    figures.add("tckms_seal, 1 KiB messages/s", rate(&seal));
    figures.add("tckms_open, 1 KiB messages/s", rate(&open));
    figures.add("tckms_seal of 1 KiB / bare", bare.0 / seal.0);
    unsafe {
        tckms_buffer_free(&mut message);
        tckms_keyring_free(c_keyring);
    }
}

/// Between files in memory, with one thread and with two.
fn descriptors(len: usize, rounds: usize, figures: &mut Figures) {
    let (_, c_keyring, _) = keyrings();
    let folder = if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    let name = |what: &str| folder.join(format!("tckms-bench-{}-{what}", std::process::id()));
    fs::write(name("plain"), vec![9; len]).unwrap();
    let mut best = [Best::new(), Best::new()];
    for _ in 0..rounds {
        for (threads, best) in [1, 2].into_iter().zip(&mut best) {
            let (from, to) = (File::open(name("plain")).unwrap(), File::create(name("sealed")).unwrap());
            let options = tckms_fd_options { threads, signed_allowed: 0, progress: None, userdata: ptr::null_mut() };
            best.time_by_the_wall(|| {
                let size = size_of::<tckms_fd_options>();
                let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
                check(unsafe { tckms_seal_fd(c_keyring, from, to, ptr::null(), &options, size) });
            });
        }
    }
    figures.add("tckms_seal_fd, 1 thread, GB/s", len as f64 / best[0].0 / 1e9);
    figures.add("tckms_seal_fd, 2 threads, GB/s", len as f64 / best[1].0 / 1e9);
    figures.add("tckms_seal_fd, 2 threads / 1 thread", best[0].0 / best[1].0);
    fs::remove_file(name("plain")).unwrap();
    fs::remove_file(name("sealed")).unwrap();
    unsafe { tckms_keyring_free(c_keyring) };
}

fn bare_frames(plaintext: &[u8], out: &mut [u8]) {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    for (number, (content, frame)) in plaintext.chunks(FRAME).zip(out.chunks_mut(FRAME + 32)).enumerate() {
        let (ciphertext, tag) = frame[16..content.len() + 32].split_at_mut(content.len());
        let (nonce, aad) = (nonce(number as u32 + 1), Aad::from([3; 72]));
        key.seal_out_of_place_scatter(nonce, aad, content, ciphertext, &[], tag).unwrap();
    }
}

fn bare_open_frames(frames: &[u8], out: &mut [u8]) {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    for (number, (frame, content)) in frames.chunks(FRAME + 32).zip(out.chunks_mut(FRAME)).enumerate() {
        let (ciphertext, tag) = frame[16..content.len() + 32].split_at(content.len());
        key.open_separate_gather(nonce(number as u32 + 1), Aad::from([3; 72]), ciphertext, tag, content).unwrap();
    }
}

fn nonce(number: u32) -> Nonce {
    let mut nonce = [0; 12];
    nonce[8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

struct Len;

impl KeyType for Len {
    fn len(&self) -> usize {
        32
    }
}

/// A random id, an extract and two expands, a tag over a header, and a frame.
fn bare_message(plaintext: &[u8], out: &mut [u8]) {
    let (mut id, mut key, mut commit_key, mut tag) = ([0; 32], [0; 32], [0; 32], [0; 16]);
    rand::fill(&mut id).unwrap();
    let prk = Salt::new(HKDF_SHA512, &id).extract(&[7; 32]);
    prk.expand(&[b"\x04\x78", b"DERIVEKEY"], Len).unwrap().fill(&mut key).unwrap();
    prk.expand(&[b"COMMITKEY"], Len).unwrap().fill(&mut commit_key).unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
    key.seal_out_of_place_scatter(nonce(0), Aad::from([5; 410]), &[], &mut [], &[], &mut tag).unwrap();
    key.seal_out_of_place_scatter(nonce(1), Aad::from([5; 78]), plaintext, out, &[], &mut tag).unwrap();
}

/// A data key without a service, as long in the message as that of a CMK.
struct LocalKey;

impl WrappingKey for LocalKey {
    fn identity(&self) -> Vec<u8> {
        b"local".to_vec()
    }

    fn can_wrap(&self) -> bool {
        true
    }

    fn wrap(&self, _: &KeyRequest<'_>, data_key: &Secret) -> Result<WrappedKey> {
        let (provider_id, provider_info) = ("tencent-kms".to_owned(), vec![b'x'; 49]);
        Ok(WrappedKey { provider_id, provider_info, blob: data_key.expose().repeat(7) })
    }

    fn claims(&self, _: &WrappedKey) -> bool {
        true
    }

    fn unwrap(&self, _: &KeyRequest<'_>, wrapped: &WrappedKey) -> Result<Secret> {
        Secret::copy_of(&wrapped.blob[..32])
    }
}

unsafe extern "C" fn wrap(
    _: *mut std::ffi::c_void,
    _: *const std::ffi::c_char,
    data_key: *const u8,
    len: usize,
    out: *mut tckms_wrapped_key,
) -> i32 {
    unsafe {
        let blob = std::slice::from_raw_parts(data_key, len).repeat(7);
        tckms_wrapped_key_set(out, [b'x'; 49].as_ptr().cast(), 49, blob.as_ptr().cast(), blob.len()) as i32
    }
}

#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn unwrap(
    _: *mut std::ffi::c_void,
    _: *const std::ffi::c_char,
    _: *const u8,
    _: usize,
    wrapped: *const u8,
    _: usize,
    _: *const std::ffi::c_char,
    data_key: *mut u8,
    len: usize,
) -> i32 {
    unsafe { ptr::copy_nonoverlapping(wrapped, data_key, len) };
    0
}

/// The same keyring for the core and for C, each with a cache.
fn keyrings() -> (Keyring, *mut tckms_keyring, Context) {
    let mut keyring = Keyring::new();
    keyring.add(Arc::new(LocalKey));
    keyring.set_cache(Some(Arc::new(Cache::new(CacheLimits::default()).unwrap())));
    let c_keyring = tckms_keyring_new();
    let callbacks = tckms_custom_key {
        provider_id: c"tencent-kms".as_ptr(),
        generate: None,
        wrap: Some(wrap),
        unwrap: Some(unwrap),
        userdata: ptr::null_mut(),
        destroy: None,
    };
    unsafe {
        check(tckms_keyring_add_custom(c_keyring, &callbacks, size_of::<tckms_custom_key>()));
        check(tckms_keyring_set_cache(c_keyring, ptr::null(), 0));
    }
    (keyring, c_keyring, Context::from_json(CONTEXT).unwrap())
}

fn empty() -> tckms_buffer {
    tckms_buffer { data: ptr::null_mut(), len: 0 }
}

fn c_seal(keyring: *const tckms_keyring, plaintext: &[u8], out: &mut tckms_buffer) {
    let context = CString::new(CONTEXT).unwrap();
    check(unsafe { tckms_seal(keyring, plaintext.as_ptr().cast(), plaintext.len(), context.as_ptr(), out) });
}

fn c_open(keyring: *const tckms_keyring, message: &tckms_buffer, out: &mut tckms_buffer) {
    check(unsafe { tckms_open(keyring, message.data.cast(), message.len, ptr::null(), out) });
}

fn repeat(count: usize, mut work: impl FnMut(&mut tckms_buffer)) {
    for _ in 0..count {
        let mut out = empty();
        work(&mut out);
        unsafe { tckms_buffer_free(&mut out) };
    }
}

fn check(status: Status) {
    assert_eq!(status, Status::Ok);
}

struct Best(f64);

impl Best {
    fn new() -> Self {
        Self(f64::INFINITY)
    }

    /// In this thread's CPU time.
    fn time<T>(&mut self, work: impl FnOnce() -> T) {
        let started = cpu_seconds();
        std::hint::black_box(work());
        self.0 = self.0.min(cpu_seconds() - started);
    }

    /// By the clock on the wall, for work of several threads.
    fn time_by_the_wall(&mut self, work: impl FnOnce()) {
        let started = Instant::now();
        work();
        self.0 = self.0.min(started.elapsed().as_secs_f64());
    }
}

fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills a timespec of our own.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[derive(Default)]
struct Figures(serde_json::Map<String, serde_json::Value>);

impl Figures {
    fn add(&mut self, name: &str, value: f64) {
        println!("{name:<40} {value:>12.3}");
        self.0.insert(name.to_owned(), value.into());
    }

    fn write(self) {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("sealing.json");
        fs::write(&file, serde_json::Value::Object(self.0).to_string()).unwrap();
        println!("\nAll figures: {}", file.display());
    }
}
