//! The algorithm suites of the format: keys, key derivation, signature.

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Algorithm};
use aws_lc_rs::hkdf::{HKDF_SHA256, HKDF_SHA384, KeyType, Prk, Salt};
use zeroize::{Zeroizing, zeroize_stack};

use crate::error::{Error, Result};
use crate::seal::format::content_key::ContentKey;
use crate::seal::format::message_id::MessageId;
use crate::seal::format::signature::Curve;
use crate::status::Status;
use crate::sys::hmac_sha512;

/// The length of the commit key in a committing header.
pub(crate) const COMMIT_KEY_LEN: usize = 32;
/// The longest data key of any suite.
const KEY_LEN_MAX: usize = 32;
/// More stack than a derivation with HMAC in one place needs, which is 2.3 kB.
const COMMITTING_STACK: usize = 4096;
/// More stack than one with HKDF of the crypto library needs.
const HKDF_STACK: usize = 8192;

/// The suites that a keyring accepts. Messages are always written with a committing suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitmentPolicy {
    /// Only messages whose header commits to one key are opened.
    #[default]
    Required = 0,
    /// Messages of version 1 of the format, which do not commit, are opened as well.
    NotRequiredToOpen = 1,
}

impl CommitmentPolicy {
    /// The policy with this number, if there is one.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Required, Self::NotRequiredToOpen].into_iter().find(|policy| *policy as i32 == number)
    }

    pub(crate) fn check(self, suite: &Suite) -> Result<()> {
        if suite.commits() || self == Self::NotRequiredToOpen {
            return Ok(());
        }
        let message = format!(
            "the message has suite {:04x}, which does not commit to its key; the policy \
             TCKMS_COMMITMENT_NOT_REQUIRED_TO_OPEN would open it",
            suite.id
        );
        Err(Error::new(Status::SuiteNotAllowed, message))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Derivation {
    /// The data key is the content key.
    Identity,
    Sha256,
    Sha384,
    /// The one with a commitment, keyed by the message id.
    CommittingSha512,
}

/// One row of the table below.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Suite {
    pub id: u16,
    pub key_len: usize,
    derivation: Derivation,
    pub curve: Option<Curve>,
}

/// The suite of new messages.
pub(crate) static COMMITTING: &Suite = &SUITES[0];
/// As above, and signed, for readers that must not be able to write.
pub(crate) static COMMITTING_SIGNED: &Suite = &SUITES[1];

static SUITES: [Suite; 11] = [
    suite(0x0478, 32, Derivation::CommittingSha512, None),
    suite(0x0578, 32, Derivation::CommittingSha512, Some(Curve::P384)),
    suite(0x0378, 32, Derivation::Sha384, Some(Curve::P384)),
    suite(0x0346, 24, Derivation::Sha384, Some(Curve::P384)),
    suite(0x0214, 16, Derivation::Sha256, Some(Curve::P256)),
    suite(0x0178, 32, Derivation::Sha256, None),
    suite(0x0146, 24, Derivation::Sha256, None),
    suite(0x0114, 16, Derivation::Sha256, None),
    suite(0x0078, 32, Derivation::Identity, None),
    suite(0x0046, 24, Derivation::Identity, None),
    suite(0x0014, 16, Derivation::Identity, None),
];

const fn suite(id: u16, key_len: usize, derivation: Derivation, curve: Option<Curve>) -> Suite {
    Suite { id, key_len, derivation, curve }
}

/// The derivation of the content key from a data key.
pub(crate) struct Derived {
    pub content_key: ContentKey,
    pub commit_key: Option<[u8; COMMIT_KEY_LEN]>,
}

