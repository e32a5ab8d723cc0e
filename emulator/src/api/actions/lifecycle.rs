//! The lifecycle of a CMK: creation, states, rotation, names.

use std::collections::HashSet;

use serde_json::json;

use crate::api::answer::Answer;
use crate::api::params::Params;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::keys::NewKey;
use crate::keys::cmk::{Cmk, KeyState, SECONDS_PER_DAY, Tag, is_valid_alias};
use crate::keys::key_usage::KeyUsage;
use crate::random;

/// Longest description of a CMK, in bytes (docs/kms-service.md, "Key actions").
const MAX_DESCRIPTION: usize = 1024;

/// Most keys in one EnableKeys, DisableKeys or DescribeKeys call (docs/kms-service.md, "Key actions").
pub const MAX_KEY_IDS: usize = 100;

pub fn create_key(emulator: &Emulator, mut params: Params) -> Answer {
    let new = new_key(&mut params)?;
    params.finish()?;

    let key = emulator.keys.create(new)?;
    Ok(json!({
        "KeyId": key.key_id,
        "Alias": key.alias,
        "CreateTime": key.created,
        "Description": key.description,
        "KeyState": key.state.name(),
        "KeyUsage": key.usage.name(),
        "TagCode": 0,
        "TagMsg": "ok",
        "HsmClusterId": "",
    }))
}

fn new_key(params: &mut Params) -> Result<NewKey, ApiError> {
    let alias = alias(params)?;
    let description = description(params.text("Description")?)?;
    let usage = usage(&params.text("KeyUsage")?)?;
    let external = match params.optional("Type")?.unwrap_or(1) {
        1 => false,
        2 if usage == KeyUsage::EncryptDecrypt => true,
        2 => return Err(ApiError::invalid_key_usage("Only an ENCRYPT_DECRYPT key can have imported material.")),
        other => return Err(ApiError::new("InvalidParameterValue.InvalidType", format!("There is no type {other}."))),
    };
    refuse_cluster(params)?;
    let tags = tags(params)?;
    Ok(NewKey { alias, description, usage, external, tags })
}

pub fn enable_key(emulator: &Emulator, params: Params) -> Answer {
    change_one(emulator, params, enable)
}

pub fn enable_keys(emulator: &Emulator, params: Params) -> Answer {
    change_many(emulator, params, enable)
}

pub fn disable_key(emulator: &Emulator, params: Params) -> Answer {
    change_one(emulator, params, disable)
}

pub fn disable_keys(emulator: &Emulator, params: Params) -> Answer {
    change_many(emulator, params, disable)
}

pub fn archive_key(emulator: &Emulator, params: Params) -> Answer {
    change_one(emulator, params, |key| {
        key.require_unbound()?;
        move_state(key, &[KeyState::Enabled], KeyState::Archived)
    })
}

pub fn cancel_key_archive(emulator: &Emulator, params: Params) -> Answer {
    change_one(emulator, params, |key| move_state(key, &[KeyState::Archived], KeyState::Enabled))
}

pub fn schedule_key_deletion(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let days: u64 = params.required("PendingWindowInDays")?;
    params.not_emulated("MemberAccount")?;
    params.finish()?;
    if !(7..=30).contains(&days) {
        return Err(ApiError::new(
            "InvalidParameter.InvalidPendingWindowInDays",
            format!("`PendingWindowInDays` is {days}, not within 7 to 30."),
        ));
    }

    let deletion_date = emulator.clock.now() + days as i64 * SECONDS_PER_DAY;
    emulator.keys.update(&key_id, |key| schedule(key, deletion_date))?;
    Ok(json!({ "KeyId": key_id, "DeletionDate": deletion_date }))
}

pub fn cancel_key_deletion(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id = key_id(&mut params)?;
    params.finish()?;
    emulator.keys.update(&key_id, cancel_deletion)?;
    Ok(json!({ "KeyId": key_id }))
}

