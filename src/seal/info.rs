//! The header of a message as claims that are not authenticated, without opening the message.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::encoding::hex;
use crate::error::{Error, Result};
use crate::sanitize::sanitized_json;
use crate::seal::format::branch_wrap::{BranchForm, BranchWrapped, TENCENT_KMS_HIERARCHY_PROVIDER_ID};
use crate::seal::format::context::Context;
use crate::seal::format::header::{Content, HeaderReader, ReadPolicy};
use crate::seal::format::limits::Limits;
use crate::seal::format::suite::CommitmentPolicy;
use crate::seal::format::wrapped_key::WrappedKey;
use crate::seal::message_reader::truncated;
use crate::status::Status;

/// The claims of a message's header. Anyone can have written them: use them only to choose a key, or to find out
/// why a message does not open.
pub struct MessageInfo {
    /// 1 or 2.
    pub version: u8,
    /// The suite's number, such as 0x0478.
    pub suite: u16,
    /// Whether the header commits to one data key.
    pub committing: bool,
    /// Whether the message ends with a signature.
    pub signed: bool,
    /// 16 or 32 bytes.
    pub message_id: Vec<u8>,
    /// The context, with the public key of a signed message in it.
    pub context: Context,
    /// The wrapped data keys, in the message's order.
    pub wrapped_keys: Vec<WrappedKey>,
    /// The frame length; `None` for a body without frames.
    pub frame_len: Option<usize>,
    /// The header's length.
    pub header_len: usize,
}

impl MessageInfo {
    /// Reads the header at the beginning of `message`, which may be incomplete after it. The limits are a
    /// keyring's defaults.
    pub fn read(message: &[u8]) -> Result<Self> {
        let limits = Limits::default();
        let accept = ReadPolicy { policy: CommitmentPolicy::NotRequiredToOpen, signed_allowed: true, limits };
        let header = HeaderReader::new(accept).advance(message)?.ok_or_else(truncated)?;
        Ok(Self {
            version: header.suite.version(),
            suite: header.suite.id,
            committing: header.suite.commits(),
            signed: header.suite.is_signed(),
            message_id: header.message_id.bytes().to_vec(),
            frame_len: match header.content {
                Content::Framed { frame_len } => Some(frame_len),
                Content::Unframed => None,
            },
            header_len: header.len,
            context: header.context,
            wrapped_keys: header.wrapped_keys,
        })
    }

    /// The claims as a JSON object. It is written without a copy of the claims, and the allocation may fail.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut text = JsonText::default();
        let mut serializer = Serializer::with_formatter(&mut text, Printable);
        let claims = Claims {
            authenticated: false,
            version: self.version,
            suite: format!("{:04x}", self.suite),
            committing: self.committing,
            signed: self.signed,
            message_id: hex(&self.message_id),
            context: Pairs(&self.context),
            wrapped_keys: WrappedKeys(&self.wrapped_keys),
            frame_len: self.frame_len,
            header_len: self.header_len,
        };
        claims
            .serialize(&mut serializer)
            .map_err(|_| Error::new(Status::OutOfMemory, "no memory for the JSON text"))?;
        Ok(text.0)
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    authenticated: bool,
    version: u8,
    suite: String,
    committing: bool,
    signed: bool,
    message_id: String,
    context: Pairs<'a>,
    wrapped_keys: WrappedKeys<'a>,
    frame_len: Option<usize>,
    header_len: usize,
}

struct Pairs<'a>(&'a Context);

impl Serialize for Pairs<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.pairs())
    }
}

struct WrappedKeys<'a>(&'a [WrappedKey]);

impl Serialize for WrappedKeys<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(WrappedKeyClaims::of))
    }
}

/// The info is text in most schemes; otherwise it is written in hexadecimal.
#[derive(Serialize)]
struct WrappedKeyClaims<'a> {
    provider_id: &'a str,
    provider_info: Option<&'a str>,
    provider_info_hex: Option<String>,
    wrapped_len: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<BranchClaims>,
}

/// The branch key that a wrapped key names.
#[derive(Serialize)]
pub struct BranchClaims {
    /// The branch id.
    pub id: String,
    /// The version, as a UUID.
    pub version: String,
    /// Whether the message carries the branch key along.
    pub embedded: bool,
}

impl WrappedKey {
    /// The branch key that it names, if a branch key wraps it.
    pub fn branch(&self) -> Option<BranchClaims> {
        BranchClaims::of(self)
    }
}

impl BranchClaims {
    fn of(key: &WrappedKey) -> Option<Self> {
        let parsed = branch_claims(key)?;
        Some(Self {
            id: parsed.branch_id.to_owned(),
            version: parsed.version.to_string(),
            embedded: parsed.form == BranchForm::Embedded,
        })
    }
}

/// A wrapped key that is wrapped under a branch key.
pub(crate) fn branch_claims(key: &WrappedKey) -> Option<BranchWrapped<'_>> {
    BranchWrapped::parse(&key.blob).ok().filter(|_| key.provider_id == TENCENT_KMS_HIERARCHY_PROVIDER_ID)
}

impl<'a> WrappedKeyClaims<'a> {
    fn of(key: &'a WrappedKey) -> Self {
        let text = std::str::from_utf8(&key.provider_info).ok();
        Self {
            provider_id: &key.provider_id,
            provider_info: text,
            provider_info_hex: text.is_none().then(|| hex(&key.provider_info)),
            wrapped_len: key.blob.len(),
            branch: BranchClaims::of(key),
        }
    }
}

/// The writer of the message chose the names, and this text is printed to terminals.
struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        writer.write_all(sanitized_json(fragment).as_bytes())
    }
}

#[derive(Default)]
struct JsonText(Vec<u8>);

impl Write for JsonText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_reserve(bytes.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
