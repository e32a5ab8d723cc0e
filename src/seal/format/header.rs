//! The header: written in version 2 of the format, read in versions 1 and 2 while it arrives.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::seal::format::content_key::{IV_LEN, TAG_LEN};
use crate::seal::format::context::{Context, PUBLIC_KEY};
use crate::seal::format::length_prefix::{self, push_number, push_part};
use crate::seal::format::limits::Limits;
use crate::seal::format::message_id::{MESSAGE_ID_LEN, MessageId};
use crate::seal::format::suite::{COMMIT_KEY_LEN, CommitmentPolicy, Derived, Suite};
use crate::seal::format::wrapped_key::WrappedKey;
use crate::status::Status;

const VERSION_2: u8 = 2;
const VERSION_1: u8 = 1;
/// The only type of message in version 1.
const TYPE_1: u8 = 0x80;
const MESSAGE_ID_LEN_1: usize = 16;
const FRAMED: u8 = 2;
const UNFRAMED: u8 = 1;
/// The beginning of a message in base64: "AYA" is version 1, "AgR4" and "AgV4" are version 2.
const BASE64_BEGINNINGS: [&[u8]; 3] = [b"AYA", b"AgR4", b"AgV4"];
/// The header's tag covers no content, so its IV is the one that no frame has.
const HEADER_IV: [u8; IV_LEN] = [0; IV_LEN];

/// The layout of a new header.
const MESSAGE_ID_AT: usize = 3;
const FIELDS_AT: usize = MESSAGE_ID_AT + MESSAGE_ID_LEN;
/// The fields after the context and the wrapped keys: content type, frame length, commit key, tag.
const TAIL_LEN: usize = 1 + 4 + COMMIT_KEY_LEN + TAG_LEN;

/// The middle of a header, the same in all messages under one data key: context and wrapped keys.
pub(crate) fn fields(context: &Context, wrapped_keys: &[WrappedKey]) -> Result<Vec<u8>> {
    let mut pairs = Vec::new();
    context.write(&mut pairs)?;
    let mut fields = Vec::with_capacity(4 + pairs.len() + 512 * wrapped_keys.len());
    push_part(&mut fields, &pairs, too_long)?;
    push_number(&mut fields, wrapped_keys.len(), too_long)?;
    for key in wrapped_keys {
        push_part(&mut fields, key.provider_id.as_bytes(), too_long)?;
        push_part(&mut fields, &key.provider_info, too_long)?;
        push_part(&mut fields, &key.blob, too_long)?;
    }
    Ok(fields)
}

fn too_long(len: usize) -> Error {
    Error::new(
        Status::InvalidLength,
        format!("a part of the header has a length of {len}, {} is the most", length_prefix::MAX),
    )
}

/// The length of a new header with these fields.
pub(crate) fn len(fields: &[u8]) -> usize {
    FIELDS_AT + fields.len() + TAIL_LEN
}

/// Writes a whole new header, which fills `out` exactly.
///
/// A header is never changed afterwards: two different ones under the same key and message id would reveal the
/// authentication key of both.
pub(crate) fn write(
    suite: &Suite,
    message_id: &MessageId,
    fields: &[u8],
    frame_len: usize,
    keys: &Derived,
    out: &mut [u8],
) -> Result<()> {
    let commit_key =
        keys.commit_key.ok_or_else(|| Error::new(Status::Internal, "only committing suites are written"))?;
    let frame_len = u32::try_from(frame_len).map_err(|_| Error::new(Status::Internal, "the frame is too long"))?;
    let (body, tag) = out.split_at_mut(out.len() - TAG_LEN);
    body[0] = VERSION_2;
    body[1..MESSAGE_ID_AT].copy_from_slice(&suite.id.to_be_bytes());
    body[MESSAGE_ID_AT..FIELDS_AT].copy_from_slice(message_id.bytes());
    let (middle, tail) = body[FIELDS_AT..].split_at_mut(fields.len());
    middle.copy_from_slice(fields);
    tail[0] = FRAMED;
    tail[1..5].copy_from_slice(&frame_len.to_be_bytes());
    tail[5..].copy_from_slice(&commit_key);
    keys.content_key.seal_in_place(HEADER_IV, body, &mut [], tag)
}

