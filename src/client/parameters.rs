//! The fields of requests that manage CMKs.

use serde::Serialize;

/// The fields of a request, as the API spells them.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Parameters<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_usage: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_type: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_state: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_key_alias: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tag_filters: Vec<TagFilter<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_window_in_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrapping_algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrapping_key_spec: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag<'a> {
    pub tag_key: &'a str,
    pub tag_value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagFilter<'a> {
    pub tag_key: &'a str,
    pub tag_value: [&'a str; 1],
}

/// The parameters of an action on one CMK.
pub(super) fn for_key(key_id: &str) -> Parameters<'_> {
    Parameters { key_id: Some(key_id), ..Parameters::default() }
}
