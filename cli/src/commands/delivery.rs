//! Writes results that are in memory, text or bytes, to standard output or a file.

use std::ffi::OsString;

use clap::Args;
use serde::Serialize;
use tckms::Secret;

use crate::connection::Global;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::files::output::Output;
use crate::report;
use crate::secret_input::encoded;
use crate::text::is_showable;

#[derive(Args, Clone, Debug)]
pub struct OutputOption {
    /// Write to FILE, which is replaced only by a complete result; "-" is standard output, the default
    #[arg(short, long, value_name = "FILE", allow_hyphen_values = true)]
    pub output: Option<OsString>,
}

impl OutputOption {
    /// Resolves the output before anything is read or sent. A file with a secret is readable by its owner only.
    pub fn find(&self, is_secret: bool) -> Outcome<Output> {
        Output::find(self.output.as_deref(), is_secret)
    }
}

/// Writes a text and a newline.
pub fn text(output: Output, text: &str) -> Outcome {
    output.deliver(format!("{text}\n").as_bytes())?;
    Ok(Exit::Done)
}

/// Writes the result as text, or with --json its description.
pub fn described<T: Serialize>(output: Output, global: &Global, value: &T, plain: &str) -> Outcome {
    if global.json { text(output, &report::json_text(value)) } else { text(output, plain) }
}

/// Writes bytes unchanged. Refuses binary data to a terminal.
pub fn bytes(output: Output, bytes: &[u8]) -> Outcome {
    if output.is_terminal() && !is_showable(bytes) {
        return Err(binary_at_terminal("use -o FILE or a text format"));
    }
    output.deliver(bytes)?;
    Ok(Exit::Done)
}

pub fn binary_at_terminal(advice: &str) -> Failure {
    Failure::usage(format!("the result is binary and is not written to a terminal; {advice}"))
}

/// Writes a secret unchanged, or as base64 and a newline.
pub fn secret(output: Output, secret: &Secret, base64: bool) -> Outcome {
    if !base64 {
        return bytes(output, secret.expose());
    }
    let mut text = encoded(secret.expose())?;
    text.extend_from_slice(b"\n")?;
    bytes(output, text.expose())
}

/// Writes JSON that contains a secret, and leaves no copy in memory.
pub fn secret_json(output: Output, before: &str, secret: &Secret, after: &str) -> Outcome {
    let mut json = Secret::with_capacity(before.len() + secret.len() + after.len() + 1)?;
    for part in [before.as_bytes(), secret.expose(), after.as_bytes(), b"\n"] {
        json.extend_from_slice(part)?;
    }
    bytes(output, json.expose())
}
