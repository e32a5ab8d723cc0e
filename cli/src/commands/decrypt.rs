//! `tckms decrypt`.

use std::ffi::OsString;

use clap::Args;
use tckms::CIPHERTEXT_BLOB_MAX;

use super::delivery::{self, OutputOption};
use crate::connection::Global;
use crate::context::ContextOptions;
use crate::failure::Outcome;
use crate::files::input::Input;
use crate::report::json_text;
use crate::secret_input::{encoded, without_line_end};

#[derive(Args, Debug)]
pub struct Options {
    /// Accept only a CiphertextBlob of this CMK
    #[arg(short, long, value_name = "KEYID")]
    key: Option<String>,
    #[command(flatten)]
    context: ContextOptions,
    /// The CiphertextBlob, as printed by encrypt; "-" or none for standard input
    #[arg(value_name = "FILE")]
    file: Option<OsString>,
    /// Print the plaintext as base64
    #[arg(long)]
    base64: bool,
    #[command(flatten)]
    output: OutputOption,
}

pub fn run(options: &Options, global: &Global) -> Outcome {
    let context = options.context.json()?;
    let output = options.output.find(true)?;
    let client = global.client()?;
    let blob = without_line_end(Input::open(options.file.as_deref())?.read_all(CIPHERTEXT_BLOB_MAX + 2)?)?;
    let decrypted = client.decrypt(options.key.as_deref(), blob.expose(), context.as_deref())?;
    if !global.json {
        return delivery::secret(output, &decrypted.plaintext, options.base64);
    }
    let after =
        format!("\",\"key_id\":{},\"request_id\":{}}}", json_text(&decrypted.key_id), json_text(&decrypted.request_id));
    delivery::secret_json(output, "{\"plaintext_base64\":\"", &encoded(decrypted.plaintext.expose())?, &after)
}
