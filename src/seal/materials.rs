//! What it takes to seal: a data key, its wrapped forms, and for signed messages a key pair.

use crate::seal::format::signature::SigningKey;
use crate::seal::format::suite::Suite;
use crate::secret::Secret;

/// Good for many messages: each has a message id and so a content key of its own.
pub(crate) struct Materials {
    pub suite: &'static Suite,
    pub data_key: Secret,
    /// Context and wrapped keys as headers hold them.
    pub fields: Vec<u8>,
    pub signing_key: Option<SigningKey>,
}
