//! Decrypting with an RSA key, which the service does.

use std::sync::Arc;

use cryptoki_sys::*;
use tckms::sign::RsaPadding;
use tckms::{Client, Secret};

use crate::error::Result;
use crate::key::SharedKey;
use crate::mechanism::Request;
use crate::token::failed;

/// A decryption under way.
#[derive(Clone)]
pub struct Decryption {
    key: SharedKey,
    padding: RsaPadding,
    /// What the service gave already, for a program whose room was too small.
    plaintext: Option<Arc<Secret>>,
}

impl Decryption {
    /// Begins, if the key can be used so.
    pub fn new(key: SharedKey, request: &Request) -> Result<Self> {
        let padding = request.padding(&key)?;
        Ok(Self { key, padding, plaintext: None })
    }

    /// A length that no plaintext exceeds.
    pub fn plaintext_max(&self) -> usize {
        self.key.output_len()
    }

    /// Has the service decrypt, once.
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
