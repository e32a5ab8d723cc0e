//! The emulator and the shared library against Tencent's own Python SDK; the tests themselves are in `contract/`.

mod support;

use std::process::Command;

use support::{Emulator, dist, output_of, release, root};

#[test]
fn the_official_sdk_the_emulator_and_the_library_understand_each_other() {
    let run = Command::new(root().join("tests/contract/run.sh"))
        .arg(concat!(env!("CARGO_TARGET_TMPDIR"), "/contract-venv"))
        .env("TCKMS_LIBRARY", dist("libtckms.so"))
        .env("TCKMS_EMULATOR", release("tckms-emulator"))
        .output()
        .expect("tests/contract/run.sh can be started");
    let said = [run.stdout, run.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();

    assert!(run.status.success(), "{said}\ntests/contract/run.sh: {}", run.status);
    // "OK (skipped=1)" would not do, and neither would a run that found no test.
    assert!(said.ends_with("\nOK\n") && !said.contains("\nRan 0 tests"), "{said}");
}

/// The suite of `make live-test`: what it expects of the service, the emulator does. The emulator answers every question but
/// those that no run can ask.
#[test]
fn the_emulator_answers_as_the_service_is_documented() {
    let emulator = Emulator::over_http(&[]);
    let mut suite = Command::new(env!("CARGO"));
    suite.args(["run", "--quiet", "--locked", "-p", "tckms-live-test", "--", "--allow-changes", "--unlimited"]);
    let report = output_of(suite.current_dir(root()).envs(emulator.environment()));
    let counts = report.lines().last().expect("the report ends with a summary");
    assert!(counts.contains(" 0 different, 1 not allowed, 0 failed;"), "{report}");
    assert!(!counts.contains(" 0 same"), "{report}");
}
