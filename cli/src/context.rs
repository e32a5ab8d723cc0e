//! The options for the encryption context.

use std::collections::BTreeMap;

use clap::Args;
use tckms::seal::Context;

use crate::failure::{Failure, Outcome};

/// A pair of the context.
#[derive(Clone, Debug)]
pub struct Pair {
    name: String,
    value: String,
}

pub fn parse_pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Pair { name: name.to_owned(), value: value.to_owned() }),
        _ => Err("a pair of the context has the form NAME=VALUE with a name that is not empty".to_owned()),
    }
}

#[derive(Args, Clone, Debug, Default)]
pub struct ContextOptions {
    /// A pair of the encryption context; may be repeated. The context is not secret
    #[arg(short = 'c', long = "context", value_name = "NAME=VALUE", value_parser = parse_pair, allow_hyphen_values = true)]
    pairs: Vec<Pair>,

    /// The context as a JSON object of strings, sent unchanged
    #[arg(long, value_name = "JSON", conflicts_with = "pairs")]
    context_json: Option<String>,
}

impl ContextOptions {
    /// The JSON for calls of the service; `None` without a context.
    pub fn json(&self) -> Outcome<Option<String>> {
        json(&self.pairs, self.context_json.as_deref())
    }

    /// The same pairs with other values.
    pub fn with_values(&self, value: impl Fn(&str) -> String) -> Self {
        let pair = |pair: &Pair| Pair { name: pair.name.clone(), value: value(&pair.value) };
        Self { pairs: self.pairs.iter().map(pair).collect(), context_json: self.context_json.clone() }
    }

    /// The context for messages.
    pub fn for_message(&self) -> Outcome<Context> {
        for_message(&self.pairs, self.context_json.as_deref())
    }
}

pub fn json(pairs: &[Pair], json: Option<&str>) -> Outcome<Option<String>> {
    match json {
        Some(json) => Ok(Some(json.to_owned())),
        None if pairs.is_empty() => Ok(None),
        None => Ok(Some(serde_json::to_string(&unique(pairs)?).unwrap_or_default())),
    }
}

pub fn for_message(pairs: &[Pair], json: Option<&str>) -> Outcome<Context> {
    match json {
        Some(json) => Ok(Context::from_json(json)?),
        None => Ok(Context::from_pairs(unique(pairs)?)),
    }
}

fn unique(pairs: &[Pair]) -> Outcome<BTreeMap<String, String>> {
    let mut unique = BTreeMap::new();
    for Pair { name, value } in pairs {
        if unique.insert(name.clone(), value.clone()).is_some() {
            let why = format!("the context contains the name \"{name}\" twice");
            return Err(Failure::usage(why));
        }
    }
    Ok(unique)
}
