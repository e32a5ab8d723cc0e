//! `--export`: starts the emulator as a background process, and prints the lines that a shell evaluates to use it.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

use serde_json::Value;

use crate::cli::Options;

/// The option that is removed from the command line of the background process.
pub const OPTION: &str = "--export";

/// Printed if the emulator does not start, so that the shell's `eval` fails.
pub const FAILURE: &str = "false\n";

/// Variables that would direct clients away from the emulator.
const CONFLICTING_VARIABLES: [&str; 3] = ["TENCENTCLOUD_SESSION_TOKEN", "TENCENTCLOUD_TOKEN", "TCKMS_PROXY"];

/// Starts the program again with `args` but without `--export`, and waits until it accepts calls. If the process
/// ends earlier, its exit status is returned, and its stderr is forwarded.
pub fn start(args: impl Iterator<Item = OsString>, options: &Options) -> Result<ExitCode, io::Error> {
    let mut process = spawn(args)?;
    // Forwarded only until this process ends: the reader of its stderr must see an end. Later messages are lost unless
    // --log-file stores them.
    let errors =
        process.stderr.take().map(|mut errors| thread::spawn(move || io::copy(&mut errors, &mut io::stderr())));
    let mut line = String::new();
    if let Some(stdout) = process.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let Ok(ready) = serde_json::from_str(&line) else {
        let status = process.wait()?;
        drop(errors.map(thread::JoinHandle::join));
        return Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from));
    };
    let printed = io::stdout().write_all(shell_lines(&ready, options, process.id()).as_bytes());
    if printed.is_err() {
        // Without the address and the process id, the caller could neither use nor stop it.
        process.kill()?;
    }
    printed.map(|()| ExitCode::SUCCESS)
}

/// A separate process group keeps it alive when the terminal's foreground job is interrupted.
fn spawn(args: impl Iterator<Item = OsString>) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(args.filter(|arg| arg != OPTION))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// The lines for `eval`, in the syntax of POSIX sh.
fn shell_lines(ready: &Value, options: &Options, process_id: u32) -> String {
    let text = |name: &str| ready[name].as_str().unwrap_or_default();
    let process_id = process_id.to_string();
    let mut lines = String::new();
    let mut export = |name: &str, value: &str| lines.push_str(&format!("export {name}={}\n", quoted(value)));
    export("TCKMS_ENDPOINT", text("endpoint"));
    export("TCKMS_STS_ENDPOINT", text("endpoint"));
    export("TENCENTCLOUD_SECRET_ID", text("secret_id"));
    export("TENCENTCLOUD_SECRET_KEY", text("secret_key"));
    export("TENCENTCLOUD_REGION", &options.region);
    if options.tls {
        export("TCKMS_CA_FILE", text("ca_file"));
    }
    let aliases = || options.keys.iter().map(|key| &key.alias);
    let key_id = |alias: &String| ready["keys"][alias].as_str().unwrap_or_default();
    if let Some(first) = aliases().next() {
        export("TCKMS_KEY_ID", key_id(first));
    }
    for alias in aliases() {
        export(&format!("TCKMS_KEY_ID_{}", alias.replace('-', "_")), key_id(alias));
    }
    export("TCKMS_EMULATOR_PID", &process_id);
    let conflicting = CONFLICTING_VARIABLES.into_iter().chain((!options.tls).then_some("TCKMS_CA_FILE"));
    conflicting.for_each(|name| lines.push_str(&format!("unset {name}\n")));
    lines
}

/// `value` as a quoted word of a shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_value_cannot_end_its_word() {
        assert_eq!(quoted("$(a) `b` \"c\""), "'$(a) `b` \"c\"'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
