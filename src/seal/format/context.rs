//! The encryption context of a message: pairs that are authenticated, not encrypted.
//!
//! It has three forms: the JSON that callers write, the bytes in the header, and the JSON for the key service. The
//! service may compare that as text, so it is always written in the same form.

use std::borrow::Cow;
use std::mem;

use crate::encryption_context::{self, Pairs};
use crate::error::{Error, Result};
use crate::sanitize::excerpt;
use crate::seal::format::length_prefix::{self, push_number, push_part};
use crate::status::Status;

/// Longest context that is written, in bytes of its JSON form: the service takes 1024 characters.
const JSON_LEN_MAX: usize = 1024;
/// Keys with this prefix belong to the format.
const RESERVED_PREFIX: &str = "aws-crypto-";
/// The only such key in use: the public key for the message's signature.
pub(crate) const PUBLIC_KEY: &str = "aws-crypto-public-key";

/// Pairs in the order of their keys' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(Pairs);

impl Context {
    /// A context of these pairs; of two with the same key the later one is used.
    pub fn from_pairs<K: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut merged = Pairs::default();
        pairs.into_iter().for_each(|(key, value)| merged.push(key.as_ref(), value.as_ref()));
        Self(merged.merged())
    }

    /// Reads a JSON object whose values are strings, without duplicate keys.
    pub fn from_json(text: &str) -> Result<Self> {
        encryption_context::parse("context", text).map(Self)
    }

    /// As [`from_json`](Self::from_json); `None` is the empty context.
    pub(crate) fn from_optional_json(text: Option<&str>) -> Result<Self> {
        text.map_or_else(|| Ok(Self::default()), Self::from_json)
    }

    /// The pairs, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn insert(&mut self, key: &str, value: &str) {
        self.0.push(key, value);
        self.0 = mem::take(&mut self.0).merged();
    }

    /// The same without the public key of a signed message, which no other message has.
    pub(crate) fn without_public_key(&self) -> Self {
        Self::from_pairs(self.pairs().filter(|(key, _)| *key != PUBLIC_KEY))
    }

    /// Refuses keys that callers must not write into a message.
    pub(crate) fn check_writable(&self) -> Result<()> {
        let reserved = |(key, _): &(&str, &str)| key.is_empty() || key.starts_with(RESERVED_PREFIX);
        if let Some((key, _)) = self.pairs().find(reserved) {
            let message = format!(
                "the context has the key {}; a key is not empty and does not begin with aws-crypto-",
                excerpt(key)
            );
            return Err(Error::new(Status::ReservedContextKey, message));
        }
        Ok(())
    }

    /// The JSON for the key service: sorted, without blanks, with only the necessary escapes. `None` for the empty
    /// context, which the service does not accept.
    pub(crate) fn canonical_json(&self) -> Option<String> {
        (!self.is_empty()).then(|| serde_json::to_string(&self.0).unwrap_or_default())
    }

    /// The canonical JSON of a context that is written into a message, which is limited.
    pub(crate) fn limited_json(&self) -> Result<Option<String>> {
        let json = self.canonical_json();
        let len = json.as_ref().map_or(0, String::len);
        if len > JSON_LEN_MAX {
            return Err(self.too_long(len));
        }
        Ok(json)
    }

    /// Whether the JSON form is within its limit however many characters need an escape, which has at most six.
    pub(crate) fn is_surely_short(&self) -> bool {
        let len = |(key, value): (&str, &str)| 6 * (key.len() + value.len()) + 6;
        self.pairs().map(len).sum::<usize>() + 2 <= JSON_LEN_MAX
    }

    /// `len` is that of the canonical JSON, with the public key of a signed message.
    fn too_long(&self, len: usize) -> Error {
        let message = match self.get(PUBLIC_KEY) {
            None => format!("the context has {len} bytes as JSON, at most {JSON_LEN_MAX} are allowed"),
            Some(_) => {
                let own_len = self.without_public_key().canonical_json().map_or(0, |json| json.len());
                let left = JSON_LEN_MAX - (len - own_len);
                format!(
                    "the context has {own_len} bytes as JSON; the public key of a signed message takes {} of the \
                     {JSON_LEN_MAX} that are allowed, so {left} are left",
                    len - own_len
                )
            }
        };
        Error::new(Status::ContextTooLong, message)
    }

    /// Appends the form that headers hold: a count, then keys and values with their lengths. No bytes at all for the
    /// empty context.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        push_number(out, self.0.len(), too_long)?;
        for text in self.pairs().flat_map(|(key, value)| [key, value]) {
            push_part(out, text.as_bytes(), too_long)?;
        }
        Ok(())
    }

    /// Reads the form that headers hold. Other writers may have sorted the pairs differently or not at all.
    pub(crate) fn read(mut bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let count = take_u16(&mut bytes)?;
        if count == 0 {
            return Err(malformed("counts no pairs"));
        }
        // Each pair has two lengths of two bytes, whatever the count says.
        let mut pairs = Pairs::with_capacity(bytes.len(), count.min(bytes.len() / 4));
        for _ in 0..count {
            let (key, value) = (take_text(&mut bytes)?, take_text(&mut bytes)?);
            pairs.push(key, value);
        }
        if !bytes.is_empty() {
            return Err(malformed("is longer than its pairs"));
        }
        pairs.unique().map(Self).ok_or_else(|| malformed("has a key twice"))
    }

    /// Refuses a message without one of the `expected` pairs. The error does not repeat values, which may be
    /// confidential.
    pub(crate) fn check_expected(&self, expected: &Self) -> Result<()> {
        for (key, value) in expected.pairs() {
            let reason = match self.get(key) {
                Some(found) if found == value => continue,
                Some(_) => "has another value",
                None => "is not in the message",
            };
            return Err(Error::new(
                Status::ContextMismatch,
                format!("the expected context's key {} {reason}", excerpt(key)),
            ));
        }
        Ok(())
    }

    /// The pairs of `other` that are not in this context; pairs with a key in both must be equal.
    pub(crate) fn missing(&self, other: &Self) -> Result<Self> {
        let mut missing = Pairs::default();
        for (key, value) in other.pairs() {
            match self.get(key) {
                None => missing.push(key, value),
                Some(found) if found == value => {}
                Some(_) => {
                    let message =
                        format!("the reproduced context's key {} has another value in the message", excerpt(key));
                    return Err(Error::new(Status::ContextMismatch, message));
                }
            }
        }
        Ok(Self(missing.merged()))
    }

    /// The pairs that callers write.
    pub(crate) fn without_reserved(&self) -> Self {
        Self::from_pairs(self.pairs().filter(|(key, _)| !key.starts_with(RESERVED_PREFIX)))
    }

    /// Both contexts together.
    pub(crate) fn with<'a>(&'a self, other: &Self) -> Cow<'a, Self> {
        if other.is_empty() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self::from_pairs(self.pairs().chain(other.pairs())))
    }
}

