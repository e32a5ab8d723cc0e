//! The input of a small secret: a file, standard input, or the terminal. Never an argument, which other users can read.

use std::ffi::{OsStr, OsString};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use rustix::termios::isatty;
use tckms::Secret;

use crate::descriptor;
use crate::failure::{Failure, Outcome};
use crate::files::input::Input;
use crate::prompt;

#[derive(Args, Clone, Debug)]
pub struct SecretInput {
    /// The input; "-" or none for standard input, or for a prompt if that is a terminal
    #[arg(value_name = "FILE")]
    file: Option<OsString>,

    /// Prompt for the input at the terminal, without echo
    #[arg(long, conflicts_with_all = ["file", "base64", "no_line_end"])]
    prompt: bool,

    /// The input is base64
    #[arg(long)]
    base64: bool,

    /// Remove one newline at the end of the input, as echo and editors add
    #[arg(short = 'n', long)]
    no_line_end: bool,
}

impl SecretInput {
    /// Reads at most `max` bytes.
    pub fn read(&self, question: &str, max: usize) -> Outcome<Secret> {
        if self.prompt || (self.file.is_none() && is_terminal()) {
            return prompt::ask_secret_twice(question, max);
        }
        let name = self.file.as_deref();
        let mut input = Input::open(name)?;
        let too_long = format!("it has more than {max} bytes, the maximum here");
        // Base64 with newlines, or a newline that is removed.
        let limit = if self.base64 { max.div_ceil(3) * 4 + 4096 } else { max + 2 };
        let text = input.read_up_to(limit, &too_long)?;
        let bytes = if self.base64 { decoded(&text, name)? } else { text };
        let bytes = if self.no_line_end { without_line_end(bytes)? } else { bytes };
        if bytes.len() > max {
            return Err(Failure::wrong_file(input.name(), too_long));
        }
        Ok(bytes)
    }
}

fn is_terminal() -> bool {
    descriptor::readable(descriptor::STDIN).is_ok_and(isatty)
}

/// Decodes base64. Ignores blanks and newlines.
pub fn decoded(text: &Secret, name: Option<&OsStr>) -> Outcome<Secret> {
    let mut digits = Secret::with_capacity(text.len())?;
    for byte in text.expose().iter().filter(|byte| !byte.is_ascii_whitespace()) {
        digits.extend_from_slice(&[*byte])?;
    }
    let mut bytes = Secret::zeroed(digits.len().div_ceil(4) * 3)?;
    let len = STANDARD.decode_slice(digits.expose(), bytes.expose_mut()).map_err(|_| {
        let name = name.map_or_else(|| "standard input".to_owned(), crate::text::shown);
        Failure::wrong_file(name, "it is not base64 (RFC 4648, section 4, with padding)")
    })?;
    bytes.truncate(len);
    Ok(bytes)
}

pub fn without_line_end(mut bytes: Secret) -> Outcome<Secret> {
    for end in [b'\n', b'\r'] {
        if bytes.expose().last() == Some(&end) {
            bytes.truncate(bytes.len() - 1);
        }
    }
    Ok(bytes)
}

/// Encodes a secret as base64, in memory that is wiped.
pub fn encoded(bytes: &[u8]) -> Outcome<Secret> {
    let mut text = Secret::zeroed(bytes.len().div_ceil(3) * 4)?;
    STANDARD
        .encode_slice(bytes, text.expose_mut())
        .map_err(|_| Failure::failed("base64", "the encoded text does not fit into its buffer"))?;
    Ok(text)
}
