//! The Go package: its own tests, against an installation that pkg-config finds, in the ways that find the mistakes of cgo.

mod support;

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use support::{Emulator, Header, Library, Prefix, Scratch, output_of, root, tool};

/// A command of Go in the package's folder, beside an installation with the shared library.
fn go(arguments: &[&str]) -> Command {
    static PREFIX: OnceLock<Prefix> = OnceLock::new();
    let prefix = PREFIX.get_or_init(|| Prefix::named("go-shared", &Library::Shared));
    let mut command = prefix.go(arguments);
    command.env("LD_LIBRARY_PATH", prefix.library_folder());
    command
}

/// Runs a command that has to succeed, with all it says when it does not.
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
    expect_success(go(&["test", "-count=1", "./..."]).env("GODEBUG", "cgocheck=1"));
}

#[test]
fn its_tests_pass_under_the_race_detector() {
    expect_success(&mut go(&["test", "-count=1", "-race", "./..."]));
}

/// The thorough check of what C may hold is an option of the running program before Go 1.21, and of the build since.
#[test]
fn its_tests_pass_under_the_thorough_cgo_check() {
    let version = output_of(&mut go(&["env", "GOVERSION"]));
    let minor =
        version.trim().strip_prefix("go1.").and_then(|rest| rest.split(['.', 'r', ' ', '-']).next()?.parse().ok());
    let minor: u32 = minor.unwrap_or_else(|| panic!("go env GOVERSION says {version:?}"));
    let (variable, value) = if minor < 21 { ("GODEBUG", "cgocheck=2") } else { ("GOEXPERIMENT", "cgocheck2") };
    expect_success(go(&["test", "-count=1", "./..."]).env(variable, value));
}

/// The program in the README, in a module of its own as it says there.
#[test]
fn the_readmes_program_runs() {
    let readme = fs::read_to_string(root().join("go/README.md")).unwrap();
    let program = readme.split("```go\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it has a program");
    let folder = Scratch::new();
    folder.write("main.go", program);
    let module = format!(
        "module example\n\ngo 1.19\n\nrequire tckms v0.0.0\n\nreplace tckms => {}\n",
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
