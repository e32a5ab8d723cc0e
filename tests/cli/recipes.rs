//! Runs the shell recipes of docs/tool.md unchanged.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use support::{release, root};

use crate::tool::{Cli, error_text};

/// Replacements for database programs: one writes data, the other checks it.
const REPLACEMENTS: &[(&str, &str)] = &[
    ("pg_dump", "#!/bin/sh\nseq 100000\n"),
    ("psql", "#!/bin/sh\ntest \"$(md5sum)\" = \"$(seq 100000 | md5sum)\"\n"),
    ("mysqldump", "#!/bin/sh\nseq 200000\n"),
    ("mysql", "#!/bin/sh\ntest \"$(md5sum)\" = \"$(seq 200000 | md5sum)\"\n"),
];

fn recipes() -> Vec<String> {
    let document = fs::read_to_string(root().join("docs/tool.md")).unwrap();
    document.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_recipes_run_unchanged() {
    let cli = Cli::new();
    let programs = cli.file("bin");
    fs::create_dir(&programs).unwrap();
    for (name, script) in REPLACEMENTS {
        let path = cli.scratch.write(&format!("bin/{name}"), script);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let recipes = recipes();
    assert!(recipes.len() >= 7, "{}", recipes.len());
    for recipe in recipes {
        let mut command = Command::new("bash");
        command.args(["-e", "-u", "-o", "pipefail", "-c", &recipe]).env_clear().current_dir(cli.scratch.path());
        let tools = release("tckms").parent().unwrap().to_owned();
        command.env("PATH", format!("{}:{}:/usr/bin:/bin", programs.display(), tools.display()));
        command.env("HOME", cli.scratch.path()).env("CMK", cli.key()).env("CI_ID_TOKEN", "opaque");
        command.env("TCKMS_STS_ENDPOINT", cli.emulator.endpoint());
        command.env("TCKMS_METADATA_ENDPOINT", cli.emulator.endpoint()).envs(cli.emulator.environment());
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{recipe}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            error_text(&output)
        );
    }
}
