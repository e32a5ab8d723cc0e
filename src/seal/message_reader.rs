//! Opens the frames of a message whose header is authentic; also opens a complete message at once.

use crate::error::{Error, Result};
use crate::seal::format::content_key::TAG_LEN;
use crate::seal::format::context::{Context, PUBLIC_KEY};
use crate::seal::format::frame::{FrameCipher, Head};
use crate::seal::format::header::{Content, Header, HeaderReader};
use crate::seal::format::limits::Limits;
use crate::seal::format::signature::{Verifier, read_footer};
use crate::seal::keys::keyring::Keyring;
use crate::status::Status;

/// Opens the frames of one message.
pub(crate) struct MessageReader {
    pub header: Box<Header>,
    pub cipher: FrameCipher,
    pub verifier: Option<Verifier>,
}

impl MessageReader {
    /// Gets the data key of a message and authenticates its header, which `bytes` begins with. Everything
    /// that can be refused without the key service is refused before a request.
    pub fn unlock(keyring: &Keyring, header: Box<Header>, bytes: &[u8], expected: &Context) -> Result<Self> {
        let verifier = verifier(&header)?;
        header.context.check_expected(expected)?;
        let reproduced = header.context.missing(keyring.reproduced())?;
        let full_context = header.context.with(&reproduced);
        let keys = keyring.unlock(&header, &full_context, expected, |data_key| {
            let keys = header.suite.derive(data_key.expose(), &header.message_id)?;
            header.authenticate(bytes, &keys, &reproduced)?;
            Ok(keys)
        })?;
        let cipher = FrameCipher::new(keys.content_key, header.message_id);
        let mut opened = Self { header, cipher, verifier };
        opened.update_signature(&bytes[..opened.header.len]);
        Ok(opened)
    }

    /// The head of the next frame, or `None` when `bytes` holds less than all of it.
    pub fn read_head(&self, bytes: &[u8], expected: u32, limits: &Limits) -> Result<Option<Head>> {
        match self.header.content {
            Content::Framed { frame_len } => Head::read_frame(bytes, expected, frame_len),
            Content::Unframed => Head::read_unframed(bytes, limits.unframed_len),
        }
    }

    /// Adds bytes of the message to the signed data.
    pub fn update_signature(&mut self, bytes: &[u8]) {
        if let Some(verifier) = &mut self.verifier {
            verifier.update(bytes);
        }
    }
}

fn verifier(header: &Header) -> Result<Option<Verifier>> {
    match (header.suite.curve, header.context.get(PUBLIC_KEY)) {
        (Some(curve), Some(public)) => Verifier::new(curve, public).map(Some),
        _ => Ok(None),
    }
}

/// A complete message that is ready to be opened: its header is authentic, and its plaintext's length is
/// known.
pub struct PreparedOpen<'a> {
    reader: MessageReader,
    body: &'a [u8],
    layout: Layout,
    limits: Limits,
}

/// The same without the message.
pub(crate) struct PreparedParts {
    reader: MessageReader,
    layout: Layout,
    limits: Limits,
}

impl<'a> PreparedOpen<'a> {
    pub(crate) fn new(keyring: &Keyring, message: &'a [u8], expected: &Context) -> Result<Self> {
        let header = HeaderReader::new(keyring.read_policy(true)).advance(message)?.ok_or_else(truncated)?;
        let reader = MessageReader::unlock(keyring, header, message, expected)?;
        let body = &message[reader.header.len..];
        let layout = Layout::of(&reader, body, keyring.limits())?;
        Ok(Self { reader, body, layout, limits: *keyring.limits() })
    }

    pub(crate) fn into_parts(self) -> PreparedParts {
        PreparedParts { reader: self.reader, layout: self.layout, limits: self.limits }
    }

    /// `message` is the one that the parts are of.
    pub(crate) fn from_parts(parts: PreparedParts, message: &'a [u8]) -> Self {
        let PreparedParts { reader, layout, limits } = parts;
        let body = &message[reader.header.len..];
        Self { reader, body, layout, limits }
    }

    /// The plaintext's length.
    pub fn plaintext_len(&self) -> usize {
        self.layout.plaintext_len
    }

    /// Writes the plaintext, which fills `out` exactly. If this fails, the caller must not use the content
    /// of `out`.
    pub fn write(mut self, out: &mut [u8]) -> Result<()> {
        open_frames(&self.reader, self.body, &self.limits, out)?;
        let (body, footer) = self.body.split_at(self.layout.body_len);
        self.reader.update_signature(body);
        check_end(self.reader.verifier, footer)
    }
}

/// The layout of a body, as its frames' heads claim.
struct Layout {
    body_len: usize,
    plaintext_len: usize,
}

impl Layout {
    fn of(opened: &MessageReader, body: &[u8], limits: &Limits) -> Result<Self> {
        let mut layout = Self { body_len: 0, plaintext_len: 0 };
        let mut number = 1;
        loop {
            let rest = &body[layout.body_len..];
            let head = opened.read_head(rest, number, limits)?.filter(|head| head.total_len() <= rest.len());
            let head = head.ok_or_else(truncated)?;
            layout.body_len += head.total_len();
            layout.plaintext_len += head.content_len;
            if head.is_last() {
                return Ok(layout);
            }
            number += 1;
        }
    }
}

fn open_frames(opened: &MessageReader, mut body: &[u8], limits: &Limits, mut out: &mut [u8]) -> Result<()> {
    let mut number = 1;
    loop {
        let head = opened.read_head(body, number, limits)?.ok_or_else(truncated)?;
        let (frame, rest) = body.split_at(head.total_len());
        let (content, after) = out.split_at_mut(head.content_len);
        opened.cipher.open(&head, frame, content)?;
        if head.is_last() {
            return Ok(());
        }
        (body, out, number) = (rest, after, number + 1);
    }
}

/// Checks the data after the final frame: only the signature of a signed message is allowed.
pub(crate) fn check_end(verifier: Option<Verifier>, footer: &[u8]) -> Result<()> {
    let Some(verifier) = verifier else { return check_nothing_left(footer) };
    let signature = read_footer(footer)?.ok_or_else(truncated)?;
    check_nothing_left(&footer[2 + signature.len()..])?;
    verifier.verify(signature)
}

pub(crate) fn check_nothing_left(rest: &[u8]) -> Result<()> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(trailing(rest, b""))
}

/// The rest is in two parts, as a stream has it.
pub(crate) fn trailing(rest: &[u8], more: &[u8]) -> Error {
    let message = match (rest, more) {
        (b"\n" | b"\r\n" | b"\r", b"") | (b"", b"\n" | b"\r\n" | b"\r") | (b"\r", b"\n") => {
            "a newline follows the end of the message, which is binary; take it off".to_owned()
        }
        _ => format!("{} bytes or more follow the end of the message", rest.len() + more.len()),
    };
    Error::new(Status::TrailingData, message)
}

pub(crate) fn truncated() -> Error {
    Error::new(Status::Truncated, "the message is truncated, or only a part of it was passed")
}

/// No frame is shorter than its head, so this many bytes can always be read.
pub(crate) const HEAD_LEN_MAX: usize = crate::seal::format::frame::FINAL_HEAD_LEN;
const _: () = assert!(HEAD_LEN_MAX <= crate::seal::format::frame::REGULAR_HEAD_LEN + 1 + TAG_LEN);
