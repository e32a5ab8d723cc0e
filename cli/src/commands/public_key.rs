//! `tckms public-key`, and reading public keys from files.

use std::ffi::OsStr;

use clap::{Args, ValueEnum};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use tckms::sign::{KeyType, PublicKey};

use super::delivery::{self, OutputOption};
use crate::connection::Global;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::files::input::Input;
use crate::text::shown;

/// More than the size of any public key.
const KEY_MAX: usize = 64 * 1024;

#[derive(Args, Debug)]
pub struct Options {
    /// The key id of the CMK
    #[arg(short, long, value_name = "KEYID")]
    key: String,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Pem)]
    format: Format,
    #[command(flatten)]
    output: OutputOption,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The SubjectPublicKeyInfo in PEM
    Pem,
    /// The SubjectPublicKeyInfo in DER
    Der,
    /// The content of the SubjectPublicKeyInfo: a point (04 X Y), or an RSAPublicKey in DER
    Raw,
}

/// The output with --json.
#[derive(Serialize)]
struct JsonResult<'a> {
    key_id: &'a str,
    key_type: &'static str,
    public_key_pem: String,
}

pub fn run(options: &Options, global: &Global) -> Outcome {
    let output = options.output.find(false)?;
    let key = global.client()?.public_key(&options.key)?;
    if global.json {
        let result =
            JsonResult { key_id: &options.key, key_type: type_name(key.key_type()), public_key_pem: key.pem() };
        return delivery::described(output, global, &result, "");
    }
    match options.format {
        Format::Pem => output.deliver(key.pem().as_bytes()).map(|()| Exit::Done),
        Format::Der => delivery::bytes(output, key.spki()),
        Format::Raw => delivery::bytes(output, raw(&key)?),
    }
}

pub fn raw(key: &PublicKey) -> Outcome<&[u8]> {
    let parsed = x509_cert::spki::SubjectPublicKeyInfoRef::try_from(key.spki());
    let bits = parsed.ok().and_then(|parsed| parsed.subject_public_key.as_bytes());
    bits.ok_or_else(|| Failure::failed("the public key", "it is not a SubjectPublicKeyInfo in DER"))
}

pub fn type_name(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::Rsa2048 => "RSA-2048",
        KeyType::P256 => "P-256",
        KeyType::P384 => "P-384",
        KeyType::Sm2 => "SM2",
        _ => "unknown",
    }
}

/// Reads a public key from a file, PEM or DER.
pub fn read(path: &OsStr) -> Outcome<PublicKey> {
    let content = Input::open(Some(path))?.read_all(KEY_MAX)?;
    let wrong = |why: &str| Failure::wrong_file(shown(path), why);
    let spki = match SubjectPublicKeyInfoDer::from_pem_slice(content.expose()) {
        Ok(spki) => spki.to_vec(),
        Err(_) if content.expose().starts_with(b"-----BEGIN") => {
            return Err(wrong("the PEM has no -----BEGIN PUBLIC KEY-----"));
        }
        Err(_) => content.expose().to_vec(),
    };
    PublicKey::from_spki(&spki).map_err(|error| wrong(error.message()))
}
