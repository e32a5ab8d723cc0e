//! `tckms rsa-encrypt` and `tckms rsa-decrypt`.

use std::ffi::OsString;
use std::sync::Arc;

use clap::{ArgGroup, Args};
use tckms::sign::KeyPurpose;

use super::algorithm::Padding;
use super::delivery::{self, OutputOption};
use super::public_key;
use crate::connection::Global;
use crate::failure::Outcome;
use crate::files::input::Input;
use crate::report::json_text;
use crate::secret_input::{SecretInput, decoded, encoded};

/// The maximal plaintext of RSA-2048, with PKCS#1 v1.5.
const PLAINTEXT_MAX: usize = 245;
/// More than a ciphertext of RSA-2048: 256 bytes, or 344 as base64, plus newlines.
const CIPHERTEXT_MAX: usize = 1024;

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("the_key").required(true).args(["key", "public_key"])))]
pub struct EncryptOptions {
    /// The key id of the CMK
    #[arg(short, long, value_name = "KEYID")]
    key: Option<String>,
    /// A file with the public key, PEM or DER; no request is sent then
    #[arg(long, value_name = "FILE")]
    public_key: Option<OsString>,
    /// The padding
    #[arg(long, value_enum, default_value_t = Padding::OaepSha256)]
    padding: Padding,
    /// Write the ciphertext as raw bytes instead of base64
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    input: SecretInput,
    #[command(flatten)]
    output: OutputOption,
}

pub fn encrypt(options: &EncryptOptions, global: &Global) -> Outcome {
    let output = options.output.find(false)?;
    let key = match (&options.public_key, &options.key) {
        (Some(file), _) => Arc::new(public_key::read(file)?),
        (None, key_id) => {
            global.client()?.public_key_for(key_id.as_deref().unwrap_or_default(), KeyPurpose::Decrypt)?
        }
    };
    let plaintext = options.input.read("The secret (not shown): ", PLAINTEXT_MAX)?;
    let ciphertext = key.rsa_encrypt(options.padding.into(), plaintext.expose())?;
    if options.raw && !global.json {
        return delivery::bytes(output, &ciphertext);
    }
    let text = encoded(&ciphertext)?;
    let text = String::from_utf8_lossy(text.expose());
    delivery::described(output, global, &serde_json::json!({ "ciphertext_base64": text }), &text)
}

#[derive(Args, Debug)]
pub struct DecryptOptions {
    /// The key id of the CMK
    #[arg(short, long, value_name = "KEYID")]
    key: String,
    /// The padding
    #[arg(long, value_enum, default_value_t = Padding::OaepSha256)]
    padding: Padding,
    /// Print the plaintext as base64
    #[arg(long)]
    base64: bool,
    /// The ciphertext, as bytes or base64; "-" or none for standard input
    #[arg(value_name = "FILE")]
    file: Option<OsString>,
    #[command(flatten)]
    output: OutputOption,
}

pub fn decrypt(options: &DecryptOptions, global: &Global) -> Outcome {
    let output = options.output.find(true)?;
    let client = global.client()?;
    let input = Input::open(options.file.as_deref())?.read_all(CIPHERTEXT_MAX)?;
    // Raw bytes contain characters outside of base64.
    let ciphertext = decoded(&input, options.file.as_deref()).unwrap_or(input);
    let decrypted = client.rsa_decrypt(&options.key, options.padding.into(), ciphertext.expose())?;
    if !global.json {
        return delivery::secret(output, &decrypted.plaintext, options.base64);
    }
    let after =
        format!("\",\"key_id\":{},\"request_id\":{}}}", json_text(&decrypted.key_id), json_text(&decrypted.request_id));
    delivery::secret_json(output, "{\"plaintext_base64\":\"", &encoded(decrypted.plaintext.expose())?, &after)
}
