//! Keyrings and wrapping keys.

pub(super) mod branch;
pub(super) mod branch_supplier;
pub(super) mod callback;
pub(super) mod keyring;
pub(super) mod kms;
mod names;
mod obtain;
mod recent_unwraps;
mod request_share;
pub(super) mod rsa;
mod unwrap;
pub(super) mod wrapping_key;
