//! Sealing and opening from a reader to a writer, on all cores.

use std::io::{Read, Write};
use std::sync::atomic::Ordering;

use crate::error::Result;
use crate::seal::format::content_key::TAG_LEN;
use crate::seal::format::context::Context;
use crate::seal::format::frame::{self, FINAL_HEAD_LEN, FINAL_MARKER, FrameCipher, Kind, REGULAR_HEAD_LEN};
use crate::seal::format::header::{Content, HeaderReader};
use crate::seal::format::limits::Limits;
use crate::seal::format::signature::{FOOTER_LEN, FOOTER_LEN_MAX, Verifier};
use crate::seal::io::pipeline::{Line, Piece, Watch, Work, failed, write_all};
use crate::seal::keys::keyring::Keyring;
use crate::seal::message_reader::{OpenedMessage, check_end, truncated};
use crate::seal::message_writer::{self, NewMessage, Trailer};

/// How much of a message one thread has at once, at most; a whole number of frames, and at least one.
const PIECE_LEN: usize = 1 << 20;
/// How much all pieces have together, each once as plaintext and once as message, unless two frames have more.
const MEMORY: usize = 32 << 20;
/// How much is read at once for the header, which has about 400 bytes.
const HEADER_STEP: usize = 4096;

impl Keyring {
    /// Seals all that `reader` gives into `writer`, with up to `threads` threads, this one among them.
    pub(crate) fn seal_between(
        &self,
        context: &Context,
        reader: impl Read + Send,
        mut writer: impl Write + Send,
        threads: usize,
        watch: &Watch,
    ) -> Result<()> {
        let materials = watch.unless_canceled(self.materials(context, None))?;
        let frame_len = self.frame_len();
        let mut header = vec![0; message_writer::header_len(&materials)];
        let (cipher, trailer) = NewMessage::begin(materials, frame_len, &mut header)?.split();
        write_all(&mut writer, &header)?;
        let (threads, frames) = share(threads, whole_frame(frame_len));
        Line::new(&Sealing { cipher, frame_len, frames }, reader, writer, trailer, watch).run(threads)
    }

    /// Opens the message that `reader` gives into `writer`. Only what is authentic is written.
    pub(crate) fn open_between(
        &self,
        expected: &Context,
        signed_allowed: bool,
        mut reader: impl Read + Send,
        writer: impl Write + Send,
        threads: usize,
        watch: &Watch,
    ) -> Result<()> {
        let mut beginning = Vec::new();
        let mut headers = HeaderReader::new(self.acceptance(signed_allowed));
        let header = loop {
            let read = read_some(&mut reader, &mut beginning)?;
            match headers.advance(&beginning)? {
                Some(header) => break header,
                None if read == 0 => return Err(truncated()),
                None => {}
            }
        };
        let mut opened = watch.unless_canceled(OpenedMessage::unlock(self, header, &beginning, expected))?;
        watch.done.fetch_add(opened.header.len as u64, Ordering::Relaxed);
        let verifier = opened.verifier.take();
        let rest = beginning.split_off(opened.header.len);
        let (threads, opening) = Opening::new(opened, threads, verifier.is_some(), *self.limits());
        Line::new(&opening, rest.as_slice().chain(reader), writer, verifier, watch).run(threads)
    }
}

/// A regular frame with head and tag.
fn whole_frame(frame_len: usize) -> usize {
    REGULAR_HEAD_LEN + frame_len + TAG_LEN
}

/// How many threads work, and how many frames each of them has at once, so that memory stays within bounds however many
/// threads are wanted and however long or short the frames of a message are.
fn share(threads: usize, whole_frame: usize) -> (usize, usize) {
    let threads = threads.min(MEMORY / 2 / whole_frame).max(1);
    let piece = PIECE_LEN.min(MEMORY / 2 / threads);
    (threads, (piece / whole_frame).max(1))
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
    /// Frames in a piece.
    frames: usize,
}

impl Work for Sealing {
    type InOrder = Trailer;

    /// A piece that is not full is the last, possibly an empty one: a final frame is never full.
    fn take_in(&self, reader: &mut dyn Read, piece: &mut Piece) -> Result<bool> {
        let len = self.frames * self.frame_len;
        piece.fill(reader, len)?;
        Ok(piece.input_len < len)
    }

    fn work(&self, piece: &mut Piece) -> Result<()> {
        let regular = piece.input_len / self.frame_len;
        let rest = piece.input_len % self.frame_len;
        let last = if piece.is_last { FINAL_HEAD_LEN + rest + TAG_LEN } else { 0 };
        let whole_frame = whole_frame(self.frame_len);
        piece.room(regular * whole_frame + last)?;
        let (input, output) =
            (&piece.input.expose()[..piece.input_len], &mut piece.output.expose_mut()[..piece.output_len]);
        let (contents, frames) = (input.chunks(self.frame_len), output.chunks_mut(whole_frame));
        for (place, (content, frame)) in contents.zip(frames).take(regular).enumerate() {
            self.cipher.seal(Kind::Regular, self.regular_number(piece.index, place)?, content, frame)?;
        }
        if piece.is_last {
            let (content, frame) = (&input[regular * self.frame_len..], &mut output[regular * whole_frame..]);
            self.cipher.seal(Kind::Final, number(piece.index, self.frames, regular)?, content, frame)?;
        }
        Ok(())
    }

