//! The rules for an encryption context.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::error::{Error, Result};
use crate::status::Status;

/// The service's limit, in characters (Encrypt page: "up to 1,024 characters").
pub const ENCRYPTION_CONTEXT_MAX: usize = 1024;

/// Checks that `text` is a JSON object whose values are strings, without duplicate keys, of at most 1024 characters.
///
/// The text is sent as it is: the service may compare it as text, so it is never rewritten.
pub(crate) fn check(text: &str) -> Result<()> {
    check_length(text)?;
    parse("encryption context", text).map(drop)
}

fn check_length(text: &str) -> Result<()> {
    let length = text.chars().count();
    if length > ENCRYPTION_CONTEXT_MAX {
        let message =
            format!("the encryption context has {length} characters, at most {ENCRYPTION_CONTEXT_MAX} are allowed");
        return Err(Error::new(Status::ContextTooLong, message));
    }
    Ok(())
}

/// The canonical JSON of these pairs: sorted by the bytes of their keys, without blanks, with only the necessary
/// escapes.
pub fn canonical_json<'a>(pairs: impl Iterator<Item = Result<(&'a str, &'a str)>>) -> Result<String> {
    let mut sorted = BTreeMap::new();
    for pair in pairs {
        let (key, value) = pair?;
        if sorted.insert(key, value).is_some() {
            return Err(Error::new(Status::InvalidContext, "the context has a key twice"));
        }
    }
    let json = serde_json::to_string(&sorted)
        .map_err(|_| Error::new(Status::Internal, "a context could not be written as JSON"))?;
    check_length(&json)?;
    Ok(json)
}

/// The pairs of a JSON object whose values are strings, without duplicate keys. `what` is the name of the text in an
/// error.
pub(crate) fn parse(what: &str, text: &str) -> Result<BTreeMap<String, String>> {
    // The text of serde_json could repeat a value. Only the position is safe.
    let pairs = serde_json::from_str::<Pairs>(text).map_err(|error| {
        let reason = match () {
            () if !text.trim_start().starts_with('{') => "it does not begin with {".to_owned(),
            () if error.is_data() => error.to_string(),
            () => format!("it is not JSON at column {}", error.column()),
        };
        let message = format!(
            "the {what} is not a JSON object of strings without duplicate keys, like {{\"name\":\"value\"}}: {reason}"
        );
        Error::new(Status::InvalidContext, message)
    })?;
    Ok(pairs.0)
}

struct Pairs(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of strings")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Pairs, M::Error> {
        let mut pairs = BTreeMap::new();
        while let Some(key) = map.next_key()? {
            let StringValue(value) = map.next_value()?;
            if pairs.insert(key, value).is_some() {
                return Err(de::Error::custom("a key is there twice"));
            }
        }
        Ok(Pairs(pairs))
    }
}

/// A string. If the value is something else, the error does not repeat it.
struct StringValue(String);

impl<'de> Deserialize<'de> for StringValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(text)),
            _ => Err(de::Error::custom("a value is not a string")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Status {
        check(text).err().map_or(Status::Ok, |error| error.status())
    }

    #[test]
    fn objects_of_strings_pass() {
        for text in ["{}", r#"{"a":"b"}"#, " { \"a\" : \"b\",\n\"c\":\"\" } ", r#"{"用途":"测试"}"#] {
            assert_eq!(status(text), Status::Ok, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            " ",
            "null",
            "[]",
            "\"a\"",
            "1",
            "{",
            "{}x",
            r#"{"a":1}"#,
            r#"{"a":null}"#,
            r#"{"a":{"b":"c"}}"#,
            "{a:1}",
        ] {
            assert_eq!(status(text), Status::InvalidContext, "{text}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused_in_every_spelling() {
        assert_eq!(status(r#"{"a":"1","a":"1"}"#), Status::InvalidContext);
        assert_eq!(status(r#"{"a":"1","\u0061":"2"}"#), Status::InvalidContext);
    }

    #[test]
    fn the_limit_counts_characters_not_bytes() {
        for letter in ["x", "密", "🔑"] {
            let fill = |length: usize| format!("{{\"a\":\"{}\"}}", letter.repeat(length - 8));
            assert_eq!(status(&fill(1024)), Status::Ok, "{letter}");
            assert_eq!(status(&fill(1025)), Status::ContextTooLong, "{letter}");
        }
    }

    #[test]
    fn an_error_never_repeats_a_value() {
        let error = check(r#"{"a":"s3cret","b":12345}"#).err().unwrap();
        assert!(!error.message().contains("s3cret") && !error.message().contains("12345"), "{error}");
    }
}
