//! A stream that opens a message, with one frame in memory.

use zeroize::Zeroize;

use crate::error::{Error, Result};
use crate::seal::format::context::Context;
use crate::seal::format::frame::Head;
use crate::seal::format::header::HeaderReader;
use crate::seal::format::signature::{FOOTER_LEN_MAX, Verifier, read_footer};
use crate::seal::io::frame_buffer::FrameBuffer;
use crate::seal::io::input_buffer::InputBuffer;
use crate::seal::io::progress::{Progress, too_long_at_once};
use crate::seal::io::size::PlaintextSize;
use crate::seal::keys::keyring::Keyring;
use crate::seal::message_reader::{HEAD_LEN_MAX, MessageReader, trailing, truncated};
use crate::status::Status;

/// How much of the input is looked at at once for the header, which has about 400 bytes.
const HEADER_STEP: usize = 4096;

/// Opens one message in several calls. No byte of a frame is returned before its tag is verified. The plaintext
/// is known to be complete only when [`finish`](Self::finish) reports done.
pub struct OpenStream {
    keyring: Keyring,
    expected: Context,
    signed_allowed: bool,
    size: PlaintextSize,
    state: State,
    input: InputBuffer,
    ready: FrameBuffer,
}

enum State {
    /// Nothing was read yet, so options can still be set.
    Fresh,
    Header(HeaderReader),
    Body(Box<MessageReader>, u32),
    /// The final frame waits for the signature over it.
    Footer(Verifier),
    End,
    Failed,
}

impl OpenStream {
    /// A stream that opens with `keyring` a message whose context has at least the pairs of `expected`.
    pub fn new(keyring: &Keyring, expected: Context) -> Self {
        Self {
            keyring: keyring.clone(),
            expected,
            signed_allowed: false,
            size: PlaintextSize::default(),
            state: State::Fresh,
            input: InputBuffer::default(),
            ready: FrameBuffer::default(),
        }
    }

    /// Allows signed messages. Plaintext before the end is then authentic, but its signature is not verified
    /// yet; it must be discarded if the end fails.
    pub fn set_signed_allowed(&mut self, allowed: bool) -> Result<()> {
        self.check_fresh()?;
        self.signed_allowed = allowed;
        Ok(())
    }

    /// Sets the length of the plaintext. Another length is an error.
    pub fn set_plaintext_size(&mut self, size: u64) -> Result<()> {
        self.check_fresh()?;
        self.size.set_exact(size);
        Ok(())
    }

    /// Sets the maximum length of the plaintext.
    pub fn set_plaintext_bound(&mut self, bound: u64) -> Result<()> {
        self.check_fresh()?;
        self.size.set_bound(bound);
        Ok(())
    }

    /// The output size with which `len` bytes are taken in one call and the rest can be returned after them.
    pub fn output_len(&self, len: usize) -> Result<usize> {
        (self.ready.len() + self.input.len()).checked_add(len).ok_or_else(|| too_long_at_once(len))
    }

    /// The message's context, once it is authentic.
    pub fn context(&self) -> Option<&Context> {
        match &self.state {
            State::Body(opened, _) => Some(&opened.header.context),
            _ => None,
        }
    }

    /// Whether the header was read and there is a data key.
    pub(crate) fn is_unlocked(&self) -> bool {
        matches!(self.state, State::Body(..) | State::Footer(_) | State::End)
    }