pub fn enable_key_rotation(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id = key_id(&mut params)?;
    let days = params.integer("RotateDays", 365, 7..=365)?;
    params.finish()?;
    emulator.keys.update(&key_id, |key| {
        key.require_rotatable()?;
        key.require_state(&[KeyState::Enabled])?;
        key.rotate_days = Some(days as u32);
        Ok(())
    })?;
    nothing()
}

pub fn disable_key_rotation(emulator: &Emulator, params: Params) -> Answer {
    change_one(emulator, params, |key| {
        key.rotate_days = None;
        Ok(())
    })
}

/// Rotates at once. In the service, rotation takes some time.
pub fn rotate_key(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id = key_id(&mut params)?;
    params.finish()?;
    let now = emulator.clock.now();
    emulator.keys.rotate(&key_id, |key| {
        key.require_rotate_supported()?;
        if key.rotated != 0 && now - key.rotated < SECONDS_PER_DAY {
            let message = format!("The CMK `{}` was rotated less than 24 hours ago.", key.key_id);
            return Err(ApiError::new("RequestLimitExceeded.RotateRateLimited", message));
        }
        Ok(())
    })?;
    Ok(json!({ "TaskId": random::request_id() }))
}

pub fn update_alias(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id = key_id(&mut params)?;
    let alias = alias(&mut params)?;
    params.finish()?;
    refuse_pending_deletion(&*emulator.keys.get(&key_id)?)?;
    emulator.keys.rename(&key_id, &alias)?;
    nothing()
}

pub fn update_key_description(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id = key_id(&mut params)?;
    let description = description(params.required("Description")?)?;
    params.finish()?;
    emulator.keys.update(&key_id, |key| {
        refuse_pending_deletion(key)?;
        key.description.clone_from(&description);
        Ok(())
    })?;
    nothing()
}

/// An action on one key whose reply has only the RequestId.
fn change_one(emulator: &Emulator, mut params: Params, change: impl Fn(&mut Cmk) -> Result<(), ApiError>) -> Answer {
    let key_id = key_id(&mut params)?;
    params.finish()?;
    emulator.keys.update(&key_id, change)?;
    nothing()
}

/// As above, for a list of keys, all or none.
fn change_many(emulator: &Emulator, mut params: Params, change: impl Fn(&mut Cmk) -> Result<(), ApiError>) -> Answer {
    let key_ids = key_ids(&mut params)?;
    params.finish()?;
    emulator.keys.update_all(key_ids.iter().map(String::as_str), change)?;
    nothing()
}

fn nothing() -> Answer {
    Ok(json!({}))
}

fn enable(key: &mut Cmk) -> Result<(), ApiError> {
    move_state(key, &[KeyState::Disabled, KeyState::Enabled], KeyState::Enabled)
}

fn disable(key: &mut Cmk) -> Result<(), ApiError> {
    key.require_unbound()?;
    move_state(key, &[KeyState::Enabled, KeyState::Disabled], KeyState::Disabled)
}

fn move_state(key: &mut Cmk, from: &[KeyState], to: KeyState) -> Result<(), ApiError> {
    key.require_state(from)?;
    key.state = to;
    Ok(())
}

/// Only a disabled key may be scheduled for deletion (docs/kms-service.md, "Key states"). One whose material was
/// never imported cannot be disabled, so it is also allowed.
fn schedule(key: &mut Cmk, deletion_date: i64) -> Result<(), ApiError> {
    key.require_unbound()?;
    match key.state {
        KeyState::Disabled | KeyState::PendingImport => {
            key.state = KeyState::PendingDelete;
            key.deletion_date = deletion_date;
            Ok(())
        }
        KeyState::PendingDelete => Err(key.wrong_state()),
        KeyState::Enabled | KeyState::Archived => Err(ApiError::new(
            "ResourceUnavailable.CmkShouldBeDisabled",
            format!("The CMK `{}` must be disabled before it can be deleted.", key.key_id),
        )),
    }
}

