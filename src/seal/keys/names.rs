//! How keys may be named in messages.

/// Longest provider id, and longest name of an RSA key.
pub(super) const NAME_MAX: usize = 512;
/// Provider ids with this beginning belong to AWS.
pub(super) const RESERVED_PREFIX: &str = "aws-kms";

pub(super) fn is_provider_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= NAME_MAX && id.is_ascii() && !id.starts_with(RESERVED_PREFIX)
}
