//! Random numbers, drawn from the operating system at each call. A generator inside the
//! process could return the same numbers in a forked child, or in a copy of a virtual
//! machine.

use std::io;

use super::entropy::draw_random;

/// The most that systems return at once.
const DRAW_MAX: usize = 256;

/// The operating system returned no random numbers.
#[derive(Debug)]
pub(crate) struct RandomUnavailable(pub io::Error);

/// Fills `bytes`.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
    for part in bytes.chunks_mut(DRAW_MAX) {
        let mut filled = 0;
        while filled < part.len() {
            match draw_random(&mut part[filled..]) {
                Ok(drawn) => filled += drawn,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(RandomUnavailable(error)),
            }
        }
    }
    Ok(())
}

/// A number in [0, 1), for choices that are not secret.
pub(crate) fn fraction() -> f64 {
    let mut bytes = [0; 4];
    match fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
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
