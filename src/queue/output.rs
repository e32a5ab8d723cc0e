//! What calls give.

use crate::seal::{DetachedOpen, DetachedSeal, OpenStream, SealStream};
use crate::secret::Secret;

/// The output of a call.
// Short-lived, and one per completion: a box would only add an allocation.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Output {
    Bytes(Secret),
    /// A ciphertext, a signature or a public key.
    Public(Vec<u8>),
    DataKey {
        plaintext: Secret,
        ciphertext_blob: String,
    },
    /// A stream that has its keys, and the number of bytes of the message that it has consumed.
    Stream(Stream, usize),
    /// A message to be written.
    Seal(DetachedSeal),
    /// A message to be opened.
    Open(DetachedOpen),
}

/// A stream of either direction.
pub(crate) enum Stream {
    Seal(Box<SealStream>),
    Open(Box<OpenStream>),
}
