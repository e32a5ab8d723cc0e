//! Sealing and opening from a reader to a writer, on all cores.

use std::io::{Read, Write};
use std::sync::atomic::Ordering;

use crate::error::Result;
use crate::seal::format::context::Context;
use crate::seal::format::frame::{self, FINAL_MARKER, FrameCipher, Kind};
use crate::seal::format::header::{Content, HeaderReader};
use crate::seal::format::limits::Limits;
use crate::seal::format::signature::{FOOTER_LEN, FOOTER_LEN_MAX, Verifier};
use crate::seal::io::pipeline::{Chunk, ChunkProcessor, JobControl, Pipeline, failed, write_all};
use crate::seal::keys::keyring::Keyring;
use crate::seal::message_reader::{MessageReader, check_end, truncated};
use crate::seal::message_writer::{self, FooterSigner, MessageWriter};

/// The maximum size of a chunk; a whole number of frames, and at least one.
const CHUNK_LEN: usize = 1 << 20;
/// The maximum size of all chunks together, each once as plaintext and once as message, unless two frames need
/// more.
const MEMORY: usize = 32 << 20;
/// How much is read at once for the header, which has about 400 bytes.
const HEADER_STEP: usize = 4096;

impl Keyring {
    /// Seals everything read from `reader` into `writer`, with up to `threads` threads, including this one. Call
    /// it inside [`JobControl::run`].
    pub fn seal_reader(
        &self,
        context: &Context,
        reader: impl Read + Send,
        mut writer: impl Write + Send,
        threads: usize,
        control: &JobControl,
    ) -> Result<()> {
        let materials = control.unless_canceled(self.materials(context, None))?;
        let frame_len = self.frame_len();
        let mut header = vec![0; message_writer::header_len(&materials)];
        let (cipher, footer_signer) = MessageWriter::begin(materials, frame_len, &mut header)?.split();
        write_all(&mut writer, &header)?;
        let (threads, frames) = share(threads, frame::whole_len(Kind::Regular, frame_len));
        Pipeline::new(&Sealing { cipher, frame_len, frames }, reader, writer, footer_signer, control).run(threads)
    }

    /// Opens the message read from `reader` into `writer`. Only authenticated plaintext is written. Call it
    /// inside [`JobControl::run`].
    pub fn open_reader(
        &self,
        expected: &Context,
        signed_allowed: bool,
        mut reader: impl Read + Send,
        writer: impl Write + Send,
        threads: usize,
        control: &JobControl,
    ) -> Result<()> {
        let mut beginning = Vec::new();
        let mut headers = HeaderReader::new(self.read_policy(signed_allowed));
        let header = loop {
            let read = read_some(&mut reader, &mut beginning)?;
            match headers.advance(&beginning)? {
                Some(header) => break header,
                None if read == 0 => return Err(truncated()),
                None => {}
            }
        };
        let mut opened = control.unless_canceled(MessageReader::unlock(self, header, &beginning, expected))?;
        control.done.fetch_add(opened.header.len as u64, Ordering::Relaxed);
        let verifier = opened.verifier.take();
        let rest = beginning.split_off(opened.header.len);
        let (threads, opening) = Opening::new(opened, threads, verifier.is_some(), *self.limits());
        Pipeline::new(&opening, rest.as_slice().chain(reader), writer, verifier, control).run(threads)
    }
}

/// The number of threads and of frames in a chunk, so that memory is bounded for any number of threads and any
/// frame length.
fn share(threads: usize, whole_frame: usize) -> (usize, usize) {
    let threads = threads.min(MEMORY / 2 / whole_frame).max(1);
    let chunk = CHUNK_LEN.min(MEMORY / 2 / threads);
    (threads, (chunk / whole_frame).max(1))
}

fn read_some(reader: &mut impl Read, bytes: &mut Vec<u8>) -> Result<usize> {
    let mut step = [0; HEADER_STEP];
    loop {
        match reader.read(&mut step) {
            Ok(read) => {
                bytes.extend_from_slice(&step[..read]);
                return Ok(read);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed("reading from the descriptor failed", &error)),
        }
    }
}

