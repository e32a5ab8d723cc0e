//! A stream that seals a message, with one frame in memory.

use crate::error::{Error, Result};
use crate::seal::format::context::Context;
use crate::seal::format::frame::{self, FINAL_HEAD_LEN, Kind, REGULAR_HEAD_LEN};
use crate::seal::format::signature::FOOTER_LEN;
use crate::seal::io::progress::{Progress, too_long_at_once};
use crate::seal::io::size::PlaintextSize;
use crate::seal::keys::keyring::Keyring;
use crate::seal::message_writer::{self, MessageWriter};
use crate::secret::Secret;
use crate::status::Status;
use crate::sys::process_identity::{self, ProcessId};

/// The offset of a regular frame in the buffer, so that its content is at the same place as that of a final frame.
const REGULAR_AT: usize = FINAL_HEAD_LEN - REGULAR_HEAD_LEN;

/// Seals one message in several calls. After an error it refuses all calls; without [`finish`](Self::finish) the
/// message has no end, and every reader reports that.
pub struct SealStream {
    keyring: Keyring,
    context: Context,
    size: PlaintextSize,
    state: State,
}

enum State {
    /// No data key was requested yet, so the size can still be set.
    Fresh,
    Body(Body),
    /// The final frame is in the buffer or was already returned.
    Ending(Body),
    Failed,
}

struct Body {
    /// The process that began the message. A forked child has the same key and the same next frame numbers; if
    /// both processes used them, the content would be revealed.
    owner: ProcessId,
    message: MessageWriter,
    frame_len: usize,
    message_len: Option<u64>,
    buffer: Secret,
    /// The number of bytes of the next frame's content in the buffer.
    filled: usize,
    /// The part of the buffer that must be returned before it can be filled again.
    ready: std::ops::Range<usize>,
}

impl SealStream {
    /// A stream that seals with `keyring` and binds the message to `context`. The data key is requested with the
    /// first byte.
    pub fn new(keyring: &Keyring, context: Context) -> Result<Self> {
        context.check_writable()?;
        Ok(Self { keyring: keyring.clone(), context, size: PlaintextSize::default(), state: State::Fresh })
    }

    /// Sets the length of the plaintext. Another length is an error.
    pub fn set_plaintext_size(&mut self, size: u64) -> Result<()> {
        self.check_fresh()?;
        self.size.set_exact(size);
        Ok(())
    }

    /// Sets the maximum length of the plaintext. It counts against the limit of a cached data key.
    pub fn set_plaintext_bound(&mut self, bound: u64) -> Result<()> {
        self.check_fresh()?;
        self.size.set_bound(bound);
        Ok(())
    }

    /// The complete message's length, if the plaintext's size was set.
    pub fn message_len(&mut self) -> Result<u64> {
        if self.size.exact().is_none() {
            let message = "set the plaintext's size to get the message's length";
            return Err(Error::new(Status::InvalidState, message));
        }
        self.started()?.message_len.ok_or_else(|| Error::new(Status::Internal, "the message's length was not computed"))
    }

    /// The output size with which `len` bytes are taken in one call and the end can be returned after them.
    pub fn output_len(&mut self, len: usize) -> Result<usize> {
        let body = self.started()?;
        let content = body.filled.checked_add(len).ok_or_else(|| too_long_at_once(len))?;
        let frames = (content / body.frame_len).checked_mul(frame::whole_len(Kind::Regular, 0));
        let rest = body.ready.len() + frame::whole_len(Kind::Final, 0) + body.message.footer_len();
        let size = frames.and_then(|frames| frames.checked_add(content)?.checked_add(rest));
        size.ok_or_else(|| too_long_at_once(len))
    }

