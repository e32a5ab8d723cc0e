//! `tckms reencrypt`.

use std::ffi::OsString;

use clap::Args;
use tckms::CIPHERTEXT_BLOB_MAX;

use super::delivery::{self, OutputOption};
use super::encrypt::JsonResult;
use crate::connection::Global;
use crate::context::{ContextOptions, Pair, json, parse_pair};
use crate::failure::Outcome;
use crate::files::input::Input;
use crate::secret_input::without_line_end;

#[derive(Args, Debug)]
pub struct Options {
    /// The destination CMK; default: the CMK of the CiphertextBlob
    #[arg(long = "to", value_name = "KEYID")]
    key: Option<String>,
    #[command(flatten)]
    context: ContextOptions,
    /// A pair of the new context; default: the context is unchanged
    #[arg(long = "new-context", value_name = "NAME=VALUE", value_parser = parse_pair)]
    new_pairs: Vec<Pair>,
    /// The new context as a JSON object of strings
    #[arg(long, value_name = "JSON", conflicts_with = "new_pairs")]
    new_context_json: Option<String>,
    /// Remove the context
    #[arg(long, conflicts_with_all = ["new_pairs", "new_context_json"])]
    without_new_context: bool,
    /// The CiphertextBlob; "-" or none for standard input
    #[arg(value_name = "FILE")]
    file: Option<OsString>,
    #[command(flatten)]
    output: OutputOption,
}

impl Options {
    fn new_context(&self, old: Option<String>) -> Outcome<Option<String>> {
        if self.without_new_context {
            return Ok(None);
        }
        Ok(json(&self.new_pairs, self.new_context_json.as_deref())?.or(old))
    }
}

pub fn run(options: &Options, global: &Global) -> Outcome {
    let context = options.context.json()?;
    let new_context = options.new_context(context.clone())?;
    let output = options.output.find(false)?;
    let client = global.client()?;
    let blob = without_line_end(Input::open(options.file.as_deref())?.read_all(CIPHERTEXT_BLOB_MAX + 2)?)?;
    let encrypted =
        client.reencrypt(options.key.as_deref(), blob.expose(), context.as_deref(), new_context.as_deref())?;
    delivery::described(output, global, &JsonResult::from(&encrypted), &encrypted.ciphertext_blob)
}
