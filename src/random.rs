//! Random numbers, drawn from the operating system at each call: a forked child and a copy of a virtual machine do not draw
//! what the other draws, as they might from a generator in the process.

use std::io;

use crate::error::{Error, Result};
use crate::process;
use crate::status::Status;

/// The most that systems give at once.
const DRAW_MAX: usize = 256;

/// Fills `bytes`.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    for room in bytes.chunks_mut(DRAW_MAX) {
        let mut filled = 0;
        while filled < room.len() {
            match process::draw_random(&mut room[filled..]) {
                Ok(drawn) => filled += drawn,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(no_random(&error)),
            }
        }
    }
    Ok(())
}

/// A number in [0, 1), for chance that is no secret.
pub(crate) fn fraction() -> f64 {
    let mut bytes = [0; 4];
    match fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

fn no_random(error: &io::Error) -> Error {
    let message = format!("the operating system gave no random numbers: {error}");
    Error::new(Status::Internal, message).with_os_errno(error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_drawn() {
        let mut seen = vec![0_u8; 3 * DRAW_MAX + 7];
        for _ in 0..16 {
            let mut bytes = vec![0; seen.len()];
            fill(&mut bytes).unwrap();
            seen.iter_mut().zip(bytes).for_each(|(seen, byte)| *seen |= byte);
        }
        assert!(seen.iter().all(|byte| *byte != 0));
    }
}
