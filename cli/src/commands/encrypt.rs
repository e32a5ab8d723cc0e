//! `tckms encrypt`.

use clap::Args;
use serde::Serialize;
use tckms::{Encrypted, PLAINTEXT_MAX};

use super::delivery::{self, OutputOption};
use crate::connection::Global;
use crate::context::ContextOptions;
use crate::failure::Outcome;
use crate::secret_input::SecretInput;

#[derive(Args, Debug)]
pub struct Options {
    /// The key id of the CMK
    #[arg(short, long, value_name = "KEYID")]
    key: String,
    #[command(flatten)]
    context: ContextOptions,
    #[command(flatten)]
    input: SecretInput,
    #[command(flatten)]
    output: OutputOption,
}

/// The output with --json.
#[derive(Serialize)]
pub struct JsonResult<'a> {
    ciphertext_blob: &'a str,
    key_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_key_id: Option<&'a str>,
    request_id: Option<&'a str>,
}

impl<'a> From<&'a Encrypted> for JsonResult<'a> {
    fn from(encrypted: &'a Encrypted) -> Self {
        Self {
            ciphertext_blob: &encrypted.ciphertext_blob,
            key_id: &encrypted.key_id,
            source_key_id: encrypted.source_key_id.as_deref(),
            request_id: encrypted.request_id.as_deref(),
        }
    }
}

pub fn run(options: &Options, global: &Global) -> Outcome {
    let context = options.context.json()?;
    let output = options.output.find(false)?;
    let client = global.client()?;
    let plaintext = options.input.read("The secret (not shown): ", PLAINTEXT_MAX)?;
    let encrypted = client.encrypt(&options.key, plaintext.expose(), context.as_deref())?;
    delivery::described(output, global, &JsonResult::from(&encrypted), &encrypted.ciphertext_blob)
}
