//! `tckms sign`, and reading the message, which `tckms verify` shares.

use std::ffi::OsString;
use std::io::{ErrorKind, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tckms::sign::{Digest, DigestContext, KeyType, PublicKey, SM2_DEFAULT_USER_ID, SignatureAlgorithm, raw_from_der};

use super::algorithm::{Algorithm, raw_len};
use super::delivery::{self, OutputOption};
use super::public_key::type_name;
use crate::connection::Global;
use crate::failure::{Failure, Outcome};
use crate::files::input::Input;
use crate::progress::Progress;

/// More than the longest digest, that of SHA-384.
const DIGEST_MAX: usize = 64;

/// The options for the message and the algorithm.
#[derive(Args, Debug)]
pub struct MessageOptions {
    /// The algorithm; default: the one of the key, and RSA-PSS for RSA keys
    #[arg(short, long, value_enum, value_name = "ALGORITHM")]
    algorithm: Option<Algorithm>,
    /// FILE contains the digest of the message as raw bytes instead of the message
    #[arg(long, conflicts_with = "sm2_user_id")]
    digest: bool,
    /// The signer id for an SM2 key; default: 1234567812345678
    #[arg(long, value_name = "ID")]
    sm2_user_id: Option<String>,
    /// Show no progress, even on a terminal
    #[arg(short, long)]
    quiet: bool,
    /// The message, of any size; "-" or none for standard input
    #[arg(value_name = "FILE")]
    file: Option<OsString>,
}

impl MessageOptions {
    pub fn algorithm(&self, key: &PublicKey) -> Outcome<SignatureAlgorithm> {
        if self.sm2_user_id.is_some() && key.key_type() != KeyType::Sm2 {
            let found = type_name(key.key_type());
            return Err(Failure::usage(format!("--sm2-user-id is for SM2 keys, and this key is {found}; omit it")));
        }
        Ok(key.algorithm(self.algorithm.map(SignatureAlgorithm::from))?)
    }

    pub fn open(&self) -> Outcome<Input> {
        Input::open(self.file.as_deref())
    }

    /// The digest of the message, or the digest that the input contains.
    pub fn read_digest(&self, key: &PublicKey, algorithm: SignatureAlgorithm, mut input: Input) -> Outcome<Vec<u8>> {
        if self.digest {
            return Ok(input.read_all(DIGEST_MAX)?.expose().to_vec());
        }
        let user_id = self.sm2_user_id.as_ref().map_or(SM2_DEFAULT_USER_ID, |id| id.as_bytes());
        let digest = self.digest_of(&mut input, key.digest(algorithm, user_id)?)?;
        input.check_unchanged()?;
        Ok(digest.as_ref().to_vec())
    }

    fn digest_of(&self, input: &mut Input, mut digest: DigestContext) -> Outcome<Digest> {
        let (mut progress, total) = (Progress::new(self.quiet), input.size());
        let (mut chunk, mut done, mut shown) = (vec![0; 256 * 1024], 0, 0);
        loop {
            let read = match input.read(&mut chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other.map_err(|error| Failure::io(input.name(), &error))?,
            };
            if read == 0 {
                progress.end();
                return Ok(digest.finish());
            }
            digest.update(&chunk[..read]);
            done += read as u64;
            if done - shown >= 64 << 20 {
                shown = done;
                progress.show(done, total);
            }
        }
    }
}

#[derive(Args, Debug)]
pub struct Options {
    /// The key id of the CMK
    #[arg(short, long, value_name = "KEYID")]
    key: String,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Der)]
    format: Format,
    #[command(flatten)]
    message: MessageOptions,
    #[command(flatten)]
    output: OutputOption,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// DER for ECDSA and SM2, raw bytes for RSA
    Der,
    /// r and s concatenated, as in JWT; for RSA the same as der
    Raw,
    /// The DER as base64
    Base64,
}

/// The output with --json.
#[derive(Serialize)]
struct JsonResult<'a> {
    signature_base64: String,
    key_id: &'a str,
    request_id: Option<&'a str>,
}

pub fn run(options: &Options, global: &Global) -> Outcome {
    let output = options.output.find(false)?;
    if output.is_terminal() && options.format != Format::Base64 && !global.json {
        return Err(Failure::usage(
            "a signature is binary and is not written to a terminal; use -o FILE or --format base64",
        ));
    }
    let input = options.message.open()?;
    let client = global.client()?;
    let key = client.public_key(&options.key)?;
    let algorithm = options.message.algorithm(&key)?;
    let digest = options.message.read_digest(&key, algorithm, input)?;
    let signature = client.sign_digest(&options.key, Some(algorithm), &digest)?;
    let bytes = match (options.format, raw_len(algorithm)) {
        (Format::Raw, Some(len)) => raw_from_der(&signature.bytes, len)?,
        _ => signature.bytes,
    };
    let text = STANDARD.encode(&bytes);
    if global.json || options.format == Format::Base64 {
        let result = JsonResult {
            signature_base64: text.clone(),
            key_id: &options.key,
            request_id: signature.request_id.as_deref(),
        };
        return delivery::described(output, global, &result, &text);
    }
    delivery::bytes(output, &bytes)
}
