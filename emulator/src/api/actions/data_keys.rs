//! Hosted data keys (docs/kms-service.md, "Other actions").

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::api::actions::ciphertext::{MAX_BYTES, encryption_key, for_recipient, open, recipient, symmetric};
use crate::api::actions::hosting::{Hosting, Material, valid_description, valid_name};
use crate::api::actions::lifecycle::MAX_KEY_IDS;
use crate::api::actions::listing::{ListQuery, TagFilter, origin_filter};
use crate::api::answer::Answer;
use crate::api::params::{Params, decode_base64};
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::keys::blob::Blob;
use crate::keys::cmk::SECONDS_PER_DAY;
use crate::keys::data_key::{DataKey, DataKeyState};
use crate::keys::key_usage::KeyUsage;

pub fn import_data_key(emulator: &Emulator, mut params: Params) -> Answer {
    let material: String = params.required("ImportKeyMaterial")?;
    let kind = params.required_integer("ImportType", 1..=2)?;
    let key_id = params.text("KeyId")?;
    let hosting = Hosting::from_params(&mut params)?;
    params.finish()?;

    let material = match kind {
        1 => imported_ciphertext(emulator, material, &key_id)?,
        _ if key_id.is_empty() => return Err(ApiError::missing_parameter("KeyId")),
        _ => imported_plaintext(emulator, &material, key_id)?,
    };
    let key_id = material.key_id.clone();
    let data_key_id = hosting.store(emulator, material)?;
    Ok(json!({ "KeyId": key_id, "DataKeyId": data_key_id, "TagCode": 0, "TagMsg": "ok" }))
}

/// A data key of GenerateDataKey without an encryption context. The KeyId, if there is one, must be that of its CMK.
fn imported_ciphertext(emulator: &Emulator, blob: String, key_id: &str) -> Result<Material, ApiError> {
    let opened = open(&emulator.keys, &blob, "", KeyUsage::EncryptDecrypt)
        .map_err(|error| invalid_material(format!("The ciphertext was not made by this service: {}", error.message)))?;
    if !key_id.is_empty() && key_id != opened.key.key_id {
        return Err(invalid_material("The ciphertext is under another CMK.".to_owned()));
    }
    Ok(Material {
        key_id: opened.key.key_id.clone(),
        external: true,
        number_of_bytes: opened.plaintext.len(),
        blob,
        context: String::new(),
    })
}

fn imported_plaintext(emulator: &Emulator, material: &str, key_id: String) -> Result<Material, ApiError> {
    let plaintext = decode_base64(material, invalid_material)?;
    if !(1..=MAX_BYTES).contains(&(plaintext.len() as u64)) {
        return Err(invalid_material(format!("The key has {} bytes, not 1 to {MAX_BYTES}.", plaintext.len())));
    }
    let key = encryption_key(&emulator.keys, &key_id, KeyUsage::EncryptDecrypt)?;
    let blob = Blob::seal(symmetric(key.current()?)?, &emulator.keys.marker, "", &plaintext).to_string();
    Ok(Material { key_id, external: true, number_of_bytes: plaintext.len(), blob, context: String::new() })
}

pub fn describe_data_key(emulator: &Emulator, mut params: Params) -> Answer {
    let id = data_key_id(&mut params)?;
    params.finish()?;
    Ok(json!({ "DataKeyMetadata": metadata(emulator, &*emulator.data_keys.get(&id)?) }))
}

pub fn describe_data_keys(emulator: &Emulator, mut params: Params) -> Answer {
    let ids = data_key_ids(&mut params)?;
    params.finish()?;
    let described = ids.iter().map(|id| Ok(metadata(emulator, &*emulator.data_keys.get(id)?)));
    Ok(json!({ "DataKeyMetadatas": described.collect::<Result<Vec<_>, ApiError>>()? }))
}

pub fn list_data_keys(emulator: &Emulator, mut params: Params) -> Answer {
    let query = ListQuery::from_params(&mut params)?;
    params.finish()?;
    query.answer("DataKeys", emulator.data_keys.list(), |key| json!({ "DataKeyId": key.data_key_id }))
}

