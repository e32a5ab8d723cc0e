//! A wrapped data key in the header of a message.

/// A data key as a message holds it, and as a message claims it before it is authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WrappedKey {
    /// The scheme, such as `tencent-kms`.
    pub provider_id: String,
    /// Which key of the scheme, in the scheme's own form.
    pub provider_info: Vec<u8>,
    /// The wrapped data key.
    pub blob: Vec<u8>,
}
