//! The output of an operation.

use cryptoki_sys::CKR_HOST_MEMORY;
use tckms::Secret;

use crate::error::Result;

/// The output of an operation, or the size that it needs.
pub enum Output {
    /// The size, which the program requested. The operation stays active.
    Size(usize),
    /// The size that is needed: the buffer is too small. The operation stays active.
    TooSmall(usize),
    /// The result.
    Bytes(Secret),
}

/// Checks the capacity of the program's buffer for a result of `len` bytes. `None` if it suffices.
pub fn check_capacity(capacity: Option<usize>, len: usize) -> Option<Output> {
    match capacity {
        None => Some(Output::Size(len)),
        Some(capacity) if capacity < len => Some(Output::TooSmall(len)),
        Some(_) => None,
    }
}

/// A complete result.
pub fn output(bytes: &[u8]) -> Result<Output> {
    Secret::copy_of(bytes).map(Output::Bytes).map_err(|_| CKR_HOST_MEMORY)
}
