//! Shared code of the tests of the C library: the files under test, compilers, programs, and the emulator.

mod compiler;
mod emulator;
mod header;
mod installation;
mod prefix;
mod program;
mod proxy;
mod release;
mod scratch;
mod thread_sanitizer;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub use compiler::{CLANG, Compiler, GCC, Library, Program};
pub use emulator::Emulator;
pub use header::{Declaration, Header};
pub use installation::{Installation, PREFIX, dist, make};
pub use prefix::Prefix;
pub use program::{Finished, Invocation};
pub use proxy::Proxy;
pub use release::release;
pub use scratch::Scratch;
pub use thread_sanitizer::{instrumented_library, instrumented_program};

/// The number in the SONAME, from packaging/abi-version.
pub fn abi() -> &'static str {
    include_str!("../../packaging/abi-version").trim()
}

pub fn soname() -> String {
    format!("libtckms.so.{}", abi())
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate is in tests/support")
}

/// Cargo's target folder, which contains the running test program.
pub fn target() -> PathBuf {
    let program = std::env::current_exe().expect("a test program has a path");
    program.ancestors().nth(3).expect("it is in target/PROFILE/deps").to_owned()
}

/// A command for a program of this machine. Fails if the program is missing.
pub fn tool(name: &str) -> Command {
    let package = match name {
        "nm" | "readelf" | "strip" => "binutils",
        "clang++" => "clang",
        "abidw" | "abidiff" => "abigail-tools",
        "go" | "gofmt" => "golang-go",
        other => other,
    };
    let path = std::env::var_os("PATH").expect("there is a PATH");
    let found = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    assert!(found, "{name} is missing; install the package {package}, or run `scripts/setup.sh test`");
    Command::new(name)
}

/// The command in an environment variable, split at blanks. Such variables are set when the tests run for another system.
pub fn command_from(variable: &str) -> Option<Command> {
    let words = std::env::var(variable).ok()?;
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next()?);
    command.args(words);
    Some(command)
}

/// A program on this system, or on the one that the tests are run for.
pub fn started(program: &Path) -> Command {
    let Some(mut runner) = command_from("TCKMS_TEST_RUNNER") else { return Command::new(program) };
    runner.arg(program);
    runner
}

/// The folder with the Node.js packages of tests/interop/package.json, which are installed if they are missing.
pub fn node_modules() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let environment = target().join("tmp").join("interop-node");
        let modules = environment.join("node_modules");
        fs::create_dir_all(&environment).unwrap();
        let (wanted, installed) = (root().join("tests/interop/package.json"), environment.join("package.json"));
        if fs::read(&installed).ok() != fs::read(&wanted).ok() || !modules.exists() {
            let _ = fs::remove_dir_all(&modules);
            fs::copy(wanted, installed).unwrap();
            output_of(tool("npm").args(["install", "--silent", "--no-audit", "--no-fund"]).current_dir(&environment));
        }
        modules
    })
}

/// Runs a command that must succeed, and returns its output.
pub fn output_of(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C").output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the output is text")
}
