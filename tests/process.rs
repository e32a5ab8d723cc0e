//! At home in somebody else's process: forks, daemons, signals, threads, unloading, silence, secrets and memory.
//!
//! Each program in `tests/c/process_*.c` runs over HTTP and over HTTPS, with gcc and with clang, and must print nothing
//! but the number of its checks.

mod support;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use support::{CLANG, Compiler, Emulator, GCC, Library, Scratch, release};
use tckms::Secret;
use tckms::seal::{Context, KeyRequest, Keyring, WrappedKey, WrappingKey};

/// Builds and runs a program against an emulator, with what all of these programs are given.
fn passes(name: &str, compiler: Compiler, emulator: &Emulator) {
    let folder = Scratch::new();
    // One of them looks at the rounding mode, which is in libm; it is named before the source that needs it.
    let options = ["-Wl,--no-as-needed", "-lm"];
    let program = compiler.build_with(&options, format!("tests/c/process_{name}.c"), &Library::Shared);
    let mut run = program.with(emulator.environment());
    for (variable, value) in signing_keys(emulator) {
        run = run.variable(variable, &value);
    }
    for (variable, value) in known_message(&folder) {
        run = run.variable(variable, &value);
    }
    let folder = folder.path().to_str().expect("its path is UTF-8");
    run.variable("TEST_FOLDER", folder).run().expect_nothing_but_passed_checks();
}

/// The keys that TC3 derives from the secret key for today, which are secrets too.
fn signing_keys(emulator: &Emulator) -> [(&'static str, String); 3] {
    let environment = emulator.environment();
    let (_, secret_key) = environment.iter().find(|(name, _)| name == "TENCENTCLOUD_SECRET_KEY").expect("it has a key");
    let today = iso_date(&httpdate::fmt_http_date(SystemTime::now()));
    let date_key = hmac::<Sha256>(format!("TC3{secret_key}").as_bytes(), today.as_bytes());
    let service_key = hmac::<Sha256>(&date_key, b"kms");
    let signing_key = hmac::<Sha256>(&service_key, b"tc3_request");
    [
        ("TEST_DATE_KEY", hex(&date_key)),
        ("TEST_SERVICE_KEY", hex(&service_key)),
        ("TEST_SIGNING_KEY", hex(&signing_key)),
    ]
}

/// A sealed message in a file, its data key, and what that becomes in the two steps of HKDF (suite 0478).
fn known_message(folder: &Scratch) -> [(&'static str, String); 4] {
    let data_key = hmac::<Sha256>(b"for this test", b"a data key");
    let message = sealed_under(&data_key, b"known");
    let file = folder.path().join("message");
    std::fs::write(&file, &message).expect("a folder of one's own can be written to");
    let message_id = &message[3..35];
    let extracted = hmac::<Sha512>(message_id, &data_key);
    let content_key = hmac::<Sha512>(&extracted, b"\x04\x78DERIVEKEY\x01");
    [
        ("TEST_SEALED_MESSAGE", file.to_str().expect("its path is UTF-8").to_owned()),
        ("TEST_SEALED_DATA_KEY", hex(&data_key)),
        ("TEST_SEALED_EXTRACTED_KEY", hex(&extracted)),
        ("TEST_SEALED_CONTENT_KEY", hex(&content_key[..32])),
    ]
}

/// A message sealed under a data key that is known.
fn sealed_under(data_key: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut keyring = Keyring::new();
    keyring.add(Arc::new(KnownKey(data_key.to_vec())));
    let mut message = [0; 4096];
    let mut len = 0;
    let sealed = keyring.seal_into(plaintext, &Context::default(), |needed| {
        len = needed;
        Ok(&mut message[..needed])
    });
    sealed.expect("it can be sealed");
    message[..len].to_vec()
}

/// Its data key is not drawn, and the wrapped one says nothing.
struct KnownKey(Vec<u8>);

impl WrappingKey for KnownKey {
    fn identity(&self) -> Vec<u8> {
        Vec::new()
    }

    fn can_wrap(&self) -> bool {
        true
    }

    fn generate(&self, request: &KeyRequest<'_>) -> tckms::Result<(Secret, WrappedKey)> {
        let data_key = Secret::copy_of(&self.0)?;
        let wrapped = self.wrap(request, &data_key)?;
        Ok((data_key, wrapped))
    }

    fn wrap(&self, _: &KeyRequest<'_>, _: &Secret) -> tckms::Result<WrappedKey> {
        Ok(WrappedKey { provider_id: "known".to_owned(), provider_info: Vec::new(), blob: vec![0] })
    }

    fn claims(&self, _: &WrappedKey) -> bool {
        true
    }

    fn unwrap(&self, _: &KeyRequest<'_>, _: &WrappedKey) -> tckms::Result<Secret> {
        Secret::copy_of(&self.0)
    }
}

/// "Tue, 24 Nov 2026 08:00:00 GMT" as 2026-11-24.
fn iso_date(http_date: &str) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<_> = http_date.split(' ').collect();
    let month = 1 + MONTHS.iter().position(|name| *name == words[2]).expect("a month has its English name");
    format!("{}-{month:02}-{}", words[3], words[1])
}

fn hmac<Hash: EagerHash>(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Hash>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two tests for each program: gcc over HTTP, clang over HTTPS.
macro_rules! over_http_and_https {
    ($($name:ident: $program:literal;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn over_http() {
                passes($program, GCC, &Emulator::over_http(&["main", "other"]));
            }

            #[test]
            fn over_https() {
                passes($program, CLANG, &Emulator::over_https(&["main", "other"]));
            }
        }
    )*};
}

over_http_and_https! {
    forks: "fork";
    daemons: "daemon";
    signals: "signals";
    the_hosts_own_state: "state";
    threads: "threads";
    memory_that_runs_out: "memory";
    secrets_after_use: "secrets";
    secrets_after_sealing: "sealing";
}

/// The program is not linked with the library: it loads it, a thousand times.
#[test]
fn the_library_can_be_loaded_and_closed_again_and_again() {
    let emulator = Emulator::over_http(&["main"]);
    let program = GCC.build_with(&["-Wl,--as-needed"], "tests/c/process_unload.c", &Library::Shared);
    let library = release("libtckms.so");
    let run = program.with(emulator.environment()).variable("TEST_LIBRARY", library.to_str().expect("UTF-8"));
    run.run().expect_nothing_but_passed_checks();
}

#[test]
fn the_date_of_a_signature_is_that_of_the_clock() {
    assert_eq!(iso_date(&httpdate::fmt_http_date(UNIX_EPOCH)), "1970-01-01");
}