    /// Takes a part of the message and returns plaintext, up to the size of `output`. If it fails, `output`
    /// contains no plaintext of this call: a frame that is not authentic is wiped before the call returns, and
    /// so are all before it.
    pub fn update(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress> {
        let mut progress = Progress::default();
        let moved = self.poison_on_error(|opener| opener.advance(input, output, &mut progress));
        moved.inspect_err(|_| output[..progress.produced].zeroize())?;
        Ok(progress)
    }

    fn advance(&mut self, input: &[u8], output: &mut [u8], progress: &mut Progress) -> Result<()> {
        loop {
            progress.produced += self.ready.drain(&mut output[progress.produced..]);
            if self.ready.is_waiting() {
                return Ok(());
            }
            let moved = self.step(input, output, progress)?;
            if !moved {
                return Ok(());
            }
        }
    }

    /// Ends the message. Call it until it reports done; only then is the plaintext complete.
    pub fn finish(&mut self, output: &mut [u8]) -> Result<Progress> {
        // The input that was consumed may contain more frames than fit into the output.
        let progress = self.update(&[], output)?;
        if self.ready.is_waiting() {
            return Ok(progress);
        }
        let ended = self.poison_on_error(|opener| match opener.state {
            State::End => opener.size.check_end(),
            _ => Err(truncated()),
        });
        ended.inspect_err(|_| output[..progress.produced].zeroize())?;
        Ok(Progress { done: true, ..progress })
    }

    /// One step of the state machine; returns whether another step may make progress.
    fn step(&mut self, input: &[u8], output: &mut [u8], progress: &mut Progress) -> Result<bool> {
        let rest = &input[progress.consumed..];
        let (consumed, moved) = match std::mem::replace(&mut self.state, State::Failed) {
            State::Fresh => {
                self.state = State::Header(HeaderReader::new(self.keyring.read_policy(self.signed_allowed)));
                (0, true)
            }
            State::Header(reader) => self.read_header(reader, rest)?,
            State::Body(opened, number) => {
                self.read_frame(opened, number, rest, &mut output[progress.produced..], &mut progress.produced)?
            }
            State::Footer(verifier) => self.read_footer(verifier, rest)?,
            State::End if self.input.len() + rest.len() > 0 => return Err(trailing(self.input.bytes(), rest)),
            State::End => {
                self.state = State::End;
                (0, false)
            }
            State::Failed => return Err(failed_before()),
        };
        progress.consumed += consumed;
        Ok(moved)
    }

    fn read_header(&mut self, mut reader: HeaderReader, input: &[u8]) -> Result<(usize, bool)> {
        let beginning = &input[..input.len().min(HEADER_STEP)];
        // A complete header is read in place.
        if self.input.len() == 0
            && let Some(header) = reader.advance(beginning)?
        {
            let header_len = header.len;
            let opened = MessageReader::unlock(&self.keyring, header, beginning, &self.expected)?;
            self.state = State::Body(Box::new(opened), 1);
            return Ok((header_len, true));
        }
        let taken = self.input.append(beginning)?;
        self.state = match reader.advance(self.input.bytes())? {
            None => State::Header(reader),
            Some(header) => {
                let header_len = header.len;
                let opened = MessageReader::unlock(&self.keyring, header, self.input.bytes(), &self.expected)?;
                self.input.consume(header_len);
                State::Body(Box::new(opened), 1)
            }
        };
        Ok((taken, taken > 0 || matches!(self.state, State::Body(..))))
    }

    fn read_frame(
        &mut self,
        mut opened: Box<MessageReader>,
        number: u32,
        input: &[u8],
        buffer: &mut [u8],
        produced: &mut usize,
    ) -> Result<(usize, bool)> {
        let limits = *self.keyring.limits();
        let (mut taken, beginning) = self.input.peek(input, HEAD_LEN_MAX)?;
        if let Some(head) = opened.read_head(beginning, number, &limits)? {
            let (more, frame) = self.input.peek(&input[taken..], head.total_len())?;
            taken += more;
            if frame.len() == head.total_len() {
                // The final frame of a signed message waits for the signature.
                let is_held = head.is_last() && opened.verifier.is_some();
                match buffer.get_mut(..head.content_len) {
                    Some(place) if !is_held => {
                        opened.cipher.open(&head, frame, place)?;
                        *produced += head.content_len;
                    }
                    _ => self.ready.open(&opened, &head, frame)?,
                }
                self.size.count(head.content_len)?;
                opened.update_signature(frame);
                taken += self.input.consume(head.total_len());
                self.state = self.after_frame(opened, &head);
                return Ok((taken, true));
            }
        }
        self.state = State::Body(opened, number);
        Ok((taken, false))
    }

    fn after_frame(&mut self, opened: Box<MessageReader>, head: &Head) -> State {
        if !head.is_last() {
            return State::Body(opened, head.number + 1);
        }
        match opened.verifier {
            None => State::End,
            Some(verifier) => {
                self.ready.hold();
                State::Footer(verifier)
            }
        }
    }

    fn read_footer(&mut self, verifier: Verifier, input: &[u8]) -> Result<(usize, bool)> {
        let (mut taken, bytes) = self.input.peek(input, FOOTER_LEN_MAX)?;
        let Some(signature) = read_footer(bytes)? else {
            self.state = State::Footer(verifier);
            return Ok((taken, false));
        };
        let footer_len = 2 + signature.len();
        verifier.verify(signature)?;
        taken += self.input.consume(footer_len);
        self.ready.release();
        self.state = State::End;
        Ok((taken, true))
    }

    fn check_fresh(&self) -> Result<()> {
        if matches!(self.state, State::Fresh) {
            return Ok(());
        }
        Err(Error::new(Status::InvalidState, "set a stream's options before the first byte"))
    }

    /// The memory is wiped as soon as an error occurs.
    fn poison_on_error<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        step(self).inspect_err(|_| {
            self.state = State::Failed;
            self.ready = FrameBuffer::default();
            self.input = InputBuffer::default();
        })
    }
}

fn failed_before() -> Error {
    Error::new(Status::InvalidState, "the stream has failed before")
}
