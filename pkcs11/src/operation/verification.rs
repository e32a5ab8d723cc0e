//! Verification, local with the public key.

use cryptoki_sys::*;

use super::signing::Signing;
use crate::error::Result;
use crate::key::SharedKey;
use crate::mechanism::Request;

/// An active verification.
#[derive(Clone)]
pub struct Verification(Signing);

impl Verification {
    /// Begins. Fails if the key does not support the mechanism.
    pub fn new(key: SharedKey, request: &Request) -> Result<Self> {
        Signing::new(key, request).map(Self)
    }

    /// Whether a part was added.
    pub fn has_parts(&self) -> bool {
        self.0.has_parts()
    }

    /// Adds a part of the data.
    pub fn update(&mut self, part: &[u8]) -> Result<()> {
        self.0.update(part)
    }

    /// Adds the data.
    pub fn add(&mut self, data: &[u8]) -> Result<()> {
        self.0.add(data)
    }

    /// Verifies the signature.
    pub fn finish(&self, signature: &[u8]) -> Result<()> {
        if signature.len() != self.0.signature_len() {
            return Err(CKR_SIGNATURE_LEN_RANGE);
        }
        let digest = self.0.digest()?;
        let verified = self.0.key().public.verify_digest(self.0.algorithm(), &digest, signature);
        verified.map_err(|_| CKR_SIGNATURE_INVALID)
    }
}
