//! Query strings as JSON: dotted names become a tree, and items numbered from 0 become a list
//! (docs/kms-service.md, "Requests").

use serde_json::{Map, Value};

use crate::error::ApiError;

/// Most parts of a dotted name. No action has objects inside lists inside objects.
const MAX_DEPTH: usize = 8;

/// Most characters of a name that are repeated in an error message.
const MAX_NAME: usize = 100;

type Fields = Map<String, Value>;

/// Reads a query string; `Name.0.Field=a` is a field of an object in a list.
pub fn parse(query: &str) -> Result<Fields, ApiError> {
    let mut fields = Fields::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        insert(&mut fields, &name, value.into_owned())?;
    }
    Ok(fields.into_iter().map(|(name, value)| (name, with_lists(value))).collect())
}

fn insert(mut fields: &mut Fields, name: &str, value: String) -> Result<(), ApiError> {
    let parts: Vec<_> = name.split('.').collect();
    if parts.len() > MAX_DEPTH || parts.contains(&"") {
        return Err(refused(name, "is malformed"));
    }
    let (last, parents) = parts.split_last().expect("a split text has at least one part");
    for part in parents {
        let parent = fields.entry(*part).or_insert_with(|| Value::Object(Fields::new()));
        fields = parent.as_object_mut().ok_or_else(|| refused(name, "continues where another name ends"))?;
    }
    match fields.insert((*last).to_owned(), Value::String(value)) {
        None => Ok(()),
        Some(Value::String(_)) => Err(refused(name, "is given more than once")),
        Some(_) => Err(refused(name, "ends where another name continues")),
    }
}

/// Turns each object whose names are 0 to n−1 into a list.
fn with_lists(value: Value) -> Value {
    let Value::Object(fields) = value else { return value };
    let mut fields: Fields = fields.into_iter().map(|(name, value)| (name, with_lists(value))).collect();
    let names: Vec<_> = (0..fields.len()).map(|number| number.to_string()).collect();
    if names.iter().all(|name| fields.contains_key(name)) {
        Value::Array(names.iter().filter_map(|name| fields.remove(name)).collect())
    } else {
        Value::Object(fields)
    }
}

fn refused(name: &str, why: &str) -> ApiError {
    let name: String = name.chars().take(MAX_NAME).collect();
    ApiError::invalid_parameter(format!("The parameter name `{name}` {why}."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dotted_names_become_a_tree() {
        let parsed = parse("A=1&B.C=2&B.D.1=4&B.D.0=3&E.0.F=5").unwrap();
        assert_eq!(Value::Object(parsed), json!({ "A": "1", "B": { "C": "2", "D": ["3", "4"] }, "E": [{ "F": "5" }] }));
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn names_that_contradict_each_other_are_refused() {
        for query in ["A=1&A=2", "A=1&A.B=2", "A.B=2&A=1", "A.0=1&A.0=2", "A..B=1", ".=1", "=1", "A.=1"] {
            let error = parse(query).unwrap_err();
            assert_eq!(error.code, "InvalidParameter", "{query}");
            assert!(error.message.contains('`'), "{query}: {}", error.message);
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(parse(&format!("{}=1", ["A"; MAX_DEPTH].join("."))).is_ok());
        assert!(parse(&format!("{}=1", ["A"; 16_000].join("."))).is_err());
    }
}
