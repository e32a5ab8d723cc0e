//! A panic inside the library never reaches C. The tests use a library with a function that panics; the installed one does not have
//! it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::{CLANG, Compiler, Emulator, GCC, Library, output_of, release, root, tool};

const HOOK: &str = "tckms_test_panic";

/// The folder of a library with the hook, built in a separate folder so that it never replaces the other one.
fn library_with_hook() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("test-hooks");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).args(["rustc", "--locked", "--lib", "--crate-type", "cdylib"]);
        cargo.args(["--features", "test-hooks,wipe-on-free"]);
        // The debug information is not used, and without it the build takes a tenth of the space.
        cargo.args(["--config", "profile.dev.debug=false"]).arg("--target-dir").arg(&target);
        output_of(&mut cargo);
        target.join("debug")
    })
}

fn exports(library: &Path) -> String {
    output_of(tool("nm").args(["--dynamic", "--defined-only"]).arg(library))
}

fn a_panic_is_contained(compiler: Compiler, valgrind: bool) {
    let emulator = Emulator::over_http(&["main"]);
    let program = compiler.build("tests/c/panic.c", &Library::SharedIn(library_with_hook().to_owned()));
    let finished =
        program.with(emulator.environment()).variable("RUST_BACKTRACE", "full").under_valgrind(valgrind).run();
    finished.expect_nothing_but_passed_checks();
}

#[test]
fn a_panic_becomes_a_status_and_nothing_is_printed_with_gcc() {
    a_panic_is_contained(GCC, false);
}

#[test]
fn a_panic_becomes_a_status_and_nothing_is_printed_with_clang() {
    a_panic_is_contained(CLANG, false);
}

#[test]
fn a_panic_becomes_a_status_and_nothing_is_printed_under_valgrind() {
    a_panic_is_contained(GCC, true);
}

#[test]
fn a_panic_of_the_network_thread_completes_its_queued_calls() {
    let emulator = Emulator::over_http(&["main"]);
    let program = GCC.build("tests/c/queue_panic.c", &Library::SharedIn(library_with_hook().to_owned()));
    program.with(emulator.environment()).run().expect_nothing_but_passed_checks();
}

#[test]
fn the_installed_library_has_no_function_that_panics() {
    assert!(exports(&library_with_hook().join("libtckms.so")).contains(HOOK), "the hook has another name");
    assert!(!exports(&release("libtckms.so")).contains(HOOK), "libtckms.so was built with test-hooks");
}
