//! Programs that are linked with the archive run without the shared library.

use std::process::Command;

use support::{CLANG, Emulator, GCC, Library, Prefix, Scratch, output_of, tool};

/// The libraries that a program needs.
fn needed(program: &std::path::Path) -> Vec<String> {
    let listing = output_of(tool("readelf").arg("-d").arg(program));
    let needed = listing.lines().filter(|line| line.contains("(NEEDED)"));
    needed.map(|line| line.split(['[', ']']).nth(1).expect("a name in brackets").to_owned()).collect()
}

fn expect_no_libtckms(program: &std::path::Path) {
    let needed = needed(program);
    assert!(needed.iter().all(|name| !name.contains("tckms")), "{needed:?}");
    assert!(needed.iter().any(|name| name == "libc.so.6"), "{needed:?}");
}

#[test]
fn a_c_program() {
    let emulator = Emulator::over_https(&["demo"]);
    for compiler in [GCC, CLANG] {
        let program = compiler.build("examples-c/quickstart.c", &Library::Static);
        expect_no_libtckms(program.path());
        let finished = program.with(emulator.environment()).arguments(&[emulator.key_id("demo")]).run();
        assert!(finished.expect_success().contains("equals the original"), "{finished}");
    }
}

#[test]
fn a_go_program() {
    let prefix = Prefix::named("go-static", &Library::Static);
    let folder = Scratch::new();
    let program = folder.path().join("program");
    output_of(prefix.go(&["test", "-c", "-tags", "tckms_static", "-o"]).arg(&program));
    expect_no_libtckms(&program);
    let mut run = Command::new(&program);
    run.args(["-test.run", "TestCoreCalls|Example", "-test.v"]).env_remove("LD_LIBRARY_PATH");
    let printed = output_of(run.env("TCKMS_EMULATOR", support::release("tckms-emulator")));
    assert!(printed.contains("--- PASS: TestCoreCalls/HTTPS/deadline"), "{printed}");
}
