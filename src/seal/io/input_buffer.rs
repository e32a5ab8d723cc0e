//! The unread part of a message: directly in the caller's memory if that has enough bytes, else collected here.

use crate::error::{Error, Result};
use crate::status::Status;

/// Bytes that were taken from the input but not consumed yet. They are a part of the message, so they are not secret.
#[derive(Default)]
pub(crate) struct InputBuffer {
    collected: Vec<u8>,
    start: usize,
}

impl InputBuffer {
    pub fn bytes(&self) -> &[u8] {
        &self.collected[self.start..]
    }

    pub fn len(&self) -> usize {
        self.collected.len() - self.start
    }

    /// The next `len` bytes, or all there are when there are fewer, and how many of `input` had to be taken for that.
    /// None are when `input` alone holds what is wanted.
    pub fn peek<'a>(&'a mut self, input: &'a [u8], len: usize) -> Result<(usize, &'a [u8])> {
        if self.len() == 0 && input.len() >= len {
            return Ok((0, &input[..len]));
        }
        let missing = len.saturating_sub(self.len()).min(input.len());
        let taken = self.append(&input[..missing])?;
        Ok((taken, &self.bytes()[..len.min(self.len())]))
    }

    /// Collects `input`, and returns its length.
    pub fn append(&mut self, input: &[u8]) -> Result<usize> {
        if input.is_empty() {
            return Ok(0);
        }
        self.collected.drain(..self.start);
        self.start = 0;
        self.collected.try_reserve(input.len()).map_err(|_| {
            Error::new(Status::OutOfMemory, format!("no memory for {} more bytes of a message", input.len()))
        })?;
        self.collected.extend_from_slice(input);
        Ok(input.len())
    }

    /// Consumes the bytes that were last returned, and returns how many of them are in the input.
    pub fn consume(&mut self, len: usize) -> usize {
        if self.len() == 0 {
            return len;
        }
        self.start += len;
        if self.len() == 0 {
            self.collected.clear();
            self.start = 0;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pieces_are_not_copied() {
        let mut window = InputBuffer::default();
        assert_eq!(window.peek(b"abcdef", 4).unwrap(), (0, &b"abcd"[..]));
        assert_eq!(window.consume(4), 4);
        assert_eq!(window.len(), 0);
    }

    #[test]
    fn parts_are_buffered_until_a_frame_is_complete() {
        let mut window = InputBuffer::default();
        assert_eq!(window.peek(b"ab", 4).unwrap(), (2, &b"ab"[..]));
        assert_eq!(window.peek(b"cdef", 4).unwrap(), (2, &b"abcd"[..]));
        assert_eq!(window.consume(3), 0);
        assert_eq!(window.peek(b"efgh", 2).unwrap(), (1, &b"de"[..]));
        assert_eq!(window.consume(2), 0);
        assert_eq!(window.len(), 0);
    }
}
