//! The request of an action: its name and its body.

use bytes::Bytes;

use crate::encoding::{base64_encode_into, base64_len};
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::status::Status;

/// Largest body of a request signed with TC3-HMAC-SHA256 ("POST ≤ 10 MB" in the API 3.0 documentation).
pub const REQUEST_JSON_MAX: usize = 10 * 1024 * 1024;

/// An action ready to be signed and sent as often as needed.
pub(crate) struct Request<'a> {
    pub action: &'a str,
    /// Whether sending it twice does no harm.
    pub repeatable: bool,
    /// The JSON text. Its memory is wiped after the last attempt.
    pub body: Bytes,
}

impl<'a> Request<'a> {
    /// A call of one of the library's own functions, all of which can be repeated without harm.
    pub fn new(action: &'a str, fields: Fields) -> Result<Self> {
        Ok(Self { action, repeatable: true, body: Bytes::from_owner(fields.close()?) })
    }

    /// Any action with a body that the caller gives.
    pub fn raw(action: &'a str, json: &str) -> Result<Self> {
        check_action(action)?;
        check_json_object(json)?;
        let body = Bytes::from_owner(Secret::copy_of(json.as_bytes())?);
        Ok(Self { action, repeatable: is_harmless_when_repeated(action), body })
    }
}

/// A JSON object under construction, in memory that is wiped.
///
/// Written by hand: a serializer would base64-encode a plaintext into memory that is not wiped.
pub(crate) struct Fields {
    json: Secret,
}

impl Fields {
    /// An object that will hold about `capacity` bytes of values.
    pub fn with_capacity(capacity: usize) -> Result<Self> {
        let mut json = Secret::with_capacity(capacity.saturating_add(128))?;
        json.extend_from_slice(b"{")?;
        Ok(Self { json })
    }

    /// The members of an object that serde writes.
    pub fn from_json(value: &impl serde::Serialize) -> Result<Self> {
        let mut json = Secret::with_capacity(1024)?;
        serde_json::to_writer(&mut json, value)
            .map_err(|error| Error::new(Status::OutOfMemory, format!("the request cannot be written: {error}")))?;
        json.truncate(json.len() - 1);
        Ok(Self { json })
    }

    pub fn string(mut self, name: &str, value: &str) -> Result<Self> {
        self.name(name)?;
        if needs_no_escape(value) {
            self.json.extend_from_slice(b"\"")?;
            self.json.extend_from_slice(value.as_bytes())?;
            self.json.extend_from_slice(b"\"")?;
            return Ok(self);
        }
        serde_json::to_writer(&mut self.json, value)
            .map_err(|error| Error::new(Status::OutOfMemory, format!("{name} cannot be written: {error}")))?;
        Ok(self)
    }

    pub fn optional_string(self, name: &str, value: Option<&str>) -> Result<Self> {
        match value {
            Some(value) => self.string(name, value),
            None => Ok(self),
        }
    }

    pub fn number(mut self, name: &str, value: usize) -> Result<Self> {
        self.name(name)?;
        self.json.extend_from_slice(value.to_string().as_bytes())?;
        Ok(self)
    }

    pub fn base64(mut self, name: &str, value: &[u8]) -> Result<Self> {
        self.name(name)?;
        self.json.extend_from_slice(b"\"")?;
        base64_encode_into(value, self.json.grow(base64_len(value.len()))?);
        self.json.extend_from_slice(b"\"")?;
        Ok(self)
    }

    fn name(&mut self, name: &str) -> Result<()> {
        let first = self.json.len() == 1;
        self.json.extend_from_slice(if first { b"\"" } else { b",\"" })?;
        self.json.extend_from_slice(name.as_bytes())?;
        self.json.extend_from_slice(b"\":")
    }

    fn close(mut self) -> Result<Secret> {
        self.json.extend_from_slice(b"}")?;
        Ok(self.json)
    }
}

/// Whether text is the same within a JSON string, as key ids and most others are.
fn needs_no_escape(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\'))
}

pub(crate) fn check_action(action: &str) -> Result<()> {
    let starts_with_letter = action.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    if starts_with_letter && action.len() <= 64 && action.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let message = "an action is a letter followed by at most 63 letters and digits, like \"DescribeKey\"";
    Err(Error::new(Status::MalformedAction, message))
}

pub(crate) fn check_json_object(json: &str) -> Result<()> {
    let refuse = |message: String| Err(Error::new(Status::InvalidRequestJson, message));
    if json.len() > REQUEST_JSON_MAX {
        return refuse(format!("the request has {} bytes, at most {REQUEST_JSON_MAX} are allowed", json.len()));
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(json) {
        Err(error) => {
            refuse(format!("the request is not JSON: the fault is at line {}, column {}", error.line(), error.column()))
        }
        Ok(_) if json.trim_start().starts_with('{') => Ok(()),
        Ok(_) => refuse("the request is JSON, but not an object like {\"KeyId\":\"…\"}".to_owned()),
    }
}

/// Actions that create nothing: they read, compute, or set a state that may be set already. Actions that fail when there is
/// nothing left to undo, such as CancelKeyDeletion, are not among them: a repetition after a lost reply would turn a success
/// into an error.
///
/// All other actions, known or not, may do their work twice when they are sent twice.
fn is_harmless_when_repeated(action: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "Asymmetric",
        "Bind",
        "Decrypt",
        "Describe",
        "Disable",
        "Enable",
        "Encrypt",
        "Get",
        "List",
        "PostQuantumCrypto",
        "ReEncrypt",
        "Sign",
        "Update",
        "Verify",
    ];
    PREFIXES.iter().any(|prefix| action.starts_with(prefix)) || matches!(action, "GenerateRandom")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(fields: Fields) -> String {
        String::from_utf8(fields.close().unwrap().expose().to_vec()).unwrap()
    }

    #[test]
    fn fields_come_out_compact_and_in_order() {
        let fields = Fields::with_capacity(0).unwrap();
        let fields = fields.string("KeyId", "k").unwrap().base64("Plaintext", b"test\n").unwrap();
        let fields = fields.optional_string("Absent", None).unwrap().number("NumberOfBytes", 32).unwrap();
        assert_eq!(text(fields), r#"{"KeyId":"k","Plaintext":"dGVzdAo=","NumberOfBytes":32}"#);
    }

    #[test]
    fn a_context_is_a_string_that_keeps_every_character() {
        let context = "{\"a\":\"\\\"密\\n\"}";
        let json = text(Fields::with_capacity(0).unwrap().string("EncryptionContext", context).unwrap());
        let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(parsed["EncryptionContext"], context);
    }

    #[test]
    fn actions_and_bodies_are_checked_before_anything_is_sent() {
        for action in ["", "Describe Key", "DescribeKey\r\n", "1", &"a".repeat(65), "密"] {
            assert_eq!(Request::raw(action, "{}").err().unwrap().status(), Status::MalformedAction, "{action}");
        }
        for json in ["", "[]", "1", "{", "{}{}", "null"] {
            assert_eq!(Request::raw("DescribeKey", json).err().unwrap().status(), Status::InvalidRequestJson, "{json}");
        }
    }

    #[test]
    fn actions_that_create_something_are_not_repeated() {
        for action in ["CreateKey", "ImportKeyMaterial", "RotateKey", "GenerateDataKey", "ScheduleKeyDeletion", "Novel"]
        {
            assert!(!Request::raw(action, "{}").unwrap().repeatable, "{action}");
        }
        for action in ["DescribeKey", "ListKeys", "GetRegions", "EnableKey", "Encrypt"] {
            assert!(Request::raw(action, "{}").unwrap().repeatable, "{action}");
        }
    }
}
