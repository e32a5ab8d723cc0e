//! Descriptions and lists of CMKs.

use serde_json::{Value, json};

use crate::api::actions::lifecycle::{key_id, key_ids, refuse_cluster};
use crate::api::answer::Answer;
use crate::api::params::Params;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::keys::cmk::{Cmk, KeyState, Tag};
use crate::keys::key_usage::KeyUsage;

/// Longest page of a list (docs/kms-service.md, "List actions").
const MAX_PAGE: u64 = 200;

/// Page length when the caller gives none (docs/kms-service.md, "List actions").
const DEFAULT_PAGE: u64 = 10;

pub fn describe_key(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id = key_id(&mut params)?;
    params.finish()?;
    let key = emulator.keys.get(&key_id)?;
    Ok(json!({ "KeyMetadata": key.metadata(&emulator.region) }))
}

pub fn describe_keys(emulator: &Emulator, mut params: Params) -> Answer {
    let key_ids = key_ids(&mut params)?;
    params.finish()?;
    let metadata = key_ids
        .iter()
        .map(|key_id| Ok(emulator.keys.get(key_id)?.metadata(&emulator.region)))
        .collect::<Result<Vec<_>, ApiError>>()?;
    Ok(json!({ "KeyMetadatas": metadata }))
}

pub fn get_key_rotation_status(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id = key_id(&mut params)?;
    params.finish()?;
    let key = emulator.keys.get(&key_id)?;
    Ok(json!({ "KeyRotationEnabled": key.rotate_days.is_some() }))
}

pub fn list_keys(emulator: &Emulator, mut params: Params) -> Answer {
    const LISTED: [KeyState; 3] = [KeyState::Enabled, KeyState::Disabled, KeyState::PendingImport];
    let query = ListQuery::from_params(&mut params)?;
    params.finish()?;

    let mut keys = emulator.keys.list();
    keys.retain(|key| LISTED.contains(&key.state));
    query.answer("Keys", keys, |key| json!({ "KeyId": key.key_id }))
}

pub fn list_key_detail(emulator: &Emulator, mut params: Params) -> Answer {
    let query = ListQuery::detailed_from_params(&mut params)?;
    let filter = Filter::from_params(&mut params)?;
    params.finish()?;

    let mut keys = emulator.keys.list();
    keys.retain(|key| filter.matches(key));
    query.answer("KeyMetadatas", keys, |key| key.metadata(&emulator.region))
}

/// The parameters of a list of CMKs or data keys, apart from its filters.
pub struct ListQuery {
    page: Page,
    role: Role,
    ascending: bool,
}

impl ListQuery {
    pub fn from_params(params: &mut Params) -> Result<Self, ApiError> {
        let query = Self { page: Page::from_params(params)?, role: role(params)?, ascending: false };
        refuse_cluster(params)?;
        Ok(query)
    }

    /// Also those that only lists with details have.
    pub fn detailed_from_params(params: &mut Params) -> Result<Self, ApiError> {
        let query = Self::from_params(params)?;
        let ascending = params.integer("OrderType", 0, 0..=1)? == 1;
        params.not_emulated("MemberAccounts")?;
        Ok(Self { ascending, ..query })
    }

    /// The page of `keys`, which are ordered by age with the oldest first. In the emulator no cloud product makes keys.
    pub fn answer<K>(&self, name: &str, mut keys: Vec<K>, describe: impl Fn(&K) -> Value) -> Answer {
        if self.role == Role::CloudProduct {
            keys.clear();
        }
        if !self.ascending {
            keys.reverse();
        }
        let described: Vec<_> = self.page.slice(&keys).iter().map(describe).collect();
        Ok(json!({ name: described, "TotalCount": keys.len() }))
    }
}

/// Whether a user or a cloud product made a key (docs/kms-service.md, "Values").
#[derive(PartialEq)]
enum Role {
    User,
    CloudProduct,
}

fn role(params: &mut Params) -> Result<Role, ApiError> {
    Ok(if params.integer("Role", 0, 0..=1)? == 0 { Role::User } else { Role::CloudProduct })
}

