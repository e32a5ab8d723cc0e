//! The keys that seal and open, as options name them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use clap::Args;
use tckms::seal::Keyring;

use crate::connection::Global;
use crate::failure::{Failure, Outcome};
use crate::files::input::Input;
use crate::text::shown;

/// As many as a message may have without its reader raising a limit.
pub const KEYS_MAX: usize = 8;
/// Longer than any key in PEM.
const PEM_MAX: usize = 64 * 1024;

#[derive(Args, Clone, Debug)]
pub struct KeyOptions {
    /// A CMK, by its key id; may be repeated
    #[arg(short, long = "key", value_name = "KEYID")]
    pub keys: Vec<String>,

    /// An RSA key in a PEM file: the public key to seal, the private key to open
    #[arg(short, long = "escrow-key", value_name = "NS:NAME:PEM", value_parser = parse_escrow_key)]
    escrow_keys: Vec<EscrowKey>,
}

/// The keys that seal a message again.
#[derive(Args, Clone, Debug)]
pub struct NewKeyOptions {
    /// A new CMK, by its key id; may be repeated
    #[arg(long = "to", value_name = "KEYID")]
    pub new_keys: Vec<String>,

    /// The public key of a new RSA key pair in a PEM file
    #[arg(long = "escrow-to", value_name = "NS:NAME:PEM", value_parser = parse_escrow_key)]
    new_escrow_keys: Vec<EscrowKey>,
}

impl NewKeyOptions {
    pub fn check(&self) -> Outcome<()> {
        check_count(self.new_keys.len() + self.new_escrow_keys.len(), "--to or --escrow-to")
    }

    pub fn has_cmks_only(&self) -> bool {
        self.new_escrow_keys.is_empty()
    }

    pub fn keyring(&self, global: &Global) -> Outcome<Keyring> {
        keyring(&self.new_keys, &self.new_escrow_keys, Purpose::Seal, global)
    }
}

/// An RSA key by its namespace, its name, and its file.
#[derive(Clone, Debug)]
struct EscrowKey {
    namespace: String,
    name: String,
    file: OsString,
}

fn parse_escrow_key(text: &str) -> Result<EscrowKey, String> {
    let mut parts = text.splitn(3, ':').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(namespace), Some(name), Some(file)) => {
            Ok(EscrowKey { namespace, name, file: OsString::from_vec(file.into_bytes()) })
        }
        _ => Err("an RSA key is NAMESPACE:NAME:FILE".to_owned()),
    }
}

/// Which half of the RSA keys is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Seal,
    Open,
}

impl KeyOptions {
    /// Refuses too few or too many keys, before anything is opened.
    pub fn check(&self) -> Outcome<()> {
        check_count(self.keys.len() + self.escrow_keys.len(), "-k or -e")
    }

    pub fn has_escrow_keys(&self) -> bool {
        !self.escrow_keys.is_empty()
    }

    pub fn keyring(&self, purpose: Purpose, global: &Global) -> Outcome<Keyring> {
        keyring(&self.keys, &self.escrow_keys, purpose, global)
    }
}

fn check_count(count: usize, options: &str) -> Outcome<()> {
    match count {
        0 => Err(Failure::usage(format!("no key is given, with {options}"))),
        1..=KEYS_MAX => Ok(()),
        count => Err(Failure::usage(format!("there are {count} keys, at most {KEYS_MAX} are allowed"))),
    }
}

fn keyring(keys: &[String], escrow_keys: &[EscrowKey], purpose: Purpose, global: &Global) -> Outcome<Keyring> {
    let mut keyring = Keyring::new();
    if !keys.is_empty() {
        let client = global.client().map_err(|failure| match failure.what {
            None if failure.error.is_some() => failure.about("cannot make a client"),
            _ => failure,
        })?;
        for key in keys {
            keyring.add_kms(&client, key).map_err(|error| Failure::from(error).about(key))?;
        }
    }
    for key in escrow_keys {
        key.add(&mut keyring, purpose)?;
    }
    if let Some(timeout) = global.timeout {
        keyring.set_total_timeout(timeout)?;
    }
    Ok(keyring)
}

impl EscrowKey {
    fn add(&self, keyring: &mut Keyring, purpose: Purpose) -> Outcome<()> {
        let pem = Input::open(Some(&self.file))?.read_all(PEM_MAX)?;
        let added = match purpose {
            Purpose::Seal => keyring.add_rsa_public_pem(&self.namespace, &self.name, pem.expose()),
            Purpose::Open => keyring.add_rsa_private_pem(&self.namespace, &self.name, pem.expose()),
        };
        added.map_err(|error| Failure::from(error).about(shown(&self.file)))
    }
}
