//! A buffer for authenticated plaintext that was not returned yet.

use std::ops::Range;

use crate::error::Result;
use crate::seal::format::frame::Head;
use crate::seal::message_reader::MessageReader;
use crate::secret::Secret;

/// The plaintext of one frame that did not fit into the caller's memory, or must not be released yet.
#[derive(Default)]
pub(crate) struct FrameBuffer {
    buffer: Secret,
    range: Range<usize>,
    held: bool,
}

impl FrameBuffer {
    /// Opens a frame into the buffer.
    pub fn open(&mut self, opened: &MessageReader, head: &Head, frame: &[u8]) -> Result<()> {
        if self.buffer.len() < head.content_len {
            self.buffer = Secret::zeroed(head.content_len)?;
        }
        opened.cipher.open(head, frame, &mut self.buffer.expose_mut()[..head.content_len])?;
        self.range = 0..head.content_len;
        Ok(())
    }

    /// Holds the content of the buffer back.
    pub fn hold(&mut self) {
        self.held = true;
    }

    pub fn release(&mut self) {
        self.held = false;
    }

    /// Whether there is plaintext to return.
    pub fn is_waiting(&self) -> bool {
        !self.held && !self.range.is_empty()
    }

    pub fn len(&self) -> usize {
        self.range.len()
    }

    pub fn drain(&mut self, output: &mut [u8]) -> usize {
        if self.held {
            return 0;
        }
        let len = self.range.len().min(output.len());
        output[..len].copy_from_slice(&self.buffer.expose()[self.range.start..self.range.start + len]);
        self.range.start += len;
        len
    }
}