    fn pass(&self, trailer: &mut Trailer, piece: &mut Piece) -> Result<()> {
        trailer.sign(piece.output());
        if !piece.is_last || trailer.footer_len() == 0 {
            return Ok(());
        }
        let mut footer = [0; FOOTER_LEN];
        trailer.footer(&mut footer)?;
        piece.output.truncate(piece.output_len);
        piece.output.extend_from_slice(&footer)?;
        piece.output_len += FOOTER_LEN;
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

/// The number of a frame by its place in a piece.
fn number(index: u64, frames: usize, place: usize) -> Result<u32> {
    let before = index.checked_mul(frames as u64);
    let number = before.and_then(|before| before.checked_add(place as u64 + 1));
    number.and_then(|number| u32::try_from(number).ok()).ok_or_else(frame::too_long)
}

struct Opening {
    opened: OpenedMessage,
    signed: bool,
    limits: Limits,
    /// The length of a regular frame with head and tag, and how many a piece has. An unframed body is one piece.
    whole_frame: usize,
    frames: usize,
}

impl Opening {
    /// Also says how many threads have work with it.
    fn new(opened: OpenedMessage, threads: usize, signed: bool, limits: Limits) -> (usize, Self) {
        let whole_frame = match opened.header.content {
            Content::Framed { frame_len } => whole_frame(frame_len),
            Content::Unframed => usize::MAX,
        };
        let (threads, frames) = share(threads, whole_frame);
        (threads, Self { opened, signed, limits, whole_frame, frames })
    }

    fn footer_len_max(&self) -> usize {
        if self.signed { FOOTER_LEN_MAX } else { 0 }
    }

    /// Where the final frame of a piece begins, by the marker. What is there is checked when the frame is opened.
    fn last_frame(&self, input: &[u8]) -> Option<usize> {
        let heads = input.chunks(self.whole_frame).map(|frame| frame.starts_with(&FINAL_MARKER.to_be_bytes()));
        Some(heads.into_iter().position(|last| last)? * self.whole_frame)
    }
}

impl Work for Opening {
    type InOrder = Option<Verifier>;

    fn take_in(&self, reader: &mut dyn Read, piece: &mut Piece) -> Result<bool> {
        if self.opened.header.content == Content::Unframed {
            return self.take_in_unframed(reader, piece).map(|()| true);
        }
        let len = self.frames * self.whole_frame;
        piece.fill(reader, len)?;
        let Some(last) = self.last_frame(piece.input()) else { return Ok(piece.input_len < len) };
        // One byte more than there can be shows whether something follows.
        let most = last + self.whole_frame - REGULAR_HEAD_LEN + FINAL_HEAD_LEN + self.footer_len_max() + 1;
        piece.fill(reader, most)?;
        Ok(true)
    }

    fn work(&self, piece: &mut Piece) -> Result<()> {
        piece.room(piece.input_len)?;
        let (mut at, mut filled, mut place) = (0, 0, 0);
        while at < piece.input_len || piece.is_last {
            let rest = &piece.input.expose()[at..piece.input_len];
            let head = self.opened.read_head(rest, number(piece.index, self.frames, place)?, &self.limits)?;
            let head = head.filter(|head| head.total_len() <= rest.len()).ok_or_else(truncated)?;
            let content = &mut piece.output.expose_mut()[filled..filled + head.content_len];
            self.opened.cipher.open(&head, &rest[..head.total_len()], content)?;
            (at, filled, place) = (at + head.total_len(), filled + head.content_len, place + 1);
            if head.is_last() {
                break;
            }
        }
        (piece.footer_at, piece.output_len) = (at, filled);
        Ok(())
    }

    /// The last piece waits for the signature over all of them.
    fn pass(&self, verifier: &mut Option<Verifier>, piece: &mut Piece) -> Result<()> {
        let (frames, footer) = piece.input().split_at(piece.footer_at);
        if let Some(verifier) = verifier {
            verifier.update(frames);
        }
        if !piece.is_last {
            return Ok(());
        }
        check_end(verifier.take(), footer)
    }
}

impl Opening {
    fn take_in_unframed(&self, reader: &mut dyn Read, piece: &mut Piece) -> Result<()> {
        piece.fill(reader, frame::UNFRAMED_HEAD_LEN)?;
        let head = self.opened.read_head(piece.input(), 1, &self.limits)?.ok_or_else(truncated)?;
        piece.fill(reader, head.total_len() + self.footer_len_max() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_however_many_threads_and_however_long_the_frames() {
        for frame_len in [1, 128, 4096, 65_536, 1 << 20, 3 << 20, 16 << 20] {
            let frame = whole_frame(frame_len);
            for wanted in [1, 2, 16, 17, 64, 256] {
                let (threads, frames) = share(wanted, frame);
                assert!((1..=wanted).contains(&threads) && frames >= 1);
                assert!(frames * frame <= PIECE_LEN || frames == 1, "{frame_len} {wanted}");
                assert!(2 * threads * frames * frame <= MEMORY || (threads, frames) == (1, 1), "{frame_len} {wanted}");
            }
        }
        assert_eq!(share(2, whole_frame(65_536)), (2, 15));
        assert_eq!(share(256, whole_frame(65_536)), (255, 1));
        assert_eq!(share(64, usize::MAX), (1, 1));
    }
}
