//! The keys for sealing: a data key, its wrapped forms, and for signed messages a key pair.

use crate::seal::format::signature::SigningKey;
use crate::seal::format::suite::Suite;
use crate::secret::Secret;

/// They serve many messages: each has its own message id and so its own content key.
pub(crate) struct Materials {
    pub suite: &'static Suite,
    pub data_key: Secret,
    /// Context and wrapped keys in the form of headers.
    pub fields: Vec<u8>,
    pub signing_key: Option<SigningKey>,
}
