//! The rules for an encryption context.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::error::{Error, Result};
use crate::status::Status;

/// The service's limit, in characters (Encrypt page: "up to 1,024 characters").
pub const ENCRYPTION_CONTEXT_MAX: usize = 1024;

/// Memory for most contexts, so that it does not have to grow.
const TYPICAL_LEN: usize = 128;
const TYPICAL_COUNT: usize = 4;

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

/// Pairs of text, sorted by the bytes of their keys, each key once. Their text is one block of memory, since a context is
/// read for every message.
#[derive(Clone, Default)]
pub(crate) struct Pairs {
    text: String,
    spans: Vec<Span>,
}

/// Where a pair is in the text: the key ends where the value begins.
#[derive(Clone, Copy)]
struct Span {
    key: usize,
    value: usize,
    end: usize,
}

impl Pairs {
    /// Without pairs, but with memory for this many bytes of text and this many pairs, as far as there is memory.
    pub fn with_capacity(text: usize, pairs: usize) -> Self {
        let mut empty = Self::default();
        // Without it the memory grows step by step, and what needs it fails then.
        let _ = (empty.text.try_reserve_exact(text), empty.spans.try_reserve_exact(pairs));
        empty
    }

    /// The pairs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.spans.iter().map(|span| (self.key(span), self.value(span)))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.spans.binary_search_by(|span| self.key(span).cmp(key)).ok().map(|place| self.value(&self.spans[place]))
    }

    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Appends a pair; [`unique`](Self::unique) or [`merged`](Self::merged) comes after the last one.
    pub fn push(&mut self, key: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(key);
        let middle = self.text.len();
        self.text.push_str(value);
        self.end_pair(start, middle);
    }

    /// Ends a pair whose key and value were appended to the text.
    fn end_pair(&mut self, key: usize, value: usize) {
        self.spans.push(Span { key, value, end: self.text.len() });
    }

    /// The pairs, if no key is there twice.
    pub fn unique(mut self) -> Option<Self> {
        self.sort();
        self.is_sorted().then_some(self)
    }

    /// The pairs; of two with the same key the later one.
    pub fn merged(mut self) -> Self {
        self.sort();
        let text = &self.text;
        self.spans.dedup_by(|later, earlier| {
            let same = text[later.key..later.value] == text[earlier.key..earlier.value];
            if same {
                *earlier = *later;
            }
            same
        });
        self
    }

    fn sort(&mut self) {
        // Most contexts are sorted already.
        if !self.is_sorted() {
            let text = &self.text;
            self.spans.sort_by_key(|span| &text[span.key..span.value]);
        }
    }

    fn is_sorted(&self) -> bool {
        self.spans.is_sorted_by(|one, next| self.key(one) < self.key(next))
    }

    fn key(&self, span: &Span) -> &str {
        &self.text[span.key..span.value]
    }

    fn value(&self, span: &Span) -> &str {
        &self.text[span.value..span.end]
    }
}

/// The text of two may be in different orders.
impl PartialEq for Pairs {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Pairs {}

impl fmt::Debug for Pairs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// The canonical JSON of these pairs: sorted by the bytes of their keys, without blanks, with only the necessary
/// escapes.
pub fn canonical_json<'a>(pairs: impl Iterator<Item = Result<(&'a str, &'a str)>>) -> Result<String> {
    let mut sorted = Pairs::default();
    for pair in pairs {
        let (key, value) = pair?;
        sorted.push(key, value);
    }
    let sorted = sorted.unique().ok_or_else(|| Error::new(Status::InvalidContext, "the context has a key twice"))?;
    let json = serde_json::to_string(&sorted)
        .map_err(|_| Error::new(Status::Internal, "a context could not be written as JSON"))?;
    check_length(&json)?;
    Ok(json)
}

