//! The rules for names of keys in messages.

/// The maximal length of a provider id and of the name of an RSA key.
pub(super) const NAME_MAX: usize = 512;
/// The prefix of provider ids that AWS reserves.
pub(super) const RESERVED_PREFIX: &str = "aws-kms";

pub(super) fn is_provider_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= NAME_MAX && id.is_ascii() && !id.starts_with(RESERVED_PREFIX)
}
