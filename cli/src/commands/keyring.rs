//! The options for the keys that seal and open.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use clap::Args;
use tckms::Client;
use tckms::seal::{BranchForm, BranchId, BranchOptions, BranchSource, Keyring};

use crate::connection::Global;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::files::input::Input;
use crate::text::shown;

/// The maximal number of keys of a message that a reader accepts by default.
pub const KEYS_MAX: usize = 8;
/// More than the size of any key in PEM.
const PEM_MAX: usize = 64 * 1024;

#[derive(Args, Clone, Debug)]
pub struct KeyOptions {
    /// The key id of a CMK; may be repeated
    #[arg(short, long = "key", value_name = "KEYID")]
    pub keys: Vec<String>,

    /// An RSA key in a PEM file: the public key to seal, the private key to open
    #[arg(short, long = "escrow-key", value_name = "NS:NAME:PEM", value_parser = parse_escrow_key)]
    escrow_keys: Vec<EscrowKey>,

    /// Seal under a branch key of this branch, which the CMKs wrap; to open, accept no other branch
    #[arg(long, value_name = "ID", value_parser = parse_branch)]
    branch: Option<BranchId>,

    /// The records of branch keys from `tckms branch`; default: a new branch key
    #[arg(long, value_name = "FILE")]
    branch_file: Option<PathBuf>,
}

pub fn parse_branch(text: &str) -> Result<BranchId, String> {
    BranchId::new(text).map_err(|error| error.message().to_owned())
}

/// The options for the new keys of a message.
#[derive(Args, Clone, Debug)]
pub struct NewKeyOptions {
    /// The key id of a new CMK; may be repeated
    #[arg(long = "to", value_name = "KEYID")]
    pub new_keys: Vec<String>,

    /// The public key of a new RSA key pair in a PEM file
    #[arg(long = "escrow-to", value_name = "NS:NAME:PEM", value_parser = parse_escrow_key)]
    new_escrow_keys: Vec<EscrowKey>,

    /// Seal under a branch key of this branch, which the new CMKs wrap
    #[arg(long = "branch-to", value_name = "ID", value_parser = parse_branch, requires = "new_keys")]
    new_branch: Option<BranchId>,

    /// The records of the new branch keys; default: a new branch key
    #[arg(long = "branch-file-to", value_name = "FILE", requires = "new_branch")]
    new_branch_file: Option<PathBuf>,

    /// Leave the branch key out of the message, which then opens only with the records
    #[arg(long, requires = "new_branch_file")]
    by_reference: bool,
}

impl NewKeyOptions {
    pub fn check(&self) -> Outcome<()> {
        check_count(self.new_keys.len() + self.new_escrow_keys.len(), "--to or --escrow-to")
    }

    pub fn has_cmks_only(&self) -> bool {
        self.new_escrow_keys.is_empty()
    }

    /// The branch for sealing, and whether messages contain its key.
    pub fn branch(&self) -> Option<(&BranchId, bool)> {
        self.new_branch.as_ref().map(|branch| (branch, !self.by_reference))
    }

    pub fn keyring(&self, global: &Global) -> Outcome<Keyring> {
        let branch = Branch {
            id: self.new_branch.as_ref(),
            file: self.new_branch_file.as_deref(),
            by_reference: self.by_reference,
        };
        keyring(&self.new_keys, &self.new_escrow_keys, &branch, Purpose::Seal, global)
    }
}

/// The branch keys to use with the CMKs.
struct Branch<'a> {
    id: Option<&'a BranchId>,
    file: Option<&'a Path>,
    by_reference: bool,
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
        _ => Err("an RSA key has the form NAMESPACE:NAME:FILE".to_owned()),
    }
}

/// Whether public or private RSA keys are needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Seal,
    Open,
}

impl KeyOptions {
    /// Refuses an invalid number of keys and invalid branch options, before anything is opened.
    pub fn check(&self, purpose: Purpose) -> Outcome<()> {
        check_count(self.keys.len() + self.escrow_keys.len(), "-k or -e")?;
        if self.keys.is_empty() && (self.branch.is_some() || self.branch_file.is_some()) {
            return Err(Failure::usage("a branch key needs a CMK; use -k"));
        }
        if purpose == Purpose::Seal && self.branch.is_none() && self.branch_file.is_some() {
            return Err(Failure::usage("name the branch of --branch-file with --branch"));
        }
        Ok(())
    }

    pub fn has_escrow_keys(&self) -> bool {
        !self.escrow_keys.is_empty()
    }

    pub fn opening_keyring(&self, global: &Global) -> Outcome<Keyring> {
        keyring(&self.keys, &self.escrow_keys, &self.branch(false), Purpose::Open, global)
    }

    /// The keyring for sealing. With `by_reference`, messages do not contain their branch key.
    pub fn sealing_keyring(&self, by_reference: bool, global: &Global) -> Outcome<Keyring> {
        keyring(&self.keys, &self.escrow_keys, &self.branch(by_reference), Purpose::Seal, global)
    }

    fn branch(&self, by_reference: bool) -> Branch<'_> {
        Branch { id: self.branch.as_ref(), file: self.branch_file.as_deref(), by_reference }
    }
}

fn check_count(count: usize, options: &str) -> Outcome<()> {
    match count {
        0 => Err(Failure::usage(format!("no key is given; use {options}"))),
        1..=KEYS_MAX => Ok(()),
        count => Err(Failure::usage(format!("{count} keys are given; at most {KEYS_MAX} are allowed"))),
    }
}

fn keyring(
    keys: &[String],
    escrow_keys: &[EscrowKey],
    branch: &Branch<'_>,
    purpose: Purpose,
    global: &Global,
) -> Outcome<Keyring> {
    let mut keyring = Keyring::new();
    if !keys.is_empty() {
        let client = global.client().map_err(|failure| match failure.what {
            None if failure.error.is_some() => failure.about("cannot create a client"),
            _ => failure,
        })?;
        for key in keys {
            branch.add_cmk(&mut keyring, &client, key, purpose)?;
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

impl Branch<'_> {
    /// Sealing uses the CMK directly or through a branch key. Opening accepts both.
    fn add_cmk(&self, keyring: &mut Keyring, client: &Client, key: &str, purpose: Purpose) -> Outcome<()> {
        let is_open = purpose == Purpose::Open;
        if is_open || self.id.is_none() {
            keyring.add_kms(client, key).map_err(|error| Failure::from(error).about(key))?;
        }
        if is_open || self.id.is_some() {
            keyring.add_branch(client, key, self.options(is_open)).map_err(|error| self.explain(key, error))?;
        }
        Ok(())
    }

    /// Accepts every branch unless one is named: the message contains the branch.
    fn options(&self, is_open: bool) -> BranchOptions {
        BranchOptions {
            branch_id: self.id.cloned(),
            source: self.file.map_or(BranchSource::Own, |file| BranchSource::File(file.to_owned())),
            form: if self.by_reference { BranchForm::ByReference } else { BranchForm::Embedded },
            open_any: is_open && self.id.is_none(),
            ..BranchOptions::default()
        }
    }

    /// A malformed file is wrong input.
    fn explain(&self, key: &str, error: tckms::Error) -> Failure {
        let failure = Failure::from(error);
        match self.file {
            // The library's text names the file.
            Some(_) if failure.why.starts_with("file ") => Failure { exit: Exit::Usage, ..failure },
            Some(file) => Failure { exit: Exit::Usage, ..failure }.about(shown(file.as_os_str())),
            None => failure.about(key),
        }
    }
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
