//! A wrapped data key in the header of a message.

/// A wrapped data key of a message; a claim until the message is authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WrappedKey {
    /// The scheme, such as `tencent-kms`.
    pub provider_id: String,
    /// Identifies the key of the scheme, in the scheme's own form.
    pub provider_info: Vec<u8>,
    /// The wrapped data key.
    pub blob: Vec<u8>,
}