/// The pairs of a JSON object whose values are strings, without duplicate keys. `what` is the name of the text in an
/// error.
pub(crate) fn parse(what: &str, text: &str) -> Result<Pairs> {
    // The text of serde_json could repeat a value. Only the position is safe.
    serde_json::from_str::<Pairs>(text).map_err(|error| {
        let reason = match () {
            () if !text.trim_start().starts_with('{') => "it does not begin with {".to_owned(),
            () if error.is_data() => error.to_string(),
            () => format!("it is not JSON at column {}", error.column()),
        };
        let message = format!(
            "the {what} is not a JSON object of strings without duplicate keys, like {{\"name\":\"value\"}}: {reason}"
        );
        Error::new(Status::InvalidContext, message)
    })
}

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
        let mut pairs = Pairs::with_capacity(TYPICAL_LEN, TYPICAL_COUNT);
        loop {
            let key = pairs.text.len();
            if map.next_key_seed(Append(&mut pairs.text))?.is_none() {
                return pairs.unique().ok_or_else(|| de::Error::custom("a key is there twice"));
            }
            let value = pairs.text.len();
            map.next_value_seed(Append(&mut pairs.text))?;
            pairs.end_pair(key, value);
        }
    }
}

/// Appends a string to a text. If the value is something else, the error does not repeat it.
struct Append<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for Append<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Append<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<(), E> {
        self.0.push_str(text);
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> std::result::Result<(), E> {
        not_a_string()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> std::result::Result<(), E> {
        not_a_string()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> std::result::Result<(), E> {
        not_a_string()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> std::result::Result<(), E> {
        not_a_string()
    }

    fn visit_unit<E: de::Error>(self) -> std::result::Result<(), E> {
        not_a_string()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> std::result::Result<(), A::Error> {
        not_a_string()
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> std::result::Result<(), A::Error> {
        not_a_string()
    }
}

fn not_a_string<E: de::Error>() -> std::result::Result<(), E> {
    Err(de::Error::custom("a value is not a string"))
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
    fn a_duplicate_key_is_refused_in_every_spelling() {
        assert_eq!(status(r#"{"a":"1","a":"1"}"#), Status::InvalidContext);
        assert_eq!(status(r#"{"a":"1","\u0061":"2"}"#), Status::InvalidContext);
    }

    #[test]
    fn pairs_are_sorted_by_the_bytes_of_their_keys_whatever_the_order_of_the_text() {
        let sorted = |text| parse("context", text).unwrap();
        let pairs = sorted("{\"b\":\"2\",\"\u{1d11e}\":\"4\",\"a\":\"\",\"\u{ff5e}\":\"3\"}");
        assert!(pairs.iter().eq([("a", ""), ("b", "2"), ("\u{ff5e}", "3"), ("\u{1d11e}", "4")]));
        assert_eq!((pairs.get("b"), pairs.get("a"), pairs.get("ab")), (Some("2"), Some(""), None));
        assert_eq!(sorted(r#"{"b":"2","a":"1"}"#), sorted(r#"{"a":"1","\u0062":"2"}"#));
        assert_ne!(sorted(r#"{"ab":""}"#), sorted(r#"{"a":"b"}"#));
    }

    #[test]
    fn of_two_pairs_with_the_same_key_the_later_one_remains_after_a_merge() {
        let mut pairs = Pairs::default();
        for (key, value) in [("b", "1"), ("a", "2"), ("b", "3"), ("c", "4"), ("b", "5")] {
            pairs.push(key, value);
        }
        assert!(pairs.clone().unique().is_none());
        assert!(pairs.merged().iter().eq([("a", "2"), ("b", "5"), ("c", "4")]));
    }

    #[test]
    fn text_that_is_no_json_is_told_apart_from_values_that_are_no_strings() {
        let reason = |text: &str| check(text).err().unwrap().message().to_owned();
        for text in [r#"{"a":"b"#, r#"{"a":"\x"}"#, r#"{"a":}"#, r#"{"a":"b",}"#, "{a:1}"] {
            assert!(reason(text).contains("it is not JSON at column"), "{text}: {}", reason(text));
        }
        for value in ["true", "-7", "12345", "1.5", "null", "[\"s3cret\"]", "{\"s3cret\":1}"] {
            let text = format!("{{\"a\":{value}}}");
            assert!(reason(&text).contains("a value is not a string"), "{text}: {}", reason(&text));
        }
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
