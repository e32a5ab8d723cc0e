//! At home in somebody else's process: forks, daemons, signals, threads, unloading, silence, secrets and memory.
//!
//! Each program in `tests/c/process_*.c` runs over HTTP and over HTTPS, with gcc and with clang, and must print nothing
//! but the number of its checks.

mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use support::{CLANG, Compiler, Emulator, GCC, Library, Scratch, release};

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
    let folder = folder.path().to_str().expect("its path is UTF-8");
    run.variable("TEST_FOLDER", folder).run().expect_nothing_but_passed_checks();
}

/// The keys that TC3 derives from the secret key for today, which are secrets too.
fn signing_keys(emulator: &Emulator) -> [(&'static str, String); 3] {
    let environment = emulator.environment();
    let (_, secret_key) = environment.iter().find(|(name, _)| name == "TENCENTCLOUD_SECRET_KEY").expect("it has a key");
    let today = iso_date(&httpdate::fmt_http_date(SystemTime::now()));
    let date_key = hmac(format!("TC3{secret_key}").as_bytes(), today.as_bytes());
    let service_key = hmac(&date_key, b"kms");
    let signing_key = hmac(&service_key, b"tc3_request");
    [
        ("TEST_DATE_KEY", hex(&date_key)),
        ("TEST_SERVICE_KEY", hex(&service_key)),
        ("TEST_SIGNING_KEY", hex(&signing_key)),
    ]
}

/// "Tue, 24 Nov 2026 08:00:00 GMT" as 2026-11-24.
fn iso_date(http_date: &str) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<_> = http_date.split(' ').collect();
    let month = 1 + MONTHS.iter().position(|name| *name == words[2]).expect("a month has its English name");
    format!("{}-{month:02}-{}", words[3], words[1])
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
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
