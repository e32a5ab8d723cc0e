//! What the tests of the C library share: the files under test, compilers, programs, and the emulator.

// Each test crate uses its own part of this.
#![allow(dead_code, unused_imports)]

mod compiler;
mod emulator;
mod header;
mod program;
mod scratch;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use compiler::{CLANG, Compiler, GCC, Library, Program};
pub use emulator::Emulator;
pub use header::{Declaration, Header};
pub use program::{Finished, Invocation};
pub use scratch::Scratch;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file that an earlier cargo command made.
///
/// The tests are about the artifacts as they are installed, whatever profile the tests themselves have: a missing one
/// is an error that says how to make it, never a test passed over.
pub fn release(name: &str) -> PathBuf {
    let target =
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("cargo's folder for tests is in the target folder");
    let file = target.join("release").join(name);
    let command = match name {
        "tckms-emulator" => "cargo build --release --locked -p tckms-emulator",
        _ => "cargo build --release --locked --lib --features wipe-on-free",
    };
    assert!(file.exists(), "{} is missing; run `{command}` or `make build`", file.display());
    file
}

/// Starts to describe a command, if this machine has it.
pub fn tool(name: &str) -> Command {
    let package = match name {
        "nm" | "readelf" | "strip" => "binutils",
        "g++" | "clang++" => "g++",
        other => other,
    };
    let path = std::env::var_os("PATH").expect("there is a PATH");
    let found = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    assert!(found, "{name} is missing; install the package {package}, or run `scripts/setup.sh test`");
    Command::new(name)
}

/// Runs a command that has to succeed, and returns what it printed.
pub fn output_of(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C").output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the output is text")
}
