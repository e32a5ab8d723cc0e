//! Envelope encryption: data of any size under a data key, which the key service or another key wraps.
//!
//! Messages have the format of the AWS Encryption SDK: version 2 is written, versions 1 and 2 are read.

mod assembly_line;
mod cache;
mod content_key;
mod context;
mod frame;
mod header;
mod info;
mod keyring;
mod kms_key;
mod limits;
mod materials;
mod message;
mod message_id;
mod opened;
mod opener;
mod parallel;
mod progress;
mod ready;
mod rsa_key;
mod sealer;
mod shelf;
mod signature;
mod size;
mod suite;
mod window;
mod wrapping_key;

pub(crate) use assembly_line::{Progressing, Stopped, Watch};
pub use cache::{CACHE_AGE_MAX, CACHE_ENTRIES_MAX, CACHE_MESSAGES_MAX, Cache, CacheLimits};
pub use context::Context;
pub use info::MessageInfo;
pub use keyring::Keyring;
pub use kms_key::TENCENT_KMS_PROVIDER_ID;
pub use limits::{FRAME_LEN_DEFAULT, FRAME_LEN_MAX, HEADER_LEN_MAX, UNFRAMED_LEN_MAX, WRAPPED_KEYS_MAX};
pub use opener::Opener;
pub use progress::Progress;
pub use sealer::Sealer;
pub use suite::Policy;
pub use wrapping_key::{KeyRequest, WrappedKey, WrappingKey};

use crate::error::Result;

impl Keyring {
    /// Seals a whole plaintext and binds the message to `context`. `room` is asked once for memory of the message's
    /// exact length.
    pub fn seal_into<'a>(
        &self,
        plaintext: &[u8],
        context: &Context,
        room: impl FnOnce(usize) -> Result<&'a mut [u8]>,
    ) -> Result<()> {
        let materials = self.materials(context, Some(plaintext.len() as u64))?;
        message::seal_into(materials, self.frame_len(), plaintext, room)
    }

    /// Opens a whole message whose context holds at least the pairs of `expected`. `room` is asked once for memory of
    /// the plaintext's exact length; what is in it counts only when the call succeeds.
    pub fn open_into<'a>(
        &self,
        message: &[u8],
        expected: &Context,
        room: impl FnOnce(usize) -> Result<&'a mut [u8]>,
    ) -> Result<()> {
        opened::open_into(self, message, expected, room)
    }
}
