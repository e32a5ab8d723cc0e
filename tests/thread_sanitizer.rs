//! Sixty-four threads among faults again, with the library, Rust's standard library and the program instrumented by
//! ThreadSanitizer: a data race ends the program.

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{CLANG, Emulator, Scratch, output_of, root, soname, tool};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Rust's own runtime of the sanitizer: that of a C compiler may be older than what rustc's code calls.
fn runtime() -> PathBuf {
    let sysroot = output_of(Command::new("rustc").args(["--print", "sysroot"]));
    let folder = Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib");
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock");
    assert!(source.is_file(), "Rust's library source is missing; run `rustup component add rust-src`");
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut runtimes = files.map(|file| file.unwrap().path()).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("librustc") && name.ends_with("_rt.tsan.a")
    });
    runtimes.next().expect("the toolchain brings the sanitizer's runtime")
}

/// Builds the library with the sanitizer. The stable toolchain does that when it is told to be a nightly one.
fn instrumented_library() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("thread-sanitizer");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["rustc", "--locked", "--lib", "--crate-type", "cdylib", "-Zbuild-std", "--target", TARGET])
        .current_dir(root());
    cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", &target);
    cargo.env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer");
    output_of(&mut cargo);
    target.join(TARGET).join("debug")
}

#[test]
fn threads_that_share_a_client_race_for_nothing() {
    run("tests/c/process_threads.c");
}

/// A debug build, which also ends a program that uses handles in ways that the header forbids.
#[test]
fn what_the_header_allows_while_calls_run_is_no_race() {
    run("tests/c/sharing.c");
}

#[test]
fn threads_that_sign_race_for_nothing() {
    run("tests/c/signing_threads.c");
}

fn run(source: &str) {
    let (runtime, library, folder) = (runtime(), instrumented_library(), Scratch::new());
    let (object, program) = (folder.path().join("program.o"), folder.path().join("program"));
    let soname = library.join(soname());
    // Another test of this program may have made it.
    let _ = std::os::unix::fs::symlink("libtckms.so", &soname);

    let include = |name: &str| format!("-I{}", root().join(name).display());
    let mut compile = tool(CLANG.command);
    compile.args(["-std=c17", "-O1", "-g", "-fsanitize=thread", "-c", "-o"]).arg(&object);
    compile.args([include("include"), include("tests/c")]).arg(root().join(source));
    output_of(&mut compile);
    let mut link = tool(CLANG.command);
    link.arg(&object).arg("-rdynamic").arg("-Wl,--whole-archive").arg(&runtime).arg("-Wl,--no-whole-archive");
    link.arg(format!("-L{}", library.display())).arg(format!("-Wl,-rpath,{}", library.display()));
    link.args(["-ltckms", "-lstdc++", "-lpthread", "-ldl", "-lm", "-lrt", "-o"]).arg(&program);
    output_of(&mut link);

    let emulator = Emulator::over_http(&["main", "other"]);
    let mut run = Command::new(&program);
    run.env_clear().envs(emulator.environment()).env("TEST_SANITIZED", "1").env("TEST_CALLS", "2560");
    run.env("TSAN_OPTIONS", "halt_on_error=1");
    let said = output_of(&mut run);
    assert!(said.starts_with("ok ") && said.ends_with(" checks\n"), "{said}");
}
