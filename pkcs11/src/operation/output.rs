//! What an operation gives to the program.

use cryptoki_sys::CKR_HOST_MEMORY;
use tckms::Secret;

use crate::error::Result;

/// What an operation gives to a program that has room for so many bytes, or asks for the size.
pub enum Output {
    /// The size; the operation goes on.
    Size(usize),
    /// Too small a room, with the size that is needed; the operation goes on.
    TooSmall(usize),
    /// The result.
    Bytes(Secret),
}

/// The room for a result of `len` bytes: nothing if it suffices, else what to answer instead.
pub fn without_room(room: Option<usize>, len: usize) -> Option<Output> {
    match room {
        None => Some(Output::Size(len)),
        Some(room) if room < len => Some(Output::TooSmall(len)),
        Some(_) => None,
    }
}

/// A result that was computed.
pub fn output(bytes: &[u8]) -> Result<Output> {
    Secret::copy_of(bytes).map(Output::Bytes).map_err(|_| CKR_HOST_MEMORY)
}
