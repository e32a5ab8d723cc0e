//! The progress of one step of a stream.

use crate::error::Error;
use crate::status::Status;

/// The result of a call. Any of the numbers may be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The number of input bytes taken. Pass the rest again.
    pub consumed: usize,
    /// The number of output bytes filled.
    pub produced: usize,
    /// Whether the stream is complete: there is no more output.
    pub done: bool,
}

/// The output would exceed the address space.
pub(crate) fn too_long_at_once(len: usize) -> Error {
    Error::new(Status::InvalidLength, format!("{len} bytes are more than a stream can take at once"))
}
