//! How much plaintext a stream may carry.

use crate::error::{Error, Result};
use crate::status::Status;

/// Counts plaintext against what was announced.
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

    /// What is known of the size before the end.
    pub fn at_most(&self) -> Option<u64> {
        self.exact.or(self.bound)
    }

    /// Counts `len` more bytes.
    pub fn count(&mut self, len: usize) -> Result<()> {
        self.check_room(len)?;
        self.seen += len as u64;
        Ok(())
    }

    /// Refuses `len` more bytes that are too many, as soon as they are seen.
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

    /// Refuses an end that comes too soon.
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
