//! Random numbers, from the generator of the cryptography: it notices a fork, and never repeats its parent's.

use crate::error::{Error, Result};
use crate::fork_gate;
use crate::status::Status;

/// Fills `bytes`.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    fork_gate::inside(|| aws_lc_rs::rand::fill(bytes))
        .map_err(|_| Error::new(Status::Internal, "the system has no random numbers"))
}

/// A number in [0, 1), for chance that is no secret.
pub(crate) fn fraction() -> f64 {
    let mut bytes = [0; 4];
    match fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}