pub fn list_data_key_detail(emulator: &Emulator, mut params: Params) -> Answer {
    let query = ListQuery::detailed_from_params(&mut params)?;
    let filter = Filter::from_params(&mut params)?;
    params.finish()?;

    let mut keys = emulator.data_keys.list();
    keys.retain(|key| filter.matches(key));
    query.answer("DataKeyMetadatas", keys, |key| metadata(emulator, key))
}

/// The filters of ListDataKeyDetail; None and the empty text match everything.
struct Filter {
    state: Option<DataKeyState>,
    search: String,
    external: Option<bool>,
    key_id: String,
    number_of_bytes: Option<u64>,
    tags: Vec<TagFilter>,
}

impl Filter {
    fn from_params(params: &mut Params) -> Result<Self, ApiError> {
        let state = params.integer("KeyState", 0, 0..=DataKeyState::ALL.len() as u64)? as usize;
        Ok(Self {
            state: state.checked_sub(1).map(|index| DataKeyState::ALL[index]),
            search: params.text("SearchKeyAlias")?,
            external: origin_filter(&params.text("Origin")?)?,
            key_id: params.text("KeyId")?,
            number_of_bytes: params.optional("DataKeyLen")?.filter(|&length: &u64| length != 0),
            tags: TagFilter::list_from_params(params)?,
        })
    }

    fn matches(&self, key: &DataKey) -> bool {
        self.state.is_none_or(|state| key.state == state)
            && (key.name.contains(&self.search) || key.data_key_id.contains(&self.search))
            && self.external.is_none_or(|external| key.external == external)
            && (self.key_id.is_empty() || key.key_id == self.key_id)
            && self.number_of_bytes.is_none_or(|length| key.number_of_bytes as u64 == length)
            && self.tags.iter().all(|filter| filter.matches(&key.tags))
    }
}

pub fn enable_data_key(emulator: &Emulator, params: Params) -> Answer {
    change_one(emulator, params, enable)
}

pub fn enable_data_keys(emulator: &Emulator, params: Params) -> Answer {
    change_many(emulator, params, enable)
}

pub fn disable_data_key(emulator: &Emulator, params: Params) -> Answer {
    change_one(emulator, params, disable)
}

pub fn disable_data_keys(emulator: &Emulator, params: Params) -> Answer {
    change_many(emulator, params, disable)
}

/// Only a disabled key may be scheduled for deletion. That this rule for CMKs also holds for data keys is a guess.
pub fn schedule_data_key_deletion(emulator: &Emulator, mut params: Params) -> Answer {
    let id = data_key_id(&mut params)?;
    let days: u64 = params.required("PendingWindowInDays")?;
    params.finish()?;
    if !(7..=30).contains(&days) {
        let message = format!("`PendingWindowInDays` is {days}, not within 7 to 30.");
        return Err(ApiError::invalid_parameter(message));
    }
    let deletion_date = emulator.clock.now() + days as i64 * SECONDS_PER_DAY;
    emulator.data_keys.update([&*id], |key| {
        key.require_state(&[DataKeyState::Disabled])?;
        key.state = DataKeyState::PendingDelete;
        key.deletion_date = deletion_date;
        Ok(())
    })?;
    Ok(json!({ "DataKeyId": id, "DeletionDate": deletion_date }))
}

pub fn cancel_data_key_deletion(emulator: &Emulator, mut params: Params) -> Answer {
    let id = data_key_id(&mut params)?;
    params.finish()?;
    emulator.data_keys.update([&*id], |key| {
        if key.state != DataKeyState::PendingDelete {
            let message = format!("The data key `{id}` is not scheduled for deletion.");
            return Err(ApiError::new("ResourceUnavailable.DataKeyNotPendingDelete", message));
        }
        key.state = DataKeyState::Disabled;
        key.deletion_date = 0;
        Ok(())
    })?;
    Ok(json!({ "DataKeyId": id }))
}

