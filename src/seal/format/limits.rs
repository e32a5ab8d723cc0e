//! Limits for the claims of a message before it is authenticated, and limits of the format.

use crate::error::{Error, Result};
use crate::status::Status;

/// The frame length that messages are written with unless another is set: 32 bytes of overhead in 65536.
pub const FRAME_LEN_DEFAULT: usize = 65_536;
/// Longest frame that can be written or allowed. Other readers of the format stop here as well.
pub const FRAME_LEN_MAX: usize = (1 << 31) - 1;
/// Most wrapped data keys that a header can hold.
pub const WRAPPED_KEYS_MAX: usize = 65_535;
/// Longest header that can be allowed; an honest one has about 400 bytes.
pub const HEADER_LEN_MAX: usize = 1 << 30;
/// Longest unframed body that can be allowed: what AES-GCM encrypts at once (NIST SP 800-38D, 5.2.1.1).
pub const UNFRAMED_LEN_MAX: usize = (1 << 36) - 32;

/// What a reader accepts. Every number is checked as soon as it is parsed, before memory is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub wrapped_keys: usize,
    pub header_len: usize,
    pub frame_len: usize,
    pub unframed_len: usize,
    pub private_key_operations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wrapped_keys: 8,
            header_len: 512 << 10,
            frame_len: 16 << 20,
            unframed_len: 64 << 20,
            private_key_operations: 2,
        }
    }
}

/// `value` if it is in `1..=max`.
pub(crate) fn checked(what: &str, value: usize, max: usize) -> Result<usize> {
    if (1..=max).contains(&value) {
        return Ok(value);
    }
    Err(Error::new(Status::OutOfRange, format!("the {what} is {value}, 1 to {max} are allowed")))
}