impl Suite {
    /// The suite with this id, in the version of the format that it belongs to.
    pub fn find(version: u8, id: u16) -> Result<&'static Self> {
        SUITES.iter().find(|suite| suite.id == id && suite.version() == version).ok_or_else(|| {
            let message = format!("version {version} of the format has no suite {id:04x} that this library reads");
            Error::new(Status::UnsupportedSuite, message)
        })
    }

    pub fn version(&self) -> u8 {
        if self.commits() { 2 } else { 1 }
    }

    pub fn commits(&self) -> bool {
        self.derivation == Derivation::CommittingSha512
    }

    pub fn is_signed(&self) -> bool {
        self.curve.is_some()
    }

    /// Whether each message has its own content key. Otherwise a data key must never serve two messages.
    pub fn derives(&self) -> bool {
        self.derivation != Derivation::Identity
    }

    /// The keys of one message. What HKDF extracts is moved from place to place by the crypto library, and only the last
    /// place is wiped by it: all of them are on the stack.
    pub fn derive(&self, data_key: &[u8], message_id: &MessageId) -> Result<Derived> {
        let derived = self.derive_leaving_copies(data_key, message_id);
        if self.commits() {
            zeroize_stack::<COMMITTING_STACK>()
        } else {
            zeroize_stack::<HKDF_STACK>()
        }
        derived
    }

    /// Not a part of its caller, whose part of the stack stays in use.
    #[inline(never)]
    fn derive_leaving_copies(&self, data_key: &[u8], message_id: &MessageId) -> Result<Derived> {
        self.check_data_key(data_key)?;
        let id = self.id.to_be_bytes();
        match self.derivation {
            Derivation::Identity => self.only_content_key(data_key),
            Derivation::Sha256 => self.expand_once(&Salt::new(HKDF_SHA256, &[]).extract(data_key), &id, message_id),
            Derivation::Sha384 => self.expand_once(&Salt::new(HKDF_SHA384, &[]).extract(data_key), &id, message_id),
            Derivation::CommittingSha512 => self.expand_twice(&*extract_sha512(message_id, data_key)?, &id),
        }
    }

    /// A key of the wrong length is a fault of the key that unwrapped it, not of the message.
    pub fn check_data_key(&self, data_key: &[u8]) -> Result<()> {
        if data_key.len() == self.key_len {
            return Ok(());
        }
        let message =
            format!("the data key has {} bytes, suite {:04x} needs {}", data_key.len(), self.id, self.key_len);
        Err(Error::new(Status::DataKeyLength, message))
    }

    fn expand_once(&self, prk: &Prk, id: &[u8; 2], message_id: &MessageId) -> Result<Derived> {
        let mut key = Zeroizing::new([0; KEY_LEN_MAX]);
        expand(prk, &[id, message_id.bytes()], &mut key[..self.key_len])?;
        self.only_content_key(&key[..self.key_len])
    }

    /// HKDF-Expand (RFC 5869, 2.3) to the first block, for the content key and for the commit key.
    fn expand_twice(&self, prk: &[u8; hmac_sha512::TAG_LEN], id: &[u8; 2]) -> Result<Derived> {
        let mut key = Zeroizing::new([0; hmac_sha512::TAG_LEN]);
        let mut commit_key = [0; hmac_sha512::TAG_LEN];
        let mut key_info = *b"??DERIVEKEY\x01";
        key_info[..id.len()].copy_from_slice(id);
        hmac_sha512::tags(prk, [&key_info, b"COMMITKEY\x01"], [&mut key, &mut commit_key]).ok_or_else(not_derived)?;
        let commit_key = commit_key.first_chunk().copied();
        Ok(Derived { commit_key, ..self.only_content_key(&key[..self.key_len])? })
    }

    fn only_content_key(&self, key: &[u8]) -> Result<Derived> {
        Ok(Derived { content_key: ContentKey::new(self.cipher(), key)?, commit_key: None })
    }

    fn cipher(&self) -> &'static Algorithm {
        match self.key_len {
            16 => &AES_128_GCM,
            24 => &AES_192_GCM,
            _ => &AES_256_GCM,
        }
    }
}

/// HKDF-Extract (RFC 5869, 2.2), whose result is used twice: the crypto library's own HKDF would extract, and prepare HMAC
/// with what it extracted, once for each expansion.
fn extract_sha512(message_id: &MessageId, data_key: &[u8]) -> Result<Zeroizing<[u8; hmac_sha512::TAG_LEN]>> {
    let mut prk = Zeroizing::new([0; hmac_sha512::TAG_LEN]);
    hmac_sha512::tags(message_id.bytes(), [data_key], [&mut prk]).ok_or_else(not_derived)?;
    Ok(prk)
}

fn not_derived() -> Error {
    Error::new(Status::Internal, "the key derivation failed")
}

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(prk: &Prk, info: &[&[u8]], out: &mut [u8]) -> Result<()> {
    prk.expand(info, Len(out.len())).and_then(|okm| okm.fill(out)).map_err(|_| not_derived())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_its_own_suites() {
        assert_eq!(SUITES.iter().filter(|suite| suite.version() == 2).count(), 2);
        assert_eq!(SUITES.iter().filter(|suite| suite.version() == 1).count(), 9);
        for (version, id) in [(1, 0x0478), (2, 0x0378), (1, 0x0000), (2, 0x6702), (1, 0x0070), (3, 0x0478)] {
            assert_eq!(Suite::find(version, id).err().unwrap().status(), Status::UnsupportedSuite, "{id:04x}");
        }
    }

    #[test]
    fn the_default_policy_takes_committing_suites_only() {
        for suite in &SUITES {
            assert_eq!(CommitmentPolicy::default().check(suite).is_ok(), suite.commits(), "{:04x}", suite.id);
            assert!(CommitmentPolicy::NotRequiredToOpen.check(suite).is_ok());
        }
    }

    #[test]
    fn a_data_key_has_the_length_of_its_suite() {
        let message_id = MessageId::from_slice(&[0; 32]);
        for len in [0, 16, 31, 33] {
            let error = COMMITTING.derive(&vec![0; len], &message_id).err().unwrap();
            assert_eq!(error.status(), Status::DataKeyLength);
        }
    }
}
