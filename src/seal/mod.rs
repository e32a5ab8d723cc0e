//! Envelope encryption: data of any size under a data key, which the key service or another key wraps.
//!
//! Messages have the format of the AWS Encryption SDK: version 2 is written, versions 1 and 2 are read.

mod cache;
mod format;
mod info;
mod io;
mod keys;
mod materials;
mod message_reader;
mod message_writer;

pub use cache::{CACHE_AGE_MAX, CACHE_ENTRIES_MAX, CACHE_MESSAGES_MAX, Cache, CacheLimits};
pub use format::context::Context;
pub use format::limits::{FRAME_LEN_DEFAULT, FRAME_LEN_MAX, HEADER_LEN_MAX, UNFRAMED_LEN_MAX, WRAPPED_KEYS_MAX};
pub use format::suite::CommitmentPolicy;
pub use format::wrapped_key::WrappedKey;
pub use info::MessageInfo;
pub use io::open_stream::OpenStream;
pub(crate) use io::pipeline::{JobControl, ProgressCallback, Stopped};
pub use io::progress::Progress;
pub use io::seal_stream::SealStream;
pub(crate) use keys::callback::{CallbackKey, KeyCallbacks, check_provider_id};
pub use keys::keyring::Keyring;
pub use keys::kms::TENCENT_KMS_PROVIDER_ID;
pub use keys::wrapping_key::{KeyRequest, WrappingKey};

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
        message_writer::seal_into(materials, self.frame_len(), plaintext, room)
    }

    /// Opens a whole message whose context holds at least the pairs of `expected`. `room` is asked once for memory of
    /// the plaintext's exact length; what is in it counts only when the call succeeds.
    pub fn open_into<'a>(
        &self,
        message: &[u8],
        expected: &Context,
        room: impl FnOnce(usize) -> Result<&'a mut [u8]>,
    ) -> Result<()> {
        message_reader::open_into(self, message, expected, room)
    }
}
