//! RSA encryption, local with the public key.

use cryptoki_sys::*;
use tckms::Status;
use tckms::sign::RsaPadding;

use crate::error::{Result, return_value};
use crate::key::SharedKey;
use crate::mechanism::Request;

/// An active encryption.
#[derive(Clone)]
pub struct Encryption {
    key: SharedKey,
    padding: RsaPadding,
}

impl Encryption {
    /// Begins. Fails if the key does not support the mechanism.
    pub fn new(key: SharedKey, request: &Request) -> Result<Self> {
        let padding = request.padding(&key)?;
        Ok(Self { key, padding })
    }

    /// The length of the ciphertext.
    pub fn ciphertext_len(&self) -> usize {
        self.key.output_len()
    }

    /// Encrypts.
    pub fn finish(&self, plaintext: &[u8]) -> Result<Vec<u8>> {
        self.key.public.rsa_encrypt(self.padding, plaintext).map_err(|error| match error.status() {
            Status::PlaintextTooLarge => CKR_DATA_LEN_RANGE,
            _ => return_value(&error),
        })
    }
}
