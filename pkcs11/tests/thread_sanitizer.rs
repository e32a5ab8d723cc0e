//! Sixty-four threads that sign, with the module, Rust's standard library and the program instrumented by ThreadSanitizer: a data
//! race ends the program. TEST_SIGNATURES says how many signatures each makes; `make pkcs11-test` has 10,000.

use std::path::Path;
use std::process::Command;

use support::{Emulator, Scratch, instrumented_library, instrumented_program, output_of};

#[test]
fn threads_that_sign_have_no_data_race() {
    let library = instrumented_library("tckms-pkcs11", Path::new(env!("CARGO_TARGET_TMPDIR")));
    let folder = Scratch::new();
    let program = folder.path().join("program");
    instrumented_program("pkcs11/tests/c/threads.c", &[], &[], &program);

    let emulator = Emulator::over_http(&["ec:ASYMMETRIC_SIGN_VERIFY_ECC"]);
    let signatures = std::env::var("TEST_SIGNATURES").unwrap_or_else(|_| "20".to_owned());
    let mut run = Command::new(&program);
    run.env_clear().envs(emulator.environment()).env("TCKMS_PKCS11_LOG", "stderr");
    run.env("TEST_MODULE", library.join("libtckms_pkcs11.so")).env("TEST_THREADS", "64");
    run.env("TCKMS_PKCS11_KEYS", format!("ec={}", emulator.key_id("ec"))).env("TEST_SIGNATURES", &signatures);
    run.env("TSAN_OPTIONS", "halt_on_error=1");
    let said = output_of(&mut run);
    assert!(said.starts_with("ok ") && said.ends_with(" checks\n"), "{said}");
    println!("64 threads made {signatures} signatures each");
}
