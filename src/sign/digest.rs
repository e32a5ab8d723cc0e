//! The digest of a message, computed incrementally.

use aws_lc_rs::digest::{Context, SHA256, SHA384};
use sm3::{Digest as _, Sm3};

use super::algorithm::SignatureAlgorithm;

/// A digest of at most 48 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    bytes: [u8; 48],
    len: usize,
}

impl Digest {
    fn new(digest: &[u8]) -> Self {
        let mut bytes = [0; 48];
        bytes[..digest.len()].copy_from_slice(digest);
        Self { bytes, len: digest.len() }
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// An incremental digest.
#[derive(Clone)]
pub struct DigestContext(Hash);

#[derive(Clone)]
enum Hash {
    Sha2(Context),
    Sm3(Sm3),
}

impl DigestContext {
    /// The digest that `algorithm` signs. For SM2 it begins with `sm2_prefix`, the hash of the signer's id and public key.
    pub(crate) fn new(algorithm: SignatureAlgorithm, sm2_prefix: &[u8]) -> Self {
        Self(match algorithm {
            SignatureAlgorithm::Sm2Sm3 => Hash::Sm3(Sm3::new_with_prefix(sm2_prefix)),
            SignatureAlgorithm::EcdsaP384Sha384 => Hash::Sha2(Context::new(&SHA384)),
            _ => Hash::Sha2(Context::new(&SHA256)),
        })
    }

    /// Adds the next bytes of the message.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Hash::Sha2(context) => context.update(bytes),
            Hash::Sm3(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all bytes added.
    pub fn finish(self) -> Digest {
        match self.0 {
            Hash::Sha2(context) => Digest::new(context.finish().as_ref()),
            Hash::Sm3(hasher) => Digest::new(&hasher.finalize()),
        }
    }
}
