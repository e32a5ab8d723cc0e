//! The body: frames in order, each with its number in its tag.
//!
//! ```text
//! regular: number u32 | IV 12 | ciphertext, exactly the frame length | tag 16
//! final:   FFFFFFFF | number u32 | IV 12 | length u32 | ciphertext | tag 16
//! ```

use crate::error::{Error, Result};
use crate::seal::format::content_key::{ContentKey, IV_LEN, TAG_LEN};
use crate::seal::format::message_id::{MESSAGE_ID_LEN, MessageId};
use crate::status::Status;

/// The marker of the final frame, at the place of a regular frame's number. No regular frame can have this number.
pub(crate) const FINAL_MARKER: u32 = u32::MAX;
/// The bytes before the ciphertext of a regular frame.
pub(crate) const REGULAR_HEAD_LEN: usize = 4 + IV_LEN;
/// The bytes before the ciphertext of the final frame.
pub(crate) const FINAL_HEAD_LEN: usize = 4 + 4 + IV_LEN + 4;
/// The bytes before the ciphertext of an unframed body.
pub(crate) const UNFRAMED_HEAD_LEN: usize = IV_LEN + 8;

/// The text in a tag, so that a frame of one kind cannot be taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Regular,
    Final,
    Unframed,
}

impl Kind {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Regular => b"AWSKMSEncryptionClient Frame",
            Self::Final => b"AWSKMSEncryptionClient Final Frame",
            Self::Unframed => b"AWSKMSEncryptionClient Single Block",
        }
    }
}

/// The beginning of a frame, or of an unframed body, as a message has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub kind: Kind,
    pub number: u32,
    pub iv: [u8; IV_LEN],
    pub head_len: usize,
    pub content_len: usize,
}

impl Head {
    /// Reads the head of frame `expected`, or `None` when `bytes` holds less than all of it.
    pub fn read_frame(bytes: &[u8], expected: u32, frame_len: usize) -> Result<Option<Self>> {
        let Some(first) = number_at(bytes, 0) else { return Ok(None) };
        if first != FINAL_MARKER {
            check_number(first, expected)?;
            let Some(iv) = iv_at(bytes, 4) else { return Ok(None) };
            let head_len = REGULAR_HEAD_LEN;
            return Ok(Some(Self { kind: Kind::Regular, number: first, iv, head_len, content_len: frame_len }));
        }
        let Some(number) = number_at(bytes, 4) else { return Ok(None) };
        check_number(number, expected)?;
        let (Some(iv), Some(content_len)) = (iv_at(bytes, 8), number_at(bytes, 20)) else { return Ok(None) };
        let content_len = content_len as usize;
        if content_len > frame_len {
            let message = format!("the final frame says it has {content_len} bytes, the frame length is {frame_len}");
            return Err(Error::new(Status::MalformedMessage, message));
        }
        Ok(Some(Self { kind: Kind::Final, number, iv, head_len: FINAL_HEAD_LEN, content_len }))
    }

    /// Reads the head of an unframed body of at most `max` bytes.
    pub fn read_unframed(bytes: &[u8], max: usize) -> Result<Option<Self>> {
        let (Some(iv), Some(len)) = (iv_at(bytes, 0), bytes.get(IV_LEN..UNFRAMED_HEAD_LEN)) else { return Ok(None) };
        let len = len.iter().fold(0, |len, byte| len << 8 | u64::from(*byte));
        let content_len = usize::try_from(len).ok().filter(|len| *len <= max).ok_or_else(|| {
            let message = format!("the unframed body says it has {len} bytes, {max} are allowed");
            Error::new(Status::FrameTooLong, message)
        })?;
        Ok(Some(Self { kind: Kind::Unframed, number: 1, iv, head_len: UNFRAMED_HEAD_LEN, content_len }))
    }

    /// The whole frame's length.
    pub fn total_len(&self) -> usize {
        self.head_len + self.content_len + TAG_LEN
    }

    pub fn is_last(&self) -> bool {
        self.kind != Kind::Regular
    }
}