/// A part of a list.
struct Page {
    offset: usize,
    limit: usize,
}

impl Page {
    fn from_params(params: &mut Params) -> Result<Self, ApiError> {
        let offset = params.integer("Offset", 0, 0..=u64::from(u32::MAX))?;
        let limit = params.integer("Limit", DEFAULT_PAGE, 0..=MAX_PAGE)?;
        Ok(Self { offset: offset as usize, limit: limit as usize })
    }

    fn slice<'a, T>(&self, items: &'a [T]) -> &'a [T] {
        let start = self.offset.min(items.len());
        let end = items.len().min(start + self.limit);
        &items[start..end]
    }
}

/// The filters of ListKeyDetail (docs/kms-service.md, "List actions"); None matches everything.
struct Filter {
    state: Option<KeyState>,
    search: String,
    external: Option<bool>,
    usage: Option<KeyUsage>,
    tags: Vec<TagFilter>,
}

/// A tag that keys must have.
pub struct TagFilter {
    tag_key: String,
    tag_values: Vec<String>,
}

impl Filter {
    fn from_params(params: &mut Params) -> Result<Self, ApiError> {
        let state = params.integer("KeyState", 0, 0..=KeyState::ALL.len() as u64)? as usize;
        Ok(Self {
            state: state.checked_sub(1).map(|index| KeyState::ALL[index]),
            search: params.text("SearchKeyAlias")?,
            external: origin_filter(&params.text("Origin")?)?,
            usage: usage_filter(&params.text("KeyUsage")?)?,
            tags: TagFilter::list_from_params(params)?,
        })
    }

    fn matches(&self, key: &Cmk) -> bool {
        self.state.is_none_or(|state| key.state == state)
            && (key.alias.contains(&self.search) || key.key_id.contains(&self.search))
            && self.external.is_none_or(|external| key.external == external)
            && self.usage.is_none_or(|usage| key.usage == usage)
            && self.tags.iter().all(|filter| filter.matches(&key.tags))
    }
}

impl TagFilter {
    /// Reads the parameter `TagFilters`.
    pub fn list_from_params(params: &mut Params) -> Result<Vec<Self>, ApiError> {
        params.objects("TagFilters")?.into_iter().map(Self::from_params).collect()
    }

    fn from_params(mut params: Params) -> Result<Self, ApiError> {
        let tag_values = params.strings("TagValue")?.unwrap_or_default();
        let filter = Self { tag_key: params.required("TagKey")?, tag_values };
        params.finish()?;
        Ok(filter)
    }

    /// A filter without values matches the tag's key only.
    pub fn matches(&self, tags: &[Tag]) -> bool {
        let value_fits = |tag: &Tag| self.tag_values.is_empty() || self.tag_values.contains(&tag.tag_value);
        tags.iter().any(|tag| tag.tag_key == self.tag_key && value_fits(tag))
    }
}

pub fn origin_filter(origin: &str) -> Result<Option<bool>, ApiError> {
    match origin {
        "" | "ALL" => Ok(None),
        "TENCENT_KMS" => Ok(Some(false)),
        "EXTERNAL" => Ok(Some(true)),
        other => Err(ApiError::invalid_parameter(format!("The origin `{other}` does not exist."))),
    }
}

/// The empty filter means symmetric keys only (docs/kms-service.md, "List actions").
fn usage_filter(usage: &str) -> Result<Option<KeyUsage>, ApiError> {
    match usage {
        "ALL" => Ok(None),
        "" => Ok(Some(KeyUsage::EncryptDecrypt)),
        name => KeyUsage::from_name(name)
            .map(Some)
            .ok_or_else(|| ApiError::invalid_parameter(format!("The key usage `{name}` does not exist."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_with_the_list() {
        let items = [1, 2, 3, 4, 5];
        let slice = |offset, limit| Page { offset, limit }.slice(&items).to_vec();
        assert_eq!(slice(0, 2), [1, 2]);
        assert_eq!(slice(4, 10), [5]);
        assert!(slice(5, 10).is_empty() && slice(100, 10).is_empty() && slice(0, 0).is_empty());
    }
}