struct Sealing {
    cipher: FrameCipher,
    frame_len: usize,
    /// Frames in a chunk.
    frames: usize,
}

impl ChunkProcessor for Sealing {
    type InOrder = FooterSigner;

    /// A chunk that is not full is the last, possibly an empty one: a final frame is never full.
    fn read_chunk(&self, reader: &mut dyn Read, chunk: &mut Chunk) -> Result<bool> {
        let len = self.frames * self.frame_len;
        chunk.fill(reader, len)?;
        Ok(chunk.input_len < len)
    }

    fn process(&self, chunk: &mut Chunk) -> Result<()> {
        let regular = chunk.input_len / self.frame_len;
        let rest = chunk.input_len % self.frame_len;
        let last = if chunk.is_last { frame::whole_len(Kind::Final, rest) } else { 0 };
        let whole_frame = frame::whole_len(Kind::Regular, self.frame_len);
        chunk.resize_output(regular * whole_frame + last)?;
        let (input, output) =
            (&chunk.input.expose()[..chunk.input_len], &mut chunk.output.expose_mut()[..chunk.output_len]);
        let (contents, frames) = (input.chunks(self.frame_len), output.chunks_mut(whole_frame));
        for (place, (content, frame)) in contents.zip(frames).take(regular).enumerate() {
            self.cipher.seal(Kind::Regular, self.regular_number(chunk.index, place)?, content, frame)?;
        }
        if chunk.is_last {
            let (content, frame) = (&input[regular * self.frame_len..], &mut output[regular * whole_frame..]);
            self.cipher.seal(Kind::Final, number(chunk.index, self.frames, regular)?, content, frame)?;
        }
        Ok(())
    }

    fn finish_in_order(&self, footer_signer: &mut FooterSigner, chunk: &mut Chunk) -> Result<()> {
        footer_signer.sign(chunk.output());
        if !chunk.is_last || footer_signer.footer_len() == 0 {
            return Ok(());
        }
        let mut footer = [0; FOOTER_LEN];
        footer_signer.footer(&mut footer)?;
        chunk.output.truncate(chunk.output_len);
        chunk.output.extend_from_slice(&footer)?;
        chunk.output_len += FOOTER_LEN;
        Ok(())
    }
}

impl Sealing {
    /// The last number is the marker of final frames, so a regular frame cannot have it.
    fn regular_number(&self, index: u64, place: usize) -> Result<u32> {
        let number = number(index, self.frames, place)?;
        if number < FINAL_MARKER { Ok(number) } else { Err(frame::too_long()) }
    }
}

/// The number of a frame by its place in a chunk.
fn number(index: u64, frames: usize, place: usize) -> Result<u32> {
    let before = index.checked_mul(frames as u64);
    let number = before.and_then(|before| before.checked_add(place as u64 + 1));
    number.and_then(|number| u32::try_from(number).ok()).ok_or_else(frame::too_long)
}

struct Opening {
    opened: MessageReader,
    signed: bool,
    limits: Limits,
    /// The length of a regular frame with head and tag, and how many a chunk has. An unframed body is one chunk.
    whole_frame: usize,
    frames: usize,
}

impl Opening {
    /// Also says how many threads have work with it.
    fn new(opened: MessageReader, threads: usize, signed: bool, limits: Limits) -> (usize, Self) {
        let whole_frame = match opened.header.content {
            Content::Framed { frame_len } => frame::whole_len(Kind::Regular, frame_len),
            Content::Unframed => usize::MAX,
        };
        let (threads, frames) = share(threads, whole_frame);
        (threads, Self { opened, signed, limits, whole_frame, frames })
    }

    fn footer_len_max(&self) -> usize {
        if self.signed { FOOTER_LEN_MAX } else { 0 }
    }