    /// Takes plaintext and returns parts of the message, up to the size of `output`.
    pub fn update(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress> {
        self.poison_on_error(|sealer| {
            sealer.check_takes_plaintext()?;
            sealer.size.check_room(input.len())?;
            let (body, size) = sealer.body()?;
            let progress = body.update(input, output)?;
            size.count(progress.consumed)?;
            Ok(progress)
        })
    }

    /// Ends the message, which then takes no more plaintext. Call it until it reports done.
    pub fn finish(&mut self, output: &mut [u8]) -> Result<Progress> {
        self.poison_on_error(|sealer| {
            let mut progress = Progress::default();
            if !matches!(sealer.state, State::Ending(_)) {
                sealer.check_takes_plaintext()?;
                sealer.size.check_end()?;
                let (body, _) = sealer.body()?;
                progress.produced = body.drain(output);
                if !body.ready.is_empty() {
                    return Ok(progress);
                }
                body.end()?;
                sealer.state = match std::mem::replace(&mut sealer.state, State::Failed) {
                    State::Body(body) => State::Ending(body),
                    other => other,
                };
            }
            if let State::Ending(body) = &mut sealer.state {
                progress.produced += body.drain(&mut output[progress.produced..]);
                progress.done = body.ready.is_empty();
            }
            Ok(progress)
        })
    }

    fn check_fresh(&self) -> Result<()> {
        if matches!(self.state, State::Fresh) {
            return Ok(());
        }
        Err(Error::new(Status::InvalidState, "set the message's size before the first byte"))
    }

    fn body(&mut self) -> Result<(&mut Body, &mut PlaintextSize)> {
        if matches!(self.state, State::Fresh) {
            self.state = State::Body(Body::start(&self.keyring, &self.context, &self.size)?);
        }
        self.check_takes_plaintext()?;
        match &mut self.state {
            State::Body(body) => Ok((body, &mut self.size)),
            _ => Err(Error::new(Status::InvalidState, "the stream has no body")),
        }
    }

    fn check_takes_plaintext(&self) -> Result<()> {
        match &self.state {
            State::Fresh | State::Body(_) => Ok(()),
            State::Ending(_) => Err(Error::new(Status::InvalidState, "the message has ended")),
            State::Failed => Err(Error::new(Status::InvalidState, "the stream has failed before")),
        }
    }

    fn started(&mut self) -> Result<&Body> {
        if !matches!(self.state, State::Ending(_)) {
            self.poison_on_error(|sealer| sealer.body().map(|_| ()))?;
        }
        match &self.state {
            State::Body(body) | State::Ending(body) => Ok(body),
            _ => Err(Error::new(Status::InvalidState, "the stream has failed before")),
        }
    }

    /// The memory is wiped as soon as an error occurs.
    fn poison_on_error<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        step(self).inspect_err(|_| self.state = State::Failed)
    }
}

impl Body {
    fn start(keyring: &Keyring, context: &Context, size: &PlaintextSize) -> Result<Self> {
        let frame_len = keyring.frame_len();
        let materials = keyring.materials(context, size.at_most())?;
        let message_len =
            size.exact().map(|exact| message_writer::sealed_len(&materials, frame_len, exact)).transpose()?;
        let header_len = message_writer::header_len(&materials);
        let frame_room = frame::whole_len(Kind::Final, frame_len) + FOOTER_LEN;
        let mut buffer = Secret::zeroed(frame_room.max(header_len))?;
        let message = MessageWriter::begin(materials, frame_len, &mut buffer.expose_mut()[..header_len])?;
        Ok(Self {
            owner: process_identity::current(),
            message,
            frame_len,
            message_len,
            buffer,
            filled: 0,
            ready: 0..header_len,
        })
    }

    fn check_owner(&self) -> Result<()> {
        if self.owner == process_identity::current() {
            return Ok(());
        }
        Err(Error::new(Status::InvalidState, "the message was begun in another process, before a fork"))
    }

    fn update(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress> {
        self.check_owner()?;
        let mut progress = Progress::default();
        loop {
            progress.produced += self.drain(&mut output[progress.produced..]);
            let (input, output) = (&input[progress.consumed..], &mut output[progress.produced..]);
            if input.is_empty() || !self.ready.is_empty() {
                return Ok(progress);
            }
            let frame_room = frame::whole_len(Kind::Regular, self.frame_len);
            if self.filled == 0 && input.len() >= self.frame_len && output.len() >= frame_room {
                self.message.frame(Kind::Regular, &input[..self.frame_len], &mut output[..frame_room])?;
                progress.consumed += self.frame_len;
                progress.produced += frame_room;
            } else {
                progress.consumed += self.fill(input)?;
            }
        }
    }

    /// Takes content for the frame in the buffer, and seals it when it is full.
    fn fill(&mut self, input: &[u8]) -> Result<usize> {
        let len = input.len().min(self.frame_len - self.filled);
        let at = FINAL_HEAD_LEN + self.filled;
        self.buffer.expose_mut()[at..at + len].copy_from_slice(&input[..len]);
        self.filled += len;
        if self.filled == self.frame_len {
            self.ready = REGULAR_AT..frame::whole_len(Kind::Final, self.frame_len);
            self.message.frame_in_place(Kind::Regular, &mut self.buffer.expose_mut()[self.ready.clone()])?;
            self.filled = 0;
        }
        Ok(len)
    }

    /// Seals what is in the buffer, possibly nothing, as the final frame.
    fn end(&mut self) -> Result<()> {
        self.check_owner()?;
        let frame_end = frame::whole_len(Kind::Final, self.filled);
        let footer_end = frame_end + self.message.footer_len();
        let (frame, footer) = self.buffer.expose_mut()[..footer_end].split_at_mut(frame_end);
        self.message.frame_in_place(Kind::Final, frame)?;
        self.message.footer(footer)?;
        (self.ready, self.filled) = (0..footer_end, 0);
        Ok(())
    }

    fn drain(&mut self, output: &mut [u8]) -> usize {
        let len = self.ready.len().min(output.len());
        output[..len].copy_from_slice(&self.buffer.expose()[self.ready.start..self.ready.start + len]);
        self.ready.start += len;
        len
    }
}
