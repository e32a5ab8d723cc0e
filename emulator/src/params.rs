//! The parameters of one call, from a JSON body or a query string, read by name and type.

use serde_json::{Map, Value};

use crate::error::ApiError;

/// Parameters that no action has read yet.
///
/// An action takes what it knows and then calls [`Params::finish`], which refuses the rest.
#[derive(Default)]
pub struct Params {
    fields: Map<String, Value>,
    /// In a query string an integer is text too.
    from_query: bool,
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
    /// Reads a request body, which must be one JSON object (an empty body stands for `{}`).
    pub fn from_body(body: &[u8]) -> Result<Self, ApiError> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self { fields, from_query: false }),
            Ok(_) => Err(ApiError::invalid_parameter("The request body is not a JSON object.")),
            Err(_) => Err(ApiError::invalid_parameter("The request body is not valid JSON.")),
        }
    }

    /// Reads a query string; `Name.0=a&Name.1=b` is a list.
    pub fn from_query(query: &str) -> Result<Self, ApiError> {
        let mut fields = Map::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = Value::String(value.into_owned());
            match name.split_once('.') {
                None => drop(fields.insert(name.into_owned(), value)),
                Some((list, index)) => append(&mut fields, list, index, value)?,
            }
        }
        Ok(Self { fields, from_query: true })
    }

    /// The names of all parameters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// Takes a parameter that may be absent; JSON null counts as absent.
    pub fn optional<T: Param>(&mut self, name: &str) -> Result<Option<T>, ApiError> {
        let read = if self.from_query { T::from_query } else { T::from_json };
        match self.fields.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value)
                .map(Some)
                .ok_or_else(|| ApiError::invalid_parameter(format!("The parameter `{name}` is not {}.", T::KIND))),
        }
    }

    /// Takes a parameter that must be present.
    pub fn required<T: Param>(&mut self, name: &str) -> Result<T, ApiError> {
        self.optional(name)?.ok_or_else(|| ApiError::missing_parameter(name))
    }

    /// Takes an optional string, absent and empty being the same.
    pub fn text(&mut self, name: &str) -> Result<String, ApiError> {
        Ok(self.optional(name)?.unwrap_or_default())
    }

    /// Takes an optional integer that has a default and an inclusive range.
    pub fn integer(&mut self, name: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> Result<u64, ApiError> {
        let value = self.optional(name)?.unwrap_or(default);
        if range.contains(&value) { Ok(value) } else { Err(out_of_range(name, value, &range)) }
    }

    /// Takes an integer that must be present and in the inclusive range.
    pub fn required_integer(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, ApiError> {
        let value = self.required(name)?;
        if range.contains(&value) { Ok(value) } else { Err(out_of_range(name, value, &range)) }
    }

    /// Refuses a parameter that the service knows and the emulator does not play.
    pub fn not_emulated(&mut self, name: &str) -> Result<(), ApiError> {
        match self.fields.remove(name) {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(ApiError::unsupported(format!("The emulator does not play the parameter `{name}`."))),
        }
    }

    /// Takes a parameter of any type that has no effect here.
    pub fn ignore(&mut self, name: &str) {
        self.fields.remove(name);
    }

    /// Ends the reading: what is left is unknown to the action (kms-api §3.2, `UnknownParameter`).
    pub fn finish(self) -> Result<(), ApiError> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) => Err(ApiError::unknown_parameter(name)),
        }
    }
}

fn append(fields: &mut Map<String, Value>, list: &str, index: &str, value: Value) -> Result<(), ApiError> {
    let items = fields.entry(list).or_insert_with(|| Value::Array(Vec::new()));
    match items {
        Value::Array(items) if index.parse() == Ok(items.len()) => items.push(value),
        _ => return Err(ApiError::invalid_parameter(format!("The list `{list}` is not numbered from 0 on."))),
    }
    Ok(())
}

fn out_of_range(name: &str, value: u64, range: &std::ops::RangeInclusive<u64>) -> ApiError {
    let (low, high) = (range.start(), range.end());
    ApiError::invalid_parameter(format!("The parameter `{name}` is {value}, not within {low} to {high}."))
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

impl Param for Vec<String> {
    const KIND: &'static str = "a list of strings";

    fn from_json(value: Value) -> Option<Self> {
        match value {
            Value::Array(items) => items.into_iter().map(String::from_json).collect(),
            _ => None,
        }
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

    #[test]
    fn a_query_string_gives_strings_and_lists() {
        let mut params = Params::from_query("Plaintext=dGVzdAo%3D&Limit=20&KeyIds.0=a&KeyIds.1=b").unwrap();
        assert_eq!(params.integer("Limit", 10, 0..=200).unwrap(), 20);
        assert_eq!(params.text("Plaintext").unwrap(), "dGVzdAo=");
        assert_eq!(params.required::<Vec<String>>("KeyIds").unwrap(), ["a", "b"]);
        assert!(Params::from_query("KeyIds.1=b").is_err());
    }
}