    /// The position of the final frame of a chunk, found by its marker. The frame is verified when it is opened.
    fn last_frame(&self, input: &[u8]) -> Option<usize> {
        let heads = input.chunks(self.whole_frame).map(|frame| frame.starts_with(&FINAL_MARKER.to_be_bytes()));
        Some(heads.into_iter().position(|last| last)? * self.whole_frame)
    }
}

impl ChunkProcessor for Opening {
    type InOrder = Option<Verifier>;

    fn read_chunk(&self, reader: &mut dyn Read, chunk: &mut Chunk) -> Result<bool> {
        if self.opened.header.content == Content::Unframed {
            return self.read_unframed_chunk(reader, chunk).map(|()| true);
        }
        let len = self.frames * self.whole_frame;
        chunk.fill(reader, len)?;
        let Some(last) = self.last_frame(chunk.input()) else { return Ok(chunk.input_len < len) };
        // One byte more than the maximum shows whether there is data after the end.
        let most = last + self.whole_frame - frame::head_len(Kind::Regular)
            + frame::head_len(Kind::Final)
            + self.footer_len_max()
            + 1;
        chunk.fill(reader, most)?;
        Ok(true)
    }

    fn process(&self, chunk: &mut Chunk) -> Result<()> {
        chunk.resize_output(chunk.input_len)?;
        let (mut at, mut filled, mut place) = (0, 0, 0);
        while at < chunk.input_len || chunk.is_last {
            let rest = &chunk.input.expose()[at..chunk.input_len];
            let head = self.opened.read_head(rest, number(chunk.index, self.frames, place)?, &self.limits)?;
            let head = head.filter(|head| head.total_len() <= rest.len()).ok_or_else(truncated)?;
            let content = &mut chunk.output.expose_mut()[filled..filled + head.content_len];
            self.opened.cipher.open(&head, &rest[..head.total_len()], content)?;
            (at, filled, place) = (at + head.total_len(), filled + head.content_len, place + 1);
            if head.is_last() {
                break;
            }
        }
        (chunk.footer_at, chunk.output_len) = (at, filled);
        Ok(())
    }

    /// The last chunk waits for the signature over all of them.
    fn finish_in_order(&self, verifier: &mut Option<Verifier>, chunk: &mut Chunk) -> Result<()> {
        let (frames, footer) = chunk.input().split_at(chunk.footer_at);
        if let Some(verifier) = verifier {
            verifier.update(frames);
        }
        if !chunk.is_last {
            return Ok(());
        }
        check_end(verifier.take(), footer)
    }
}

impl Opening {
    fn read_unframed_chunk(&self, reader: &mut dyn Read, chunk: &mut Chunk) -> Result<()> {
        chunk.fill(reader, frame::UNFRAMED_HEAD_LEN)?;
        let head = self.opened.read_head(chunk.input(), 1, &self.limits)?.ok_or_else(truncated)?;
        chunk.fill(reader, head.total_len() + self.footer_len_max() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_however_many_threads_and_however_long_the_frames() {
        for frame_len in [1, 128, 4096, 65_536, 1 << 20, 3 << 20, 16 << 20] {
            let frame = frame::whole_len(Kind::Regular, frame_len);
            for wanted in [1, 2, 16, 17, 64, 256] {
                let (threads, frames) = share(wanted, frame);
                assert!((1..=wanted).contains(&threads) && frames >= 1);
                assert!(frames * frame <= CHUNK_LEN || frames == 1, "{frame_len} {wanted}");
                assert!(2 * threads * frames * frame <= MEMORY || (threads, frames) == (1, 1), "{frame_len} {wanted}");
            }
        }
        assert_eq!(share(2, frame::whole_len(Kind::Regular, 65_536)), (2, 15));
        assert_eq!(share(256, frame::whole_len(Kind::Regular, 65_536)), (255, 1));
        assert_eq!(share(64, usize::MAX), (1, 1));
    }
}