/// The layout of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Framed { frame_len: usize },
    Unframed,
}

/// A parsed header. It is not trusted before its tag is verified.
pub(crate) struct Header {
    pub suite: &'static Suite,
    pub message_id: MessageId,
    pub context: Context,
    pub wrapped_keys: Vec<WrappedKey>,
    pub content: Content,
    /// The whole header's length in the message.
    pub len: usize,
    commit_key: Option<[u8; COMMIT_KEY_LEN]>,
    iv: [u8; IV_LEN],
    tag: [u8; TAG_LEN],
    /// The length of the part that the tag covers, from the beginning.
    authenticated_len: usize,
}

impl Header {
    /// Verifies the commitment and the header's tag.
    ///
    /// `bytes` begins with the original header, because writing it again could differ. `reproduced` are pairs
    /// that the header's tag covers although the header does not hold them.
    pub fn authenticate(&self, bytes: &[u8], keys: &Derived, reproduced: &Context) -> Result<()> {
        if let (Some(shown), Some(derived)) = (self.commit_key, keys.commit_key)
            && aws_lc_rs::constant_time::verify_slices_are_equal(&shown, &derived).is_err()
        {
            let message = "the data key is not the one that the message commits to";
            return Err(Error::new(Status::CommitmentMismatch, message));
        }
        let mut covered = Cow::Borrowed(&bytes[..self.authenticated_len]);
        if !reproduced.is_empty() {
            reproduced.write(covered.to_mut())?;
        }
        if keys.content_key.open(self.iv, &covered, &[], &self.tag, &mut []) {
            return Ok(());
        }
        Err(Error::new(Status::HeaderNotAuthentic, "the message's header is not authentic"))
    }
}

/// What a reader accepts.
#[derive(Clone, Copy)]
pub(crate) struct ReadPolicy {
    pub policy: CommitmentPolicy,
    pub signed_allowed: bool,
    pub limits: Limits,
}

/// Parses a header while it arrives: each field is checked as soon as its bytes are available.
pub(crate) struct HeaderReader {
    accept: ReadPolicy,
    at: usize,
    stage: Stage,
    /// The fields parsed so far, from the end of the first stage to that of the last.
    known: Option<Known>,
}

/// The next stage.
#[derive(Clone, Copy)]
enum Stage {
    Beginning,
    ContextLen,
    Context(usize),
    KeyCount,
    Keys(usize),
    Tail,
    Done,
}

/// The result of one parsing step.
enum Next {
    Stage(Stage),
    /// In the same stage, when there are more bytes.
    Wait,
    Header(Box<Header>),
}

struct Known {
    suite: &'static Suite,
    message_id: MessageId,
    context: Context,
    wrapped_keys: Vec<WrappedKey>,
}

impl HeaderReader {
    pub fn new(accept: ReadPolicy) -> Self {
        Self { accept, at: 0, stage: Stage::Beginning, known: None }
    }

