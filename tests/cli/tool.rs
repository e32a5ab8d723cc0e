//! The tool with an emulator and a scratch folder.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::{Emulator, Scratch, release};

pub struct Cli {
    pub emulator: Emulator,
    pub scratch: Scratch,
}

impl Cli {
    pub fn new() -> Self {
        Self::with(Emulator::over_http(&["demo", "other"]))
    }

    pub fn with(emulator: Emulator) -> Self {
        Self { emulator, scratch: Scratch::new() }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(release("tckms"));
        command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        // A home without credentials, and a metadata service that replies at once.
        command.env("HOME", self.scratch.path()).env("TCKMS_METADATA_ENDPOINT", self.emulator.endpoint());
        command.env("TCKMS_STS_ENDPOINT", self.emulator.endpoint());
        command.envs(self.emulator.environment()).current_dir(self.scratch.path());
        command
    }

    pub fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        run(&mut self.command(arguments), input)
    }

    /// The output of a command that must succeed.
    pub fn bytes(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The output as text, without the newline.
    pub fn text(&self, arguments: &[&str], input: &[u8]) -> String {
        String::from_utf8(self.bytes(arguments, input)).unwrap().trim_end_matches('\n').to_owned()
    }

    pub fn json(&self, arguments: &[&str], input: &[u8]) -> Value {
        let text = self.text(&[&["--json"], arguments].concat(), input);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    pub fn key(&self) -> &str {
        self.emulator.key_id("demo")
    }

    pub fn other(&self) -> &str {
        self.emulator.key_id("other")
    }

    /// A new CMK with this usage.
    pub fn new_key(&self, usage: &str) -> String {
        let alias = usage.to_lowercase();
        self.text(&["keys", "create", &alias, "--usage", usage], b"")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub fn names(&self) -> Vec<String> {
        crate::harness::names_in(self.scratch.path())
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap()
    }
}

pub fn run(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // The tool reads nothing if it refuses its arguments.
        scope.spawn(move || stdin.write_all(input).ok());
        child.wait_with_output().unwrap()
    })
}

pub fn error_text(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
