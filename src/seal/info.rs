//! What a message says about itself, to whoever has it. Nothing of it is authenticated.

use crate::encoding::hex;
use crate::error::Result;
use crate::sanitize::sanitized_json;
use crate::seal::format::context::Context;
use crate::seal::format::header::{Content, HeaderReader, ReadPolicy};
use crate::seal::format::limits::Limits;
use crate::seal::format::suite::Policy;
use crate::seal::keys::wrapping_key::WrappedKey;
use crate::seal::message_reader::truncated;

/// The claims of a message's header. Anybody can have written them: they are good for choosing a key and for finding
/// out why a message does not open, and for nothing else.
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
    /// The frame length; nothing for a body without frames.
    pub frame_len: Option<usize>,
    /// The header's length.
    pub header_len: usize,
}

impl MessageInfo {
    /// Reads the header at the beginning of `message`, of which the rest need not be there.
    pub fn read(message: &[u8]) -> Result<Self> {
        let limits = Limits { wrapped_keys: usize::MAX, frame_len: usize::MAX, ..Limits::default() };
        let accept = ReadPolicy { policy: Policy::RequireEncryptAllowDecrypt, signed_allowed: true, limits };
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

    /// The claims as a JSON object.
    pub fn to_json(&self) -> String {
        let pairs: serde_json::Map<_, _> =
            self.context.pairs().map(|(key, value)| (key.into(), value.into())).collect();
        let json = serde_json::json!({
            "authenticated": false,
            "version": self.version,
            "suite": format!("{:04x}", self.suite),
            "committing": self.committing,
            "signed": self.signed,
            "message_id": hex(&self.message_id),
            "context": pairs,
            "wrapped_keys": self.wrapped_keys.iter().map(wrapped_key_json).collect::<Vec<_>>(),
            "frame_len": self.frame_len,
            "header_len": self.header_len,
        });
        // The names are those of whoever wrote the message, and this is printed to terminals.
        sanitized_json(&json.to_string()).into_owned()
    }
}

/// The info is text in most schemes; where it is not, it is told in hexadecimal.
fn wrapped_key_json(key: &WrappedKey) -> serde_json::Value {
    let text = std::str::from_utf8(&key.provider_info).ok();
    serde_json::json!({
        "provider_id": key.provider_id,
        "provider_info": text,
        "provider_info_hex": text.is_none().then(|| hex(&key.provider_info)),
        "wrapped_len": key.blob.len(),
    })
}