pub fn update_data_key_name(emulator: &Emulator, mut params: Params) -> Answer {
    let id = data_key_id(&mut params)?;
    let name = valid_name(params.required("DataKeyName")?)?;
    params.finish()?;
    emulator.data_keys.update([&*id], |key| {
        key.refuse_pending_deletion()?;
        emulator.data_keys.require_free_name(&name, &id)?;
        key.name.clone_from(&name);
        Ok(())
    })?;
    Ok(json!({}))
}

pub fn update_data_key_description(emulator: &Emulator, mut params: Params) -> Answer {
    let id = data_key_id(&mut params)?;
    let description = valid_description(params.required("Description")?)?;
    params.finish()?;
    emulator.data_keys.update([&*id], |key| {
        key.refuse_pending_deletion()?;
        key.description.clone_from(&description);
        Ok(())
    })?;
    Ok(json!({}))
}

pub fn get_data_key_plaintext(emulator: &Emulator, mut params: Params) -> Answer {
    let id = data_key_id(&mut params)?;
    let (recipient, algorithm) = recipient(&mut params)?;
    params.finish()?;

    let key = emulator.data_keys.get(&id)?;
    key.require_enabled()?;
    let opened = open(&emulator.keys, &key.blob, &key.context, KeyUsage::EncryptDecrypt)?;
    let plaintext = for_recipient(&recipient, &algorithm, opened.plaintext)?;
    Ok(json!({ "Plaintext": STANDARD.encode(plaintext) }))
}

pub fn get_data_key_ciphertext_blob(emulator: &Emulator, mut params: Params) -> Answer {
    let id = data_key_id(&mut params)?;
    params.finish()?;
    let key = emulator.data_keys.get(&id)?;
    key.require_enabled()?;
    Ok(json!({ "CiphertextBlob": key.blob }))
}

fn change_one(
    emulator: &Emulator,
    mut params: Params,
    change: impl Fn(&mut DataKey) -> Result<(), ApiError>,
) -> Answer {
    let id = data_key_id(&mut params)?;
    params.finish()?;
    emulator.data_keys.update([&*id], change)?;
    Ok(json!({}))
}

fn change_many(
    emulator: &Emulator,
    mut params: Params,
    change: impl Fn(&mut DataKey) -> Result<(), ApiError>,
) -> Answer {
    let ids = data_key_ids(&mut params)?;
    params.finish()?;
    emulator.data_keys.update(ids.iter().map(String::as_str), change)?;
    Ok(json!({}))
}

fn enable(key: &mut DataKey) -> Result<(), ApiError> {
    key.require_state(&[DataKeyState::Disabled, DataKeyState::Enabled])?;
    key.state = DataKeyState::Enabled;
    Ok(())
}

fn disable(key: &mut DataKey) -> Result<(), ApiError> {
    key.require_state(&[DataKeyState::Enabled, DataKeyState::Disabled])?;
    key.state = DataKeyState::Disabled;
    Ok(())
}

/// The key's description, with the name of its CMK if that still exists.
fn metadata(emulator: &Emulator, key: &DataKey) -> Value {
    let key_name = emulator.keys.get(&key.key_id).map(|key| key.alias.clone()).unwrap_or_default();
    key.metadata(&key_name, &emulator.region)
}

fn data_key_id(params: &mut Params) -> Result<String, ApiError> {
    params.not_emulated("MemberAccount")?;
    params.required("DataKeyId")
}

/// The keys of an action: 1 to 100, without duplicates.
fn data_key_ids(params: &mut Params) -> Result<Vec<String>, ApiError> {
    params.not_emulated("MemberAccount")?;
    let ids = params.required_strings("DataKeyIds")?;
    if !(1..=MAX_KEY_IDS).contains(&ids.len()) {
        let message = format!("`DataKeyIds` has {} entries, not 1 to {MAX_KEY_IDS}.", ids.len());
        return Err(ApiError::invalid_parameter(message));
    }
    if ids.iter().collect::<HashSet<_>>().len() < ids.len() {
        let message = "`DataKeyIds` names a key more than once.";
        return Err(ApiError::new("InvalidParameterValue.DuplicatedDataKeyId", message));
    }
    Ok(ids)
}

fn invalid_material(message: String) -> ApiError {
    ApiError::new("InvalidParameterValue.InvalidImportKeyMaterial", message)
}