fn check_number(number: u32, expected: u32) -> Result<()> {
    if number == expected {
        return Ok(());
    }
    Err(Error::new(Status::FrameSequence, format!("frame {expected} was expected, frame {number} was found")))
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

fn iv_at(bytes: &[u8], at: usize) -> Option<[u8; IV_LEN]> {
    bytes.get(at..at + IV_LEN)?.try_into().ok()
}

/// Seals and opens the frames of one message, in any order and on any thread.
pub(crate) struct FrameCipher {
    key: ContentKey,
    message_id: MessageId,
}

impl FrameCipher {
    pub fn new(key: ContentKey, message_id: MessageId) -> Self {
        Self { key, message_id }
    }

    /// Writes a whole frame: head, ciphertext and tag fill `out` exactly.
    pub fn seal(&self, kind: Kind, number: u32, plaintext: &[u8], out: &mut [u8]) -> Result<()> {
        let iv = iv_of(number);
        let aad = FrameAad::new(&self.message_id, kind, number, plaintext.len());
        let head_len = write_head(kind, number, iv, plaintext.len(), out)?;
        let (ciphertext, tag) = out[head_len..].split_at_mut(plaintext.len());
        self.key.seal(iv, aad.bytes(), plaintext, ciphertext, tag)
    }

    /// As [`seal`](Self::seal), with the plaintext already where the ciphertext goes.
    pub fn seal_in_place(&self, kind: Kind, number: u32, frame: &mut [u8]) -> Result<()> {
        let iv = iv_of(number);
        let content_len = frame.len() - head_len(kind) - TAG_LEN;
        let aad = FrameAad::new(&self.message_id, kind, number, content_len);
        let head_len = write_head(kind, number, iv, content_len, frame)?;
        let (content, tag) = frame[head_len..].split_at_mut(content_len);
        self.key.seal_in_place(iv, aad.bytes(), content, tag)
    }

    /// Opens the frame that `head` was read from into `out`, which is zeroed if the frame is not authentic.
    pub fn open(&self, head: &Head, frame: &[u8], out: &mut [u8]) -> Result<()> {
        let aad = FrameAad::new(&self.message_id, head.kind, head.number, head.content_len);
        let (ciphertext, tag) = frame[head.head_len..].split_at(head.content_len);
        if self.key.open(head.iv, aad.bytes(), ciphertext, tag, out) {
            return Ok(());
        }
        Err(Error::new(Status::FrameNotAuthentic, format!("frame {} is not authentic", head.number)))
    }
}

pub(crate) fn head_len(kind: Kind) -> usize {
    if kind == Kind::Final { FINAL_HEAD_LEN } else { REGULAR_HEAD_LEN }
}

/// The length of a whole frame with this much content: head, ciphertext and tag.
pub(crate) fn whole_len(kind: Kind, content_len: usize) -> usize {
    head_len(kind) + content_len + TAG_LEN
}

/// Unique for the key, because a number is used once and the key belongs to one message.
fn iv_of(number: u32) -> [u8; IV_LEN] {
    let mut iv = [0; IV_LEN];
    iv[IV_LEN - 4..].copy_from_slice(&number.to_be_bytes());
    iv
}

fn write_head(kind: Kind, number: u32, iv: [u8; IV_LEN], content_len: usize, out: &mut [u8]) -> Result<usize> {
    let number = number.to_be_bytes();
    if kind != Kind::Final {
        out[..4].copy_from_slice(&number);
        out[4..REGULAR_HEAD_LEN].copy_from_slice(&iv);
        return Ok(REGULAR_HEAD_LEN);
    }
    let content_len = u32::try_from(content_len).map_err(|_| Error::new(Status::Internal, "a frame is too long"))?;
    out[..4].copy_from_slice(&FINAL_MARKER.to_be_bytes());
    out[4..8].copy_from_slice(&number);
    out[8..20].copy_from_slice(&iv);
    out[20..FINAL_HEAD_LEN].copy_from_slice(&content_len.to_be_bytes());
    Ok(FINAL_HEAD_LEN)
}

/// The additional data of a frame's tag: message id, kind, number, length. On the stack, because it is made for every
/// frame.
struct FrameAad {
    bytes: [u8; MESSAGE_ID_LEN + 35 + 4 + 8],
    len: usize,
}

impl FrameAad {
    fn new(message_id: &MessageId, kind: Kind, number: u32, content_len: usize) -> Self {
        let mut aad = Self { bytes: [0; MESSAGE_ID_LEN + 35 + 4 + 8], len: 0 };
        aad.push(message_id.bytes());
        aad.push(kind.label());
        aad.push(&number.to_be_bytes());
        aad.push(&(content_len as u64).to_be_bytes());
        aad
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// How many regular frames precede the final one. A plaintext that is a multiple of the frame length ends with an empty
/// final frame: some readers refuse a full one.
pub(crate) fn regular_frames(plaintext_len: u64, frame_len: usize) -> Result<u32> {
    let frames = plaintext_len / frame_len as u64;
    u32::try_from(frames).ok().filter(|frames| *frames < FINAL_MARKER).ok_or_else(too_long)
}

/// The body's length.
pub(crate) fn body_len(plaintext_len: u64, frame_len: usize) -> Result<u64> {
    let regular = u64::from(regular_frames(plaintext_len, frame_len)?);
    let heads = regular * whole_len(Kind::Regular, 0) as u64 + whole_len(Kind::Final, 0) as u64;
    plaintext_len.checked_add(heads).ok_or_else(too_long)
}

pub(crate) fn too_long() -> Error {
    Error::new(Status::MessageTooLong, "the message would have more than 4294967295 frames; set a larger frame length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multiple_of_the_frame_length_ends_with_an_empty_frame() {
        for (plaintext, regular) in [(0, 0), (1, 0), (9, 0), (10, 1), (11, 1), (100, 10)] {
            assert_eq!(regular_frames(plaintext, 10).unwrap(), regular);
            assert_eq!(body_len(plaintext, 10).unwrap(), plaintext + u64::from(regular) * 32 + 40);
        }
    }

    #[test]
    fn numbers_end_before_the_marker() {
        let most = u64::from(u32::MAX);
        assert_eq!(regular_frames(most - 1, 1).unwrap(), u32::MAX - 1);
        assert_eq!(regular_frames(most, 1).err().unwrap().status(), Status::MessageTooLong);
    }

    #[test]
    fn a_head_is_read_only_when_it_is_whole_and_expected() {
        let mut frame = vec![0; 4 + IV_LEN];
        frame[3] = 7;
        assert_eq!(Head::read_frame(&frame[..15], 7, 10).unwrap(), None);
        assert_eq!(Head::read_frame(&frame, 7, 10).unwrap().unwrap().total_len(), 42);
        assert_eq!(Head::read_frame(&frame[..4], 8, 10).err().unwrap().status(), Status::FrameSequence);
        let mut last = vec![0xff; 4];
        last.extend_from_slice(&[0, 0, 0, 7]);
        last.extend_from_slice(&[0; IV_LEN]);
        last.extend_from_slice(&[0, 0, 0, 11]);
        assert_eq!(Head::read_frame(&last[..23], 7, 10).unwrap(), None);
        assert_eq!(Head::read_frame(&last, 7, 10).err().unwrap().status(), Status::MalformedMessage);
        assert_eq!(Head::read_frame(&last, 7, 11).unwrap().unwrap().total_len(), 51);
    }
}
