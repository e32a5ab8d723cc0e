//! Encryption under a CMK: Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateRandom.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::api::answer::Answer;
use crate::api::params::{Params, decode_base64};
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::keys::Keys;
use crate::keys::blob::Blob;
use crate::keys::cmk::{Cmk, KeyState, Version};
use crate::keys::key_usage::KeyUsage;
use crate::keys::material::{Material, SymmetricKey};
use crate::keys::public_key;
use crate::random;

/// Longest plaintext of Encrypt, before base64 (docs/kms-service.md, "Encryption actions").
const MAX_PLAINTEXT: usize = 4096;

/// Longest encryption context, in characters (docs/kms-service.md, "Encryption context").
const MAX_CONTEXT: usize = 1024;

/// Most bytes of a data key and of GenerateRandom (docs/kms-service.md, "Encryption actions").
const MAX_BYTES: u64 = 1024;

pub fn encrypt(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let plaintext: String = params.required("Plaintext")?;
    let context = encryption_context(&mut params, "EncryptionContext")?;
    params.finish()?;

    let plaintext = decode_base64(&plaintext, invalid_plaintext)?;
    require_plaintext_length(&plaintext)?;
    let key = encryption_key(&emulator.keys, &key_id)?;
    let blob = Blob::seal(symmetric(key.current()?)?, &emulator.keys.marker, &context, &plaintext);
    Ok(json!({ "KeyId": key.key_id, "CiphertextBlob": blob.to_string() }))
}

pub fn decrypt(emulator: &Emulator, mut params: Params) -> Answer {
    let blob: String = params.required("CiphertextBlob")?;
    let context = encryption_context(&mut params, "EncryptionContext")?;
    let (recipient, algorithm) = recipient(&mut params)?;
    params.finish()?;

    let opened = open(&emulator.keys, &blob, &context)?;
    let plaintext = for_recipient(&recipient, &algorithm, opened.plaintext)?;
    Ok(json!({ "KeyId": opened.key.key_id, "Plaintext": STANDARD.encode(plaintext) }))
}

pub fn re_encrypt(emulator: &Emulator, mut params: Params) -> Answer {
    let old: String = params.required("CiphertextBlob")?;
    let destination = params.text("DestinationKeyId")?;
    let source_context = encryption_context(&mut params, "SourceEncryptionContext")?;
    let context = encryption_context(&mut params, "DestinationEncryptionContext")?;
    params.finish()?;

    let opened = open(&emulator.keys, &old, &source_context)?;
    let source_id = &opened.key.key_id;
    let key = encryption_key(&emulator.keys, if destination.is_empty() { source_id } else { &destination })?;
    let version = key.current()?;

    // The same key, not rotated since, and the same context: the old ciphertext is as good as a new one.
    let unchanged = key.key_id == *source_id && version.number == opened.version.number && context == source_context;
    let blob = if unchanged {
        old
    } else {
        Blob::seal(symmetric(version)?, &emulator.keys.marker, &context, &opened.plaintext).to_string()
    };
    Ok(json!({
        "KeyId": key.key_id,
        "SourceKeyId": source_id,
        "CiphertextBlob": blob,
        "ReEncrypted": !unchanged,
    }))
}

pub fn generate_data_key(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let length = data_key_length(&mut params)?;
    let context = encryption_context(&mut params, "EncryptionContext")?;
    let (recipient, algorithm) = recipient(&mut params)?;
    refuse_hosting(&mut params)?;
    params.finish()?;

    let key = encryption_key(&emulator.keys, &key_id)?;
    let data_key = random_bytes(length);
    let blob = Blob::seal(symmetric(key.current()?)?, &emulator.keys.marker, &context, &data_key);
    let plaintext = for_recipient(&recipient, &algorithm, data_key)?;
    Ok(json!({
        "KeyId": key.key_id,
        "Plaintext": STANDARD.encode(plaintext),
        "CiphertextBlob": blob.to_string(),
    }))
}

pub fn generate_random(_: &Emulator, mut params: Params) -> Answer {
    let length = params.required_integer("NumberOfBytes", 1..=MAX_BYTES)?;
    params.finish()?;
    Ok(json!({ "Plaintext": STANDARD.encode(random_bytes(length)) }))
}

struct Opened {
    key: Arc<Cmk>,
    version: Arc<Version>,
    plaintext: Vec<u8>,
}

