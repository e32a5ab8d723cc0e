//! Envelope encryption: data of any size under a data key, which the key service or another key wraps.
//!
//! Messages have the format of the AWS Encryption SDK: version 2 is written, versions 1 and 2 are read.
//!
//! There are three ways to seal and to open: a complete message in memory ([`Keyring::prepare_seal`],
//! [`Keyring::prepare_open`]), in a stream ([`SealStream`], [`OpenStream`]), and on all cores: from a reader to a
//! writer ([`Keyring::seal_reader`], [`Keyring::open_reader`]) or between descriptors ([`Keyring::seal_descriptor`],
//! [`Keyring::open_descriptor`]).

mod cache;
mod detached;
mod format;
mod info;
mod io;
mod keys;
mod materials;
mod message_reader;
mod message_writer;

pub use cache::{CACHE_AGE_MAX, CACHE_ENTRIES_MAX, CACHE_MESSAGES_MAX, Cache, CacheLimits};
pub(crate) use detached::{DetachedOpen, DetachedSeal};
pub use format::branch_id::{BRANCH_ID_MAX, BranchId};
pub use format::branch_record::{BRANCH_RECORDS_MAX, BranchRecord, BranchRecords};
#[cfg(fuzzing)]
pub(crate) use format::branch_wrap::{Binding, BranchSecret, BranchWrapped};
pub use format::branch_wrap::{BranchForm, TENCENT_KMS_HIERARCHY_PROVIDER_ID};
pub use format::context::Context;
pub use format::limits::{FRAME_LEN_DEFAULT, FRAME_LEN_MAX, HEADER_LEN_MAX, UNFRAMED_LEN_MAX, WRAPPED_KEYS_MAX};
pub use format::suite::CommitmentPolicy;
pub use format::wrapped_key::WrappedKey;
pub(crate) use info::branch_claims;
pub use info::{BranchClaims, MessageInfo};
pub use io::descriptors::{DescriptorJob, THREADS_MAX};
pub use io::open_stream::OpenStream;
pub use io::pipeline::{JobControl, ProgressCallback};
pub use io::progress::Progress;
pub use io::seal_stream::SealStream;
pub use keys::branch::branch_store::BranchStore;
pub use keys::branch::counters::BranchStats;
pub use keys::branch::options::{BranchOptions, BranchSource};
pub use keys::branch::record_file::{create_branch_file, update_branch_file};
pub use keys::branch_supplier::BranchSupplier;
pub(crate) use keys::callback::{CallbackKey, KeyCallbacks, check_provider_id};
pub use keys::keyring::Keyring;
pub use keys::kms::TENCENT_KMS_PROVIDER_ID;
pub use keys::wrapping_key::{KeyRequest, WrappingKey};
pub use message_reader::PreparedOpen;
pub use message_writer::PreparedSeal;

use crate::error::Result;

impl Keyring {
    /// Gets a data key for a complete plaintext, whose message is bound to `context`.
    pub fn prepare_seal<'a>(&self, plaintext: &'a [u8], context: &Context) -> Result<PreparedSeal<'a>> {
        let materials = self.materials(context, Some(plaintext.len() as u64))?;
        PreparedSeal::new(materials, self.frame_len(), plaintext)
    }

    /// Gets the data key of a complete message whose context has at least the pairs of `expected`, and authenticates
    /// its header.
    pub fn prepare_open<'a>(&self, message: &'a [u8], expected: &Context) -> Result<PreparedOpen<'a>> {
        PreparedOpen::new(self, message, expected)
    }
}