fn too_long(len: usize) -> Error {
    Error::new(Status::ContextTooLong, format!("the context has a part of {len}, {} is the most", length_prefix::MAX))
}

fn take_u16(bytes: &mut &[u8]) -> Result<usize> {
    let (number, rest) = bytes.split_first_chunk::<2>().ok_or_else(|| malformed("ends within a pair"))?;
    *bytes = rest;
    Ok(usize::from(u16::from_be_bytes(*number)))
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str> {
    let len = take_u16(bytes)?;
    let (text, rest) = bytes.split_at_checked(len).ok_or_else(|| malformed("ends within a pair"))?;
    *bytes = rest;
    std::str::from_utf8(text).map_err(|_| malformed("is not UTF-8"))
}

fn malformed(reason: &str) -> Error {
    Error::new(Status::MalformedMessage, format!("the context in the header {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(json: &str) -> Context {
        Context::from_json(json).unwrap()
    }

    fn written(context: &Context) -> Vec<u8> {
        let mut bytes = Vec::new();
        context.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        for json in ["{}", r#"{"a":"1"}"#, r#"{"b":"","a":"密","用途":"x"}"#] {
            assert_eq!(Context::read(&written(&context(json))).unwrap(), context(json), "{json}");
        }
        assert_eq!(written(&context("{}")), b"");
        assert_eq!(written(&context(r#"{"a":"1"}"#)), b"\0\x01\0\x01a\0\x011");
    }

    #[test]
    fn keys_are_sorted_by_their_utf8_bytes() {
        // U+FF5E sorts before U+1D11E by bytes, and after it by UTF-16 units.
        let json = context("{\"\u{1d11e}\":\"1\",\"\u{ff5e}\":\"2\",\"a\":\"3\"}").canonical_json().unwrap();
        assert_eq!(json, "{\"a\":\"3\",\"\u{ff5e}\":\"2\",\"\u{1d11e}\":\"1\"}");
    }

    #[test]
    fn canonical_json_escapes_only_what_it_must() {
        let json = context(r#"{"k":"\"\\\b\t\n\f\r\u0001\u001f\u007f\/密"}"#).canonical_json().unwrap();
        assert_eq!(json, "{\"k\":\"\\\"\\\\\\b\\t\\n\\f\\r\\u0001\\u001f\u{7f}/密\"}");
    }

    #[test]
    fn unsorted_pairs_are_read() {
        assert_eq!(Context::read(b"\0\x02\0\x01b\0\x012\0\x01a\0\x011").unwrap(), context(r#"{"a":"1","b":"2"}"#));
    }

    #[test]
    fn malformed_pairs_are_refused() {
        for bytes in [
            &b"\0"[..],
            b"\0\0",
            b"\0\x01",
            b"\0\x01\0\x01a",
            b"\0\x01\0\x01a\0\x02b",
            b"\0\x01\0\x01a\0\x01bx",
            b"\0\x02\0\x01a\0\x01b\0\x01a\0\x01c",
            b"\0\x01\0\x01\xff\0\x01b",
        ] {
            assert_eq!(Context::read(bytes).err().unwrap().status(), Status::MalformedMessage, "{bytes:?}");
        }
    }

    #[test]
    fn reserved_and_empty_keys_are_not_written() {
        for json in [r#"{"aws-crypto-public-key":"x"}"#, r#"{"aws-crypto-":"x"}"#, r#"{"":"x"}"#] {
            assert_eq!(context(json).check_writable().err().unwrap().status(), Status::ReservedContextKey);
        }
        context(r#"{"aws-crypt":"","Aws-crypto-x":""}"#).check_writable().unwrap();
    }

    #[test]
    fn the_limit_counts_bytes() {
        let fill = |len: usize| context(&format!("{{\"a\":\"{}\"}}", "密".repeat((len - 8) / 3)));
        assert!(fill(1022).limited_json().is_ok());
        assert_eq!(fill(1025).limited_json().err().unwrap().status(), Status::ContextTooLong);
    }

    #[test]
    fn errors_repeat_no_values() {
        for json in
            [r#"{"a":{"s3cret":"s3cret"}}"#, r#"{"a":["s3cret"]}"#, r#"{"a":"s3cret","b":7}"#, "{\"a\":\"s3cret\""]
        {
            let error = Context::from_json(json).err().unwrap();
            assert_eq!(error.status(), Status::InvalidContext);
            assert!(!error.message().contains("s3cret"), "{error}");
        }
    }
}
