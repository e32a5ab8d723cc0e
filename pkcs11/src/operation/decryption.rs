//! RSA decryption, by the service.

use std::sync::Arc;

use cryptoki_sys::*;
use tckms::sign::RsaPadding;
use tckms::{Client, Secret};

use crate::error::Result;
use crate::key::SharedKey;
use crate::mechanism::Request;
use crate::token::failed;

/// An active decryption.
#[derive(Clone)]
pub struct Decryption {
    key: SharedKey,
    padding: RsaPadding,
    /// The plaintext, kept for a second call if the program's buffer was too small.
    plaintext: Option<Arc<Secret>>,
}

impl Decryption {
    /// Begins. Fails if the key does not support the mechanism.
    pub fn new(key: SharedKey, request: &Request) -> Result<Self> {
        let padding = request.padding(&key)?;
        Ok(Self { key, padding, plaintext: None })
    }

    /// The maximal length of a plaintext.
    pub fn plaintext_max(&self) -> usize {
        self.key.output_len()
    }

    /// Decrypts with one request. A second call returns the same plaintext.
    pub fn plaintext(&mut self, client: &Client, ciphertext: &[u8]) -> Result<Arc<Secret>> {
        if let Some(plaintext) = &self.plaintext {
            return Ok(Arc::clone(plaintext));
        }
        if ciphertext.len() != self.key.output_len() {
            return Err(CKR_ENCRYPTED_DATA_LEN_RANGE);
        }
        let decrypted = client
            .rsa_decrypt(&self.key.id, self.padding, ciphertext)
            .map_err(|error| failed(&format!("decrypting with key {:?} ({})", self.key.label, self.key.id), &error))?;
        let plaintext = Arc::new(decrypted.plaintext);
        self.plaintext = Some(Arc::clone(&plaintext));
        Ok(plaintext)
    }
}
