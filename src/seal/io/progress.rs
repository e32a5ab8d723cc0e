//! What one step of a stream did.

use crate::error::Error;
use crate::status::Status;

/// How far a call came. Any of the numbers may be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes of the input were taken. The rest has to be given again.
    pub consumed: usize,
    /// How many bytes of the output were filled.
    pub produced: usize,
    /// Whether the stream is complete: nothing more will come out.
    pub done: bool,
}

/// No memory has room for what would come out.
pub(crate) fn too_long_at_once(len: usize) -> Error {
    Error::new(Status::InvalidLength, format!("{len} bytes are more than a stream can take at once"))
}
