//! Parts of a header with a length prefix, and lists with a count prefix, both of 16 bits.

use crate::error::{Error, Result};

/// The most that a count or a length can be.
pub(super) const MAX: usize = u16::MAX as usize;

/// Appends a number. One that is too large is the error that `too_large` makes of it.
pub(super) fn push_number(out: &mut Vec<u8>, number: usize, too_large: fn(usize) -> Error) -> Result<()> {
    let number = u16::try_from(number).map_err(|_| too_large(number))?;
    out.extend_from_slice(&number.to_be_bytes());
    Ok(())
}

/// Appends a part with its length prefix.
pub(super) fn push_part(out: &mut Vec<u8>, part: &[u8], too_long: fn(usize) -> Error) -> Result<()> {
    push_number(out, part.len(), too_long)?;
    out.extend_from_slice(part);
    Ok(())
}
