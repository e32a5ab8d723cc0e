//! Digests, computed locally.

use aws_lc_rs::digest::Context;

use crate::error::Result;
use crate::mechanism::Request;

/// An active digest.
#[derive(Clone)]
pub struct Digesting {
    context: Context,
    has_parts: bool,
}

impl Digesting {
    /// Begins.
    pub fn new(request: &Request) -> Result<Self> {
        Ok(Self { context: Context::new(request.digest()?), has_parts: false })
    }

    /// The length of the digest.
    pub fn digest_len(&self) -> usize {
        self.context.algorithm().output_len()
    }

    /// Whether a part was added.
    pub fn has_parts(&self) -> bool {
        self.has_parts
    }

    /// Adds a part.
    pub fn update(&mut self, part: &[u8]) {
        self.has_parts = true;
        self.context.update(part);
    }

    /// The digest of all parts.
    pub fn finish(&self) -> Vec<u8> {
        self.context.clone().finish().as_ref().to_vec()
    }
}
