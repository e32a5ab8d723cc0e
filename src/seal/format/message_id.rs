//! Message ids, from which each message's content key is derived.

use crate::error::Result;
use crate::sys::random;

/// The length of the ids that are written. Version 1 of the format has 16 bytes.
pub(crate) const MESSAGE_ID_LEN: usize = 32;

/// A message's id: random, never used twice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageId {
    bytes: [u8; MESSAGE_ID_LEN],
    len: usize,
}

impl MessageId {
    /// A new id. It comes from the operating system each time, so that no two processes draw the same.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; MESSAGE_ID_LEN];
        random::fill(&mut bytes)?;
        Ok(Self { bytes, len: MESSAGE_ID_LEN })
    }

    /// The id of a header: 16 or 32 bytes.
    pub fn from_slice(id: &[u8]) -> Self {
        let mut bytes = [0; MESSAGE_ID_LEN];
        bytes[..id.len()].copy_from_slice(id);
        Self { bytes, len: id.len() }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
