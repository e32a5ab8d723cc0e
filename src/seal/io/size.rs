//! The size and the bound of a stream's plaintext.

use crate::error::{Error, Result};
use crate::status::Status;

/// Compares the plaintext with the size or bound that was set.
#[derive(Clone, Copy, Default)]
pub(crate) struct PlaintextSize {
    exact: Option<u64>,
    bound: Option<u64>,
    seen: u64,
}

impl PlaintextSize {
    pub fn set_exact(&mut self, size: u64) {
        self.exact = Some(size);
    }

    pub fn set_bound(&mut self, bound: u64) {
        self.bound = Some(bound);
    }

    pub fn exact(&self) -> Option<u64> {
        self.exact
    }

    /// The expected size.
    pub fn at_most(&self) -> Option<u64> {
        self.exact.or(self.bound)
    }

    /// Counts `len` more bytes.
    pub fn count(&mut self, len: usize) -> Result<()> {
        self.check_room(len)?;
        self.seen += len as u64;
        Ok(())
    }

    /// Refuses `len` more bytes if they are too many.
    pub fn check_room(&self, len: usize) -> Result<()> {
        let total = self.seen.saturating_add(len as u64);
        for (most, what) in [(self.exact, "size"), (self.bound, "bound")] {
            if let Some(most) = most.filter(|most| total > *most) {
                let message = format!("the plaintext has at least {total} bytes, the {what} that was set is {most}");
                return Err(Error::new(Status::PlaintextSize, message));
            }
        }
        Ok(())
    }

    /// Refuses an end before the size is reached.
    pub fn check_end(&self) -> Result<()> {
        match self.exact {
            Some(exact) if exact != self.seen => {
                let message = format!("the plaintext has {} bytes, the size that was set is {exact}", self.seen);
                Err(Error::new(Status::PlaintextSize, message))
            }
            _ => Ok(()),
        }
    }
}
