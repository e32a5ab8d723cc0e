//! The parameters of one call, from a JSON body or a query string, read by name and type.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::api::query;
use crate::error::ApiError;
use crate::faults::script::SignatureFlaw;

/// Parameters that no action has read yet.
///
/// An action takes its parameters and then calls [`Params::finish`], which refuses the rest.
#[derive(Default)]
pub struct Params {
    fields: Map<String, Value>,
    /// In a query string an integer is also text.
    from_query: bool,
    /// The prefix of the names of an object inside the request, such as `Tags.0.`.
    path: String,
    /// The flaw that a fault adds to a signature in the reply.
    pub signature_flaw: Option<SignatureFlaw>,
}

/// A type that a parameter can have.
pub trait Param: Sized {
    /// The type's name in error messages.
    const KIND: &'static str;

    fn from_json(value: Value) -> Option<Self>;

    /// Reads the value from a query string, where every scalar is text.
    fn from_query(value: Value) -> Option<Self> {
        Self::from_json(value)
    }
}

impl Params {
    /// Reads a request body, which must be one JSON object (an empty body means `{}`).
    pub fn from_body(body: &[u8]) -> Result<Self, ApiError> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self { fields, ..Self::default() }),
            Ok(_) => Err(ApiError::invalid_parameter("The request body is not a JSON object.")),
            Err(_) => Err(ApiError::invalid_parameter("The request body is not valid JSON.")),
        }
    }

    /// Reads a query string.
    pub fn from_query(text: &str) -> Result<Self, ApiError> {
        Ok(Self { fields: query::parse(text)?, from_query: true, ..Self::default() })
    }

    /// The names of all parameters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// Whether a parameter is present and not yet read.
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Takes a parameter that may be absent; JSON null counts as absent.
    pub fn optional<T: Param>(&mut self, name: &str) -> Result<Option<T>, ApiError> {
        let read = if self.from_query { T::from_query } else { T::from_json };
        self.take(name).map(|value| read(value).ok_or_else(|| self.wrong_type(name, T::KIND))).transpose()
    }

    /// Takes a parameter that must be present.
    pub fn required<T: Param>(&mut self, name: &str) -> Result<T, ApiError> {
        self.optional(name)?.ok_or_else(|| self.missing(name))
    }

    /// Takes a list of strings that must be present.
    pub fn required_strings(&mut self, name: &str) -> Result<Vec<String>, ApiError> {
        self.strings(name)?.ok_or_else(|| self.missing(name))
    }

    /// Takes a list of strings.
    pub fn strings(&mut self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        let Some(items) = self.list(name)? else { return Ok(None) };
        let strings = items.into_iter().enumerate().map(|(index, item)| {
            String::from_json(item).ok_or_else(|| self.wrong_type(&format!("{name}.{index}"), String::KIND))
        });
        strings.collect::<Result<_, _>>().map(Some)
    }

    /// Takes a list of objects, which is empty if it is absent. The fields of each object are read like parameters.
    pub fn objects(&mut self, name: &str) -> Result<Vec<Self>, ApiError> {
        let items = self.list(name)?.unwrap_or_default().into_iter().enumerate();
        let objects = items.map(|(index, item)| match item {
            Value::Object(fields) => {
                let path = self.full_name(&format!("{name}.{index}."));
                Ok(Self { fields, from_query: self.from_query, path, ..Self::default() })
            }
            _ => Err(self.wrong_type(&format!("{name}.{index}"), "an object")),
        });
        objects.collect()
    }

    fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(Value::Object(fields)) if self.from_query => Err(self.not_numbered(name, &fields)),
            Some(_) => Err(self.wrong_type(name, "a list")),
        }
    }

    /// The value of a parameter, unless it is absent or null.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// Suggests the parameter that was probably meant.
    fn missing(&self, name: &str) -> ApiError {
        match self.fields.keys().find(|given| are_similar(given, name)) {
            None => ApiError::missing_parameter(&self.full_name(name)),
            Some(given) => ApiError::misspelt_parameter(&self.full_name(name), &self.full_name(given)),
        }
    }

    fn wrong_type(&self, name: &str, kind: &str) -> ApiError {
        ApiError::invalid_parameter(format!("The parameter `{}` is not {kind}.", self.full_name(name)))
    }

    /// The error if names of a query string should form a list and do not.
    fn not_numbered(&self, name: &str, fields: &Map<String, Value>) -> ApiError {
        match fields.keys().find(|key| key.parse::<u32>().is_err()) {
            Some(key) => ApiError::unknown_parameter(&self.full_name(&format!("{name}.{key}"))),
            None => {
                let (name, last) = (self.full_name(name), fields.len() - 1);
                let message = format!("The {} items of the list `{name}` are not numbered 0 to {last}.", last + 1);
                ApiError::invalid_parameter(message)
            }
        }
    }

    /// Takes an optional string; an absent one is empty.
    pub fn text(&mut self, name: &str) -> Result<String, ApiError> {
        Ok(self.optional(name)?.unwrap_or_default())
    }

    /// Takes an optional integer that has a default and an inclusive range.
    pub fn integer(&mut self, name: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> Result<u64, ApiError> {
        let value = self.optional(name)?.unwrap_or(default);
        if range.contains(&value) { Ok(value) } else { Err(self.out_of_range(name, value, &range)) }
    }

    /// Takes an integer that must be present and in the inclusive range.
    pub fn required_integer(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, ApiError> {
        let value = self.required(name)?;
        if range.contains(&value) { Ok(value) } else { Err(self.out_of_range(name, value, &range)) }
    }

    /// Refuses a parameter that the service has and the emulator does not.
    pub fn not_emulated(&mut self, name: &str) -> Result<(), ApiError> {
        match self.take(name) {
            None => Ok(()),
            Some(_) => Err(ApiError::unsupported(format!("The parameter `{name}` is not emulated."))),
        }
    }

    /// Takes a parameter of any type that has no effect in the emulator.
    pub fn ignore(&mut self, name: &str) {
        self.fields.remove(name);
    }

    /// Refuses the remaining parameters, which the action does not know (docs/kms-service.md, "Common error
    /// codes").
    pub fn finish(self) -> Result<(), ApiError> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) => Err(ApiError::unknown_parameter(&self.full_name(name))),
        }
    }

    fn out_of_range(&self, name: &str, value: u64, range: &std::ops::RangeInclusive<u64>) -> ApiError {
        let (name, low, high) = (self.full_name(name), range.start(), range.end());
        ApiError::invalid_parameter(format!("The parameter `{name}` is {value}, not within {low} to {high}."))
    }
}