/// Returns the key to the state Disabled, as before (a guess, see docs/kms-service.md, "Key states").
fn cancel_deletion(key: &mut Cmk) -> Result<(), ApiError> {
    if key.state != KeyState::PendingDelete {
        return Err(ApiError::new(
            "ResourceUnavailable.CmkNotPendingDelete",
            format!("The CMK `{}` is not scheduled for deletion.", key.key_id),
        ));
    }
    key.state = if key.versions.is_empty() { KeyState::PendingImport } else { KeyState::Disabled };
    key.deletion_date = 0;
    Ok(())
}

fn refuse_pending_deletion(key: &Cmk) -> Result<(), ApiError> {
    if key.state == KeyState::PendingDelete { Err(key.wrong_state()) } else { Ok(()) }
}

/// The key of an action. MemberAccount, which only organisations have, is refused.
pub fn key_id(params: &mut Params) -> Result<String, ApiError> {
    params.not_emulated("MemberAccount")?;
    params.required("KeyId")
}

/// The keys of an action: 1 to 100, without duplicates.
pub fn key_ids(params: &mut Params) -> Result<Vec<String>, ApiError> {
    params.not_emulated("MemberAccount")?;
    let key_ids = params.required_strings("KeyIds")?;
    if !(1..=MAX_KEY_IDS).contains(&key_ids.len()) {
        let message = format!("`KeyIds` has {} entries, not 1 to {MAX_KEY_IDS}.", key_ids.len());
        return Err(ApiError::invalid_parameter(message));
    }
    if key_ids.iter().collect::<HashSet<_>>().len() < key_ids.len() {
        return Err(ApiError::new("InvalidParameterValue.DuplicatedKeyId", "`KeyIds` names a key more than once."));
    }
    Ok(key_ids)
}

fn alias(params: &mut Params) -> Result<String, ApiError> {
    let alias: String = params.required("Alias")?;
    if is_valid_alias(&alias) {
        return Ok(alias);
    }
    Err(ApiError::new(
        "InvalidParameterValue.InvalidAlias",
        "An alias has 1 to 60 letters, digits, `-` and `_`; it starts with a letter or digit, but not with `kms-`.",
    ))
}

fn description(text: String) -> Result<String, ApiError> {
    if text.len() <= MAX_DESCRIPTION {
        return Ok(text);
    }
    Err(ApiError::invalid_parameter(format!("`Description` is longer than {MAX_DESCRIPTION} bytes.")))
}

fn usage(name: &str) -> Result<KeyUsage, ApiError> {
    match name {
        "" => Ok(KeyUsage::EncryptDecrypt),
        name => KeyUsage::from_name(name)
            .ok_or_else(|| ApiError::invalid_key_usage(format!("The key usage `{name}` does not exist."))),
    }
}

/// The emulator has no exclusive clusters; `default` names the shared one.
pub fn refuse_cluster(params: &mut Params) -> Result<(), ApiError> {
    match params.text("HsmClusterId")?.as_str() {
        "" | "default" => Ok(()),
        other => Err(ApiError::new(
            "InvalidParameterValue.InvalidHsmClusterId",
            format!("The HSM cluster `{other}` does not exist."),
        )),
    }
}

pub fn tags(params: &mut Params) -> Result<Vec<Tag>, ApiError> {
    let tags = params.objects("Tags")?.into_iter().map(tag).collect::<Result<Vec<_>, _>>()?;
    if tags.iter().map(|tag| &tag.tag_key).collect::<HashSet<_>>().len() < tags.len() {
        return Err(ApiError::new("InvalidParameterValue.TagKeysDuplicated", "A tag key is given more than once."));
    }
    Ok(tags)
}

fn tag(mut fields: Params) -> Result<Tag, ApiError> {
    let tag = Tag { tag_key: fields.required("TagKey")?, tag_value: fields.required("TagValue")? };
    fields.finish()?;
    Ok(tag)
}
