//! Complete messages with their data keys, without a borrow of the message's memory: one thread does the key requests,
//! another one the encryption.

use std::sync::Arc;

use crate::error::Result;
use crate::seal::format::context::Context;
use crate::seal::keys::keyring::Keyring;
use crate::seal::materials::Materials;
use crate::seal::message_reader::{PreparedOpen, PreparedParts};
use crate::seal::message_writer::PreparedSeal;
use crate::secret::Secret;

/// A plaintext with its data key.
pub(crate) struct DetachedSeal {
    materials: Arc<Materials>,
    frame_len: usize,
    plaintext: Secret,
}

impl DetachedSeal {
    pub fn prepare(keyring: &Keyring, plaintext: Secret, context: &Context) -> Result<Self> {
        let materials = keyring.materials(context, Some(plaintext.len() as u64))?;
        Ok(Self { materials, frame_len: keyring.frame_len(), plaintext })
    }

    pub fn prepared(&self) -> Result<PreparedSeal<'_>> {
        PreparedSeal::new(Arc::clone(&self.materials), self.frame_len, self.plaintext.expose())
    }
}

/// A message whose header is authentic.
pub(crate) struct DetachedOpen {
    parts: PreparedParts,
    message: Secret,
}

impl DetachedOpen {
    pub fn prepare(keyring: &Keyring, message: Secret, expected: &Context) -> Result<Self> {
        let parts = PreparedOpen::new(keyring, message.expose(), expected)?.into_parts();
        Ok(Self { parts, message })
    }

    /// Calls `open` with the message.
    pub fn with_prepared<T>(self, open: impl FnOnce(PreparedOpen<'_>) -> T) -> T {
        open(PreparedOpen::from_parts(self.parts, self.message.expose()))
    }
}