/// Opens a blob with the key it names.
fn open(keys: &Keys, blob: &str, context: &str) -> Result<Opened, ApiError> {
    let blob = Blob::parse(blob).ok_or_else(ApiError::invalid_ciphertext)?;
    let (key_id, version) = keys.find_by_label(&blob.label).ok_or_else(ApiError::invalid_ciphertext)?;
    let key = keys.get(&key_id)?;
    // An archived key still decrypts (docs/kms-service.md, "Key states").
    if key.state != KeyState::Archived {
        require_enabled(&key)?;
    }
    let plaintext = blob.open(symmetric(&version)?, context).ok_or_else(ApiError::invalid_ciphertext)?;
    Ok(Opened { key, version, plaintext })
}

/// A key that may encrypt now.
fn encryption_key(keys: &Keys, key_id: &str) -> Result<Arc<Cmk>, ApiError> {
    let key = keys.get(key_id)?;
    key.require_usage(&[KeyUsage::EncryptDecrypt])?;
    if key.state == KeyState::Archived {
        return Err(ApiError::new(
            "ResourceUnavailable.CmkArchived",
            format!("The CMK `{key_id}` is archived and can only decrypt."),
        ));
    }
    require_enabled(&key)?;
    Ok(key)
}

/// These actions document CmkDisabled and not CmkStateNotSupport (docs/kms-service.md, "Encryption actions"), so a key on its way to deletion,
/// which was disabled first, counts as disabled.
fn require_enabled(key: &Cmk) -> Result<(), ApiError> {
    match key.state {
        KeyState::Disabled | KeyState::PendingDelete => Err(ApiError::new(
            "ResourceUnavailable.CmkDisabled",
            format!("The CMK `{}` is in state {}.", key.key_id, key.state.name()),
        )),
        _ => key.require_state(&[KeyState::Enabled]),
    }
}

fn symmetric(version: &Version) -> Result<&SymmetricKey, ApiError> {
    match &version.material {
        Material::Symmetric(key) => Ok(key),
        _ => Err(ApiError::internal("an ENCRYPT_DECRYPT key without symmetric material")),
    }
}

/// Reads an encryption context and keeps it as the text it was sent as.
fn encryption_context(params: &mut Params, name: &str) -> Result<String, ApiError> {
    let context = params.text(name)?;
    if context.chars().count() > MAX_CONTEXT {
        return Err(ApiError::invalid_parameter(format!("`{name}` is longer than {MAX_CONTEXT} characters.")));
    }
    if !context.is_empty() && serde_json::from_str::<HashMap<String, String>>(&context).is_err() {
        return Err(ApiError::invalid_parameter(format!("`{name}` is not a JSON object of strings.")));
    }
    Ok(context)
}

fn invalid_plaintext(message: String) -> ApiError {
    ApiError::new("InvalidParameterValue.InvalidPlaintext", message)
}

fn require_plaintext_length(plaintext: &[u8]) -> Result<(), ApiError> {
    match plaintext.len() {
        1..=MAX_PLAINTEXT => Ok(()),
        length => Err(invalid_plaintext(format!("The plaintext has {length} bytes, not 1 to {MAX_PLAINTEXT}."))),
    }
}

/// The length of a data key: NumberOfBytes wins over KeySpec, one of them must be given (docs/kms-service.md, "Encryption actions").
fn data_key_length(params: &mut Params) -> Result<u64, ApiError> {
    let spec_length = match params.text("KeySpec")?.as_str() {
        "" => None,
        "AES_128" => Some(16),
        "AES_256" => Some(32),
        other => return Err(ApiError::invalid_parameter(format!("The key spec `{other}` does not exist."))),
    };
    match spec_length {
        Some(length) => params.integer("NumberOfBytes", length, 1..=MAX_BYTES),
        None => params.required_integer("NumberOfBytes", 1..=MAX_BYTES),
    }
}

/// Data keys hosted by KMS are not emulated; the parameters that go with them are read and have no effect.
fn refuse_hosting(params: &mut Params) -> Result<(), ApiError> {
    if params.integer("IsHostedByKms", 0, 0..=1)? == 1 {
        return Err(ApiError::unsupported("The emulator does not host data keys (`IsHostedByKms`)."));
    }
    params.text("DataKeyName")?;
    params.text("Description")?;
    params.text("HsmClusterId")?;
    params.not_emulated("Tags")
}

/// The caller's public key and algorithm, both empty if the plaintext is to be returned as it is.
fn recipient(params: &mut Params) -> Result<(String, String), ApiError> {
    Ok((params.text("EncryptionPublicKey")?, params.text("EncryptionAlgorithm")?))
}

fn for_recipient(public_key: &str, algorithm: &str, plaintext: Vec<u8>) -> Result<Vec<u8>, ApiError> {
    if public_key.is_empty() { Ok(plaintext) } else { public_key::encrypt(public_key, algorithm, &plaintext) }
}

fn random_bytes(length: u64) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    random::fill(&mut bytes);
    bytes
}
