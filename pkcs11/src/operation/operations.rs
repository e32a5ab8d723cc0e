//! The active operations of a session.

use std::collections::VecDeque;

use cryptoki_sys::CK_OBJECT_HANDLE;

use super::decryption::Decryption;
use super::digesting::Digesting;
use super::encryption::Encryption;
use super::signing::Signing;
use super::verification::Verification;

/// The active operations of a session.
#[derive(Clone, Default)]
pub struct Operations {
    /// C_FindObjects: the handles that were not returned yet.
    pub find: Option<VecDeque<CK_OBJECT_HANDLE>>,
    /// C_Sign.
    pub sign: Option<Signing>,
    /// C_Verify.
    pub verify: Option<Verification>,
    /// C_Encrypt.
    pub encrypt: Option<Encryption>,
    /// C_Decrypt.
    pub decrypt: Option<Decryption>,
    /// C_Digest.
    pub digest: Option<Digesting>,
}