/// Whether the names differ in at most two letters or one contains the other, regardless of upper and lower case.
fn are_similar(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let is_part = a.len().min(b.len()) >= 3 && (a.contains(&b) || b.contains(&a));
    is_part || edits_between(a.as_bytes(), b.as_bytes()) <= 2
}

/// The Levenshtein distance in bytes; or some number above 2 if the lengths differ by more than 2.
fn edits_between(a: &[u8], b: &[u8]) -> usize {
    if a.len().abs_diff(b.len()) > 2 {
        return a.len().abs_diff(b.len());
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, byte) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(byte != other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Decodes a base64 parameter, or returns the error of `refuse`.
pub fn decode_base64(text: &str, refuse: impl FnOnce(String) -> ApiError) -> Result<Vec<u8>, ApiError> {
    STANDARD.decode(text).map_err(|_| refuse("The value is not base64.".to_owned()))
}

impl Param for String {
    const KIND: &'static str = "a string";

    fn from_json(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl Param for u64 {
    const KIND: &'static str = "a non-negative integer";

    fn from_json(value: Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    fn from_query(value: Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_left_over_parameter_is_unknown() {
        let mut params = Params::from_body(br#"{"KeyId": "k", "Extra": 1}"#).unwrap();
        assert_eq!(params.required::<String>("KeyId").unwrap(), "k");
        assert_eq!(params.finish().unwrap_err().code, "UnknownParameter");
    }

    #[test]
    fn a_wrong_type_is_an_invalid_parameter_and_null_is_absent() {
        let mut params = Params::from_body(br#"{"KeyId": 1, "Alias": null}"#).unwrap();
        assert_eq!(params.required::<String>("KeyId").unwrap_err().code, "InvalidParameter");
        assert_eq!(params.required::<String>("Alias").unwrap_err().code, "MissingParameter");
    }

    fn query(text: &str) -> Params {
        Params::from_query(text).unwrap()
    }

    #[test]
    fn a_query_string_has_strings_and_integers() {
        let mut params = query("Plaintext=dGVzdAo%3D&Limit=20");
        assert_eq!(params.integer("Limit", 10, 0..=200).unwrap(), 20);
        assert_eq!(params.text("Plaintext").unwrap(), "dGVzdAo=");
    }

    #[test]
    fn lists_may_come_in_any_order() {
        let text: String =
            [10, 0, 2, 11, 1, 9, 3, 8, 4, 7, 5, 6].map(|number| format!("KeyIds.{number}=k{number}&")).concat();
        let expected: Vec<_> = (0..12).map(|number| format!("k{number}")).collect();
        assert_eq!(query(&text).required_strings("KeyIds").unwrap(), expected);
    }

    #[test]
    fn objects_in_lists_are_read_like_parameters() {
        let body = br#"{"Tags": [{"TagKey": "a", "TagValue": ["x", "y"]}, {"TagKey": "b"}]}"#;
        let text = "Tags.1.TagKey=b&Tags.0.TagValue.1=y&Tags.0.TagKey=a&Tags.0.TagValue.0=x";
        for mut params in [Params::from_body(body).unwrap(), query(text)] {
            let mut tags = params.objects("Tags").unwrap();
            assert_eq!(tags[0].text("TagKey").unwrap(), "a");
            assert_eq!(tags[0].strings("TagValue").unwrap().unwrap(), ["x", "y"]);
            assert_eq!(tags[1].required::<String>("TagKey").unwrap(), "b");
            assert!(tags[1].strings("TagValue").unwrap().is_none());
            tags.into_iter().for_each(|tag| tag.finish().unwrap());
            params.finish().unwrap();
        }
    }

    #[test]
    fn the_error_for_a_misspelt_name_repeats_it() {
        let message = |mut params: Params| params.required::<String>("Plaintext").err().unwrap().message;
        for given in ["Plaintxt", "plaintext", "PlainText", "Plaintexts", "Plain"] {
            let text = message(Params::from_body(format!(r#"{{"KeyId":"k","{given}":"x"}}"#).as_bytes()).unwrap());
            assert!(text.contains("`Plaintext`") && text.contains(&format!("`{given}`")), "{text}");
            assert_eq!(text, message(query(&format!("KeyId=k&{given}=x"))));
        }
        let text = message(query("KeyId=k&EncryptionContext=x"));
        assert!(!text.contains("KeyId") && !text.contains("EncryptionContext"), "{text}");
        let text = query("KeyIdz.0=k").required_strings("KeyIds").err().unwrap().message;
        assert!(text.contains("`KeyIds`") && text.contains("`KeyIdz`"), "{text}");
    }

    #[test]
    fn a_mistake_in_a_list_is_reported_with_its_position() {
        let error = |text: &str| {
            let mut params = query(text);
            let tags = params.objects("Tags").and_then(|tags| {
                tags.into_iter().try_for_each(|mut tag| {
                    tag.required::<String>("TagKey")?;
                    tag.finish()
                })
            });
            let error = tags.and_then(|()| params.finish()).unwrap_err();
            (error.code, error.message)
        };
        for (text, code, name) in [
            ("Tagz.0.TagKey=a", "UnknownParameter", "`Tagz`"),
            ("Tags.0.TagKay=a", "MissingParameter", "`Tags.0.TagKey`"),
            ("Tags.0.TagKey=a&Tags.0.More=b", "UnknownParameter", "`Tags.0.More`"),
            ("Tags.1.TagKey=a", "InvalidParameter", "`Tags`"),
            ("Tags.0.TagKey=a&Tags.2.TagKey=a", "InvalidParameter", "`Tags`"),
            ("Tags.00.TagKey=a", "InvalidParameter", "`Tags`"),
            ("Tags.TagKey=a", "UnknownParameter", "`Tags.TagKey`"),
            ("Tags=a", "InvalidParameter", "`Tags`"),
            ("Tags.0=a", "InvalidParameter", "`Tags.0`"),
            ("Tags.0.TagKey.0=a", "InvalidParameter", "`Tags.0.TagKey`"),
        ] {
            let (found, message) = error(text);
            assert!(found == code && message.contains(name), "{text}: {found}: {message}");
        }
    }
}
