//! A stored secret: a sealed message or a CiphertextBlob, in a file or a variable.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use tckms::seal::{Context, Keyring, MessageInfo};
use tckms::{CIPHERTEXT_BLOB_MAX, Client, Secret};

use super::keyring::{KeyOptions, Purpose};
use crate::connection::Global;
use crate::context::ContextOptions;
use crate::failure::{Failure, Outcome};
use crate::files::input::Input;
use crate::secret_input::without_line_end;
use crate::text::shown;

/// The maximal size of a sealed message in bytes, above the limit for a variable.
const MESSAGE_MAX: usize = 2 << 20;

#[derive(Args, Debug)]
pub struct SecretOptions {
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    pub context: ContextOptions,
}

/// The source of a secret.
#[derive(Clone, Debug)]
pub enum Source {
    File(OsString),
    Variable(String),
}

impl Source {
    /// `env:NAME` for a variable, anything else for a file.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("env:") {
            Some(name) => Self::Variable(name.to_owned()),
            None => Self::File(OsString::from_vec(text.as_bytes().to_vec())),
        }
    }

    pub fn name(&self) -> String {
        match self {
            Self::File(path) => shown(path),
            Self::Variable(name) => format!("the variable {name}"),
        }
    }

    fn read(&self) -> Outcome<Vec<u8>> {
        match self {
            Self::File(path) => Ok(Input::open(Some(path))?.read_all(MESSAGE_MAX)?.expose().to_vec()),
            Self::Variable(name) => match std::env::var_os(name) {
                Some(value) => Ok(value.into_vec()),
                None => Err(Failure::usage("it is not set").about(self.name())),
            },
        }
    }
}

/// Opens secrets.
pub struct Opener {
    client: Option<Client>,
    keyring: Keyring,
    /// The expected CMK of a CiphertextBlob; `None` for any.
    key: Option<String>,
}

impl SecretOptions {
    pub fn opener(&self, global: &Global) -> Outcome<Opener> {
        let keys = &self.keys.keys;
        Ok(Opener {
            // If there are only RSA keys, messages open without the service.
            client: if keys.is_empty() && self.keys.has_escrow_keys() { None } else { Some(global.client()?) },
            keyring: self.keys.opening_keyring(global)?,
            key: if let [key] = keys.as_slice() { Some(key.clone()) } else { None },
        })
    }

    pub fn check(&self) -> Outcome<()> {
        self.keys.check(Purpose::Open)
    }
}

impl Opener {
    /// Opens the secret, which must have this context.
    pub fn open(&self, source: &Source, context: &Context, context_json: Option<&str>) -> Outcome<Secret> {
        let content = source.read()?;
        let opened = if let Some(message) = as_message(&content) {
            self.open_message(&message, context)
        } else {
            self.decrypt(&content, context_json)
        };
        opened.map_err(|failure| match &failure.what {
            None => failure.about(source.name()),
            Some(_) => failure,
        })
    }

    fn open_message(&self, message: &[u8], context: &Context) -> Outcome<Secret> {
        let prepared = self.keyring.prepare_open(message, context)?;
        let mut plaintext = Secret::zeroed(prepared.plaintext_len())?;
        prepared.write(plaintext.expose_mut())?;
        Ok(plaintext)
    }

    fn decrypt(&self, blob: &[u8], context: Option<&str>) -> Outcome<Secret> {
        let blob = without_line_end(Secret::copy_of(blob)?)?;
        if blob.len() > CIPHERTEXT_BLOB_MAX || !blob.expose().iter().all(u8::is_ascii_graphic) || blob.is_empty() {
            return Err(Failure::usage(
                "it is neither a sealed message nor a CiphertextBlob as printed by `tckms encrypt`",
            ));
        }
        let client = self.client.as_ref().ok_or_else(|| Failure::usage("a CiphertextBlob needs a CMK; use -k"))?;
        Ok(client.decrypt(self.key.as_deref(), blob.expose(), context)?.plaintext)
    }
}

/// The message, if the content is one or the base64 of one.
fn as_message(content: &[u8]) -> Option<Vec<u8>> {
    let is_message = |bytes: &[u8]| {
        // The first byte of a message is the version, which no text begins with.
        matches!(bytes.first(), Some(1 | 2))
            && !matches!(MessageInfo::read(bytes), Err(error) if error.status() == tckms::Status::NotAMessage)
    };
    if is_message(content) {
        return Some(content.to_vec());
    }
    let digits: Vec<u8> = content.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(digits).ok().filter(|decoded| is_message(decoded))
}