    /// Reads on. `bytes` is the message from its very beginning, as far as it is there; the header, or `None` when
    /// more of it is needed.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Option<Box<Header>>> {
        loop {
            let stage = std::mem::replace(&mut self.stage, Stage::Done);
            match self.step(bytes, stage)? {
                Next::Stage(next) => self.stage = next,
                Next::Wait => {
                    self.stage = stage;
                    return Ok(None);
                }
                Next::Header(header) => return Ok(Some(header)),
            }
        }
    }

    fn step(&mut self, bytes: &[u8], stage: Stage) -> Result<Next> {
        let next = match stage {
            Stage::Beginning => {
                self.known = self.beginning(bytes)?;
                self.known.is_some().then_some(Stage::ContextLen)
            }
            Stage::ContextLen => self.take(bytes, 2)?.map(|len| Stage::Context(number(len))),
            Stage::Context(len) => match self.take(bytes, len)? {
                Some(pairs) => {
                    let context = Context::read(pairs)?;
                    let known = self.known()?;
                    check_public_key(known.suite, &context)?;
                    known.context = context;
                    Some(Stage::KeyCount)
                }
                None => None,
            },
            Stage::KeyCount => match self.take(bytes, 2)? {
                Some(count) => Some(Stage::Keys(self.checked_key_count(number(count))?)),
                None => None,
            },
            Stage::Keys(0) => Some(Stage::Tail),
            Stage::Keys(left) => match self.wrapped_key(bytes)? {
                Some(key) => {
                    self.known()?.wrapped_keys.push(key);
                    Some(Stage::Keys(left - 1))
                }
                None => None,
            },
            Stage::Tail => return Ok(self.tail(bytes)?.map_or(Next::Wait, Next::Header)),
            Stage::Done => return Err(read_past_its_end()),
        };
        Ok(next.map_or(Next::Wait, Next::Stage))
    }

    fn known(&mut self) -> Result<&mut Known> {
        self.known.as_mut().ok_or_else(read_past_its_end)
    }

    fn beginning(&mut self, bytes: &[u8]) -> Result<Option<Known>> {
        let Some(version) = bytes.first().copied() else { return Ok(None) };
        let (before_suite, id_len) = match version {
            VERSION_2 => (1, MESSAGE_ID_LEN),
            VERSION_1 => (2, MESSAGE_ID_LEN_1),
            b'A' if bytes.len() < 4 => return Ok(None),
            _ => return Err(not_a_message(bytes)),
        };
        if version == VERSION_1 && bytes.get(1).is_some_and(|kind| *kind != TYPE_1) {
            return Err(not_a_message(bytes));
        }
        let Some(id) = bytes.get(before_suite..before_suite + 2) else { return Ok(None) };
        let suite = Suite::find(version, number(id) as u16)?;
        self.accept.policy.check(suite)?;
        if suite.is_signed() && !self.accept.signed_allowed {
            let message =
                "the message is signed: its parts would be released before the signature at its end is checked";
            return Err(Error::new(Status::SignedNotAllowed, message));
        }
        let Some(start) = self.take(bytes, before_suite + 2 + id_len)? else { return Ok(None) };
        let message_id = MessageId::from_slice(&start[before_suite + 2..]);
        Ok(Some(Known { suite, message_id, context: Context::default(), wrapped_keys: Vec::new() }))
    }

    fn checked_key_count(&self, count: usize) -> Result<usize> {
        let most = self.accept.limits.wrapped_keys;
        if count == 0 {
            return Err(malformed("has no wrapped data key"));
        }
        if count > most {
            let message = format!("the message has {count} wrapped data keys, at most {most} are allowed");
            return Err(Error::new(Status::TooManyDataKeys, message));
        }
        Ok(count)
    }

    fn wrapped_key(&mut self, bytes: &[u8]) -> Result<Option<WrappedKey>> {
        let mut end = self.at;
        let mut parts = [&[][..]; 3];
        for part in &mut parts {
            let Some(len) = bytes.get(end..end + 2).map(number) else { return Ok(None) };
            self.check_len(end + 2 + len)?;
            let Some(content) = bytes.get(end + 2..end + 2 + len) else { return Ok(None) };
            (*part, end) = (content, end + 2 + len);
        }
        self.at = end;
        let [provider_id, provider_info, blob] = parts;
        let provider_id =
            std::str::from_utf8(provider_id).map_err(|_| malformed("has a key provider that is not UTF-8"))?;
        Ok(Some(WrappedKey {
            provider_id: provider_id.to_owned(),
            provider_info: provider_info.to_vec(),
            blob: blob.to_vec(),
        }))
    }

    fn tail(&mut self, bytes: &[u8]) -> Result<Option<Box<Header>>> {
        let version_2 = self.known()?.suite.commits();
        let len = if version_2 { TAIL_LEN } else { 1 + 4 + 1 + 4 + IV_LEN + TAG_LEN };
        let start = self.at;
        let Some(tail) = self.take(bytes, len)? else {
            // The available part may be wrong already, and then the rest is not needed.
            if let Some(kind) = bytes.get(start) {
                check_kind(*kind)?;
            }
            return Ok(None);
        };
        let (front, tag) = tail.split_at(len - TAG_LEN);
        check_kind(front[0])?;
        let (frame_len, commit_key, iv) = if version_2 {
            (number(&front[1..5]), front[5..].try_into().ok(), HEADER_IV)
        } else {
            if front[1..5] != [0; 4] || usize::from(front[5]) != IV_LEN {
                return Err(malformed("has another reserved field or IV length than the format"));
            }
            (number(&front[6..10]), None, iv_of(&front[10..]))
        };
        let known = self.known.take().ok_or_else(read_past_its_end)?;
        Ok(Some(Box::new(Header {
            suite: known.suite,
            message_id: known.message_id,
            context: known.context,
            wrapped_keys: known.wrapped_keys,
            content: self.content(front[0], frame_len)?,
            len: self.at,
            commit_key,
            iv,
            tag: tag.try_into().map_err(|_| malformed("has no tag"))?,
            authenticated_len: self.at - TAG_LEN - if version_2 { 0 } else { IV_LEN },
        })))
    }

    fn content(&self, kind: u8, frame_len: usize) -> Result<Content> {
        let most = self.accept.limits.frame_len;
        match (kind, frame_len) {
            (UNFRAMED, 0) => Ok(Content::Unframed),
            (UNFRAMED, _) => Err(malformed("has a frame length although it is not framed")),
            (_, 0) => Err(malformed("has frames of length 0")),
            (_, frame_len) if frame_len > most => {
                let message = format!("the message has frames of {frame_len} bytes, at most {most} are allowed");
                Err(Error::new(Status::FrameTooLong, message))
            }
            (_, frame_len) => Ok(Content::Framed { frame_len }),
        }
    }

    /// The next `len` bytes, if they are available.
    fn take<'a>(&mut self, bytes: &'a [u8], len: usize) -> Result<Option<&'a [u8]>> {
        let end = self.at + len;
        self.check_len(end)?;
        let taken = bytes.get(self.at..end);
        if taken.is_some() {
            self.at = end;
        }
        Ok(taken)
    }

    fn check_len(&self, len: usize) -> Result<()> {
        let most = self.accept.limits.header_len;
        if len <= most {
            return Ok(());
        }
        Err(Error::new(
            Status::HeaderTooLong,
            format!("the header has at least {len} bytes, at most {most} are allowed"),
        ))
    }
}

