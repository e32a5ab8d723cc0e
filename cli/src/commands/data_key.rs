//! `tckms data-key`.

use std::ffi::OsString;

use clap::Args;

use super::delivery;
use crate::connection::Global;
use crate::context::ContextOptions;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::files::output::Output;
use crate::report::json_text;
use crate::secret_input::encoded;
use crate::values::number;

#[derive(Args, Debug)]
pub struct Options {
    /// The key id of the CMK that wraps the data key
    #[arg(short, long, value_name = "KEYID")]
    key: String,
    #[command(flatten)]
    context: ContextOptions,
    /// The length of the data key, 1 to 1024 bytes
    #[arg(short, long, value_name = "LENGTH", default_value_t = 32, value_parser = number::<u16>(1, 1024))]
    bytes: u16,
    /// Write the plaintext key as raw bytes to FILE instead of printing it
    #[arg(long, value_name = "FILE")]
    plaintext_file: Option<OsString>,
    /// Print only the wrapped key, for a program that decrypts it later
    #[arg(long, conflicts_with = "plaintext_file")]
    without_plaintext: bool,
    #[command(flatten)]
    output: delivery::OutputOption,
}

/// Prints the plaintext key as base64 unless an option says otherwise, then the wrapped key.
pub fn run(options: &Options, global: &Global) -> Outcome {
    let context = options.context.json()?;
    let has_plaintext = options.plaintext_file.is_none() && !options.without_plaintext;
    let file = options.plaintext_file.as_deref().map(|path| Output::find(Some(path), true)).transpose()?;
    let output = options.output.find(has_plaintext)?;
    if file.as_ref().is_some_and(|file| file.is_same(&output)) {
        return Err(Failure::wrong_file(
            output.name(),
            "the plaintext key and the wrapped key have the same output; name two files",
        ));
    }
    let client = global.client()?;
    let key = client.generate_data_key(&options.key, usize::from(options.bytes), context.as_deref())?;
    if let Some(file) = file {
        delivery::bytes(file, key.plaintext.expose())?;
    }
    let blob = &key.ciphertext_blob;
    let after = format!(
        "\"ciphertext_blob\":{},\"key_id\":{},\"request_id\":{}}}",
        json_text(blob),
        json_text(&key.key_id),
        json_text(&key.request_id)
    );
    match (has_plaintext, global.json) {
        (false, false) => delivery::text(output, blob),
        (false, true) => delivery::text(output, &format!("{{{after}")),
        (true, false) => delivery::secret_json(output, "", &encoded(key.plaintext.expose())?, &format!("\n{blob}")),
        (true, true) => {
            let text = encoded(key.plaintext.expose())?;
            delivery::secret_json(output, "{\"plaintext_base64\":\"", &text, &format!("\",{after}"))
        }
    }
    .map(|_| Exit::Done)
}
