//! Which keys wrap the data key of a message.

pub(super) mod keyring;
pub(super) mod kms;
pub(super) mod materials;
pub(super) mod rsa;
pub(super) mod wrapping_key;