/// A signing suite has its public key in the context, and no other suite has one.
fn check_public_key(suite: &Suite, context: &Context) -> Result<()> {
    match (suite.is_signed(), context.get(PUBLIC_KEY).is_some()) {
        (true, false) => Err(malformed("says the message is signed but has no public key")),
        (false, true) => Err(malformed("has a public key although the message is not signed")),
        _ => Ok(()),
    }
}

fn check_kind(kind: u8) -> Result<()> {
    if matches!(kind, FRAMED | UNFRAMED) { Ok(()) } else { Err(malformed("has an unknown content type")) }
}

fn iv_of(bytes: &[u8]) -> [u8; IV_LEN] {
    let mut iv = [0; IV_LEN];
    iv.copy_from_slice(&bytes[..IV_LEN]);
    iv
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

fn not_a_message(bytes: &[u8]) -> Error {
    if BASE64_BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning)) {
        let message = "the data is text that looks like a sealed message in base64; decode it first";
        return Error::new(Status::MessageIsBase64, message);
    }
    Error::new(Status::NotAMessage, "the data is not a message of the AWS Encryption SDK format")
}

fn read_past_its_end() -> Error {
    Error::new(Status::Internal, "a header was read past its end")
}

fn malformed(reason: &str) -> Error {
    Error::new(Status::MalformedMessage, format!("the header {reason}"))
}
