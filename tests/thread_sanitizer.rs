//! Sixty-four threads with scripted faults, with the library, Rust's standard library and the program instrumented by
//! ThreadSanitizer. A data race ends the program.

use std::path::Path;
use std::process::Command;

use support::{Emulator, Scratch, instrumented_library, instrumented_program, output_of, soname};

#[test]
fn threads_that_share_a_client_have_no_data_race() {
    run("tests/c/process_threads.c");
}

/// A debug build, which also ends a program that uses handles in a way that the header forbids.
#[test]
fn what_the_header_allows_while_calls_run_is_no_race() {
    run("tests/c/sharing.c");
}

#[test]
fn threads_that_sign_have_no_data_race() {
    run("tests/c/signing_threads.c");
}

#[test]
fn queues_have_no_data_race() {
    run("tests/c/queue.c");
    run("tests/c/queue_stages.c");
}

fn run(source: &str) {
    let library = instrumented_library("tckms", Path::new(env!("CARGO_TARGET_TMPDIR")));
    let folder = Scratch::new();
    let program = folder.path().join("program");
    let soname = library.join(soname());
    // Another test of this program may have built it.
    let _ = std::os::unix::fs::symlink("libtckms.so", &soname);
    let libraries =
        [format!("-L{}", library.display()), format!("-Wl,-rpath,{}", library.display()), "-ltckms".to_owned()];
    instrumented_program(source, &["include", "tests/c"], &libraries, &program);

    let emulator = Emulator::over_http(&["main", "other"]);
    let mut run = Command::new(&program);
    run.env_clear().envs(emulator.environment()).env("TEST_SANITIZED", "1").env("TEST_CALLS", "2560");
    run.env("TSAN_OPTIONS", "halt_on_error=1");
    let said = output_of(&mut run);
    assert!(said.starts_with("ok ") && said.ends_with(" checks\n"), "{said}");
}
