//! `tckms verify`.

use std::ffi::OsString;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{ArgGroup, Args};
use serde::Serialize;
use tckms::sign::KeyPurpose;

use super::public_key;
use super::sign::MessageOptions;
use crate::connection::Global;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::files::input::Input;
use crate::report;

/// More than the size of any signature, also as base64.
const SIGNATURE_MAX: usize = 4096;

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("the_key").required(true).args(["key", "public_key"])))]
pub struct Options {
    /// The key id of the CMK
    #[arg(short, long, value_name = "KEYID")]
    key: Option<String>,
    /// A file with the public key, PEM or DER; no request is sent then
    #[arg(long, value_name = "FILE")]
    public_key: Option<OsString>,
    /// The signature: DER, r and s concatenated, or base64 of either
    #[arg(long, value_name = "FILE")]
    signature: OsString,
    #[command(flatten)]
    message: MessageOptions,
}

#[derive(Serialize)]
struct JsonResult {
    valid: bool,
}

pub fn run(options: &Options, global: &Global) -> Outcome {
    let signature = read_signature(&options.signature)?;
    let input = options.message.open()?;
    let key = match (&options.public_key, &options.key) {
        (Some(file), _) => Arc::new(public_key::read(file)?),
        (None, key_id) => global.client()?.public_key_for(key_id.as_deref().unwrap_or_default(), KeyPurpose::Sign)?,
    };
    let algorithm = options.message.algorithm(&key)?;
    let digest = options.message.read_digest(&key, algorithm, input)?;
    key.verify_digest(algorithm, &digest, &signature)?;
    report::result(&JsonResult { valid: true }, |_| report::line("the signature is valid"));
    Ok(Exit::Done)
}

fn read_signature(path: &OsString) -> Outcome<Vec<u8>> {
    let bytes = Input::open(Some(path))?.read_all(SIGNATURE_MAX)?;
    if bytes.is_empty() {
        return Err(Failure::wrong_file(crate::text::shown(path), "the file is empty; a signature is expected"));
    }
    let digits: Vec<u8> = bytes.expose().iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    // A raw signature is never valid base64 in practice: all its bytes would have to be such characters.
    Ok(STANDARD.decode(&digits).unwrap_or_else(|_| bytes.expose().to_vec()))
}
