//! Prints results on standard output and failures on standard error. Terminal control characters are escaped.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Command;
use serde::Serialize;

use crate::descriptor;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::interrupt;
use crate::text::{safe, safe_json};

static JSON: AtomicBool = AtomicBool::new(false);
static PRINTED: Mutex<String> = Mutex::new(String::new());

/// Sets whether failures and notes are JSON objects.
pub fn set_json(json: bool) {
    JSON.store(json, Ordering::Relaxed);
}

/// Adds a line to standard output. Output is written at the end or by [`flush`].
pub fn line(text: &str) {
    let mut printed = PRINTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    printed.push_str(text);
    printed.push('\n');
}

/// Prints a result: as a JSON object with --json, else as text.
pub fn result<T: Serialize>(value: &T, text: impl FnOnce(&T)) {
    if JSON.load(Ordering::Relaxed) {
        line(&json_text(value));
    } else {
        text(value);
    }
}

/// JSON in one line, safe for a terminal.
pub fn json_text<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
    safe_json(&text).into_owned()
}

/// Writes the buffered output.
pub fn flush() -> Outcome<()> {
    let text = std::mem::take(&mut *PRINTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    if text.is_empty() {
        return Ok(());
    }
    let written =
        descriptor::writable(descriptor::STDOUT).and_then(|stdout| descriptor::write_all(stdout, text.as_bytes()));
    written.map_err(|errno| Failure::io("standard output", &errno.into()))
}

/// Prints a note on standard error.
pub fn note(what: &str, why: &str) {
    if JSON.load(Ordering::Relaxed) {
        to_stderr(&json_text(&serde_json::json!({ "note": why, "about": what })));
    } else {
        to_stderr(&format!("tckms: {}: {}", safe(what), safe(why)));
    }
}

/// The output of a failure with --json.
#[derive(Serialize)]
struct FailureJson<'a> {
    error: &'a str,
    about: Option<&'a str>,
    advice: Option<&'a str>,
    exit_status: u8,
    status: Option<String>,
    action: Option<&'a str>,
    service_code: Option<&'a str>,
    request_id: Option<&'a str>,
    key_id: Option<&'a str>,
    http_status: Option<u16>,
    retryable: bool,
    attempts: u32,
}

/// Prints a failure on standard error. Returns the exit status.
pub fn failure(failure: &Failure, json: bool) -> Exit {
    if failure.is_broken_pipe && !interrupt::received() {
        interrupt::end_by_broken_pipe();
    }
    if json {
        to_stderr(&json_text(&failure_json(failure)));
        return failure.exit;
    }
    let why = safe(&failure.why).into_owned();
    match &failure.what {
        Some(what) => to_stderr(&format!("tckms: {}: {why}", safe(what))),
        None => to_stderr(&format!("tckms: {why}")),
    }
    if let Some(advice) = &failure.advice {
        to_stderr(&format!("tckms: {}", safe(advice)));
    }
    failure.exit
}

fn failure_json(failure: &Failure) -> FailureJson<'_> {
    let error = failure.error.as_ref();
    FailureJson {
        error: &failure.why,
        about: failure.what.as_deref(),
        advice: failure.advice.as_deref(),
        exit_status: failure.exit as u8,
        status: error.map(|error| error.status().name().to_string_lossy().into_owned()),
        action: error.and_then(tckms::Error::action),
        service_code: error.and_then(tckms::Error::service_code),
        request_id: error.and_then(tckms::Error::request_id),
        key_id: error.and_then(tckms::Error::key_id),
        http_status: error.and_then(tckms::Error::http_status),
        retryable: error.is_some_and(tckms::Error::is_retryable),
        attempts: error.map_or(0, tckms::Error::attempts),
    }
}

/// Prints a result of clap for `command`: a help page, the version, or an error.
pub fn command_line(error: &clap::Error, command: Command) -> Exit {
    use clap::error::ErrorKind;
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let rendered = error.render();
        let text = if stdout_has_colours() { rendered.ansi().to_string() } else { rendered.to_string() };
        line(text.trim_end_matches('\n'));
        return match flush() {
            Ok(()) => Exit::Done,
            Err(failed) => failure(&failed, false),
        };
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            text.replacen('\n', &format!("\n  [subcommands: {}]\n", subcommands(command)), 1)
        }
        _ => text.to_owned(),
    };
    let text = text.as_str();
    if contains_json_option() {
        let (why, advice) = text.split_once("\n\n").unwrap_or((text, ""));
        return failure(&Failure::usage(in_one_line(why)).with_advice(in_one_line(advice)), true);
    }
    for (at, line) in text.lines().filter(|line| !line.is_empty()).enumerate() {
        to_stderr(&format!("{}{}", if at == 0 { "tckms: " } else { "" }, safe(line)));
    }
    Exit::Usage
}

/// The subcommands that are allowed where the command line has another word.
fn subcommands(mut command: Command) -> String {
    for word in std::env::args_os().skip(1) {
        if let Some(inner) = command.find_subcommand(word) {
            command = inner.clone();
        }
    }
    let shown = command.get_subcommands().filter(|one| !one.is_hide_set()).map(|one| one.get_name());
    shown.collect::<Vec<_>>().join(", ")
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether an invalid command line contains --json.
fn contains_json_option() -> bool {
    std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json")
}

/// Whether standard output is a terminal with colours.
pub fn stdout_has_colours() -> bool {
    std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// One write(), so that lines of several processes do not mix.
pub fn to_stderr(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Reports a bug of the tool. Only the position of the panic is printed: its text could contain input.
pub fn panicked(info: &std::panic::PanicHookInfo<'_>) {
    let location =
        info.location().map(|location| format!("{}:{}", location.file(), location.line())).unwrap_or_default();
    to_stderr(&format!("tckms: a bug in this program, please report it: {}", safe(&location)));
}
