//! Encryption under a CMK: Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateRandom.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::api::actions::ciphertext::{
    MAX_BYTES, encryption_key, for_recipient, invalid_plaintext, open, recipient, require_plaintext_length, symmetric,
};
use crate::api::actions::hosting::{Hosting, Material};
use crate::api::actions::lifecycle::tags;
use crate::api::answer::Answer;
use crate::api::params::{Params, decode_base64};
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::keys::blob::Blob;
use crate::keys::key_usage::KeyUsage;
use crate::random;

/// Longest encryption context, in characters (docs/kms-service.md, "Encryption context").
const MAX_CONTEXT: usize = 1024;

pub fn encrypt(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let plaintext: String = params.required("Plaintext")?;
    let context = encryption_context(&mut params, "EncryptionContext")?;
    params.finish()?;

    let plaintext = decode_base64(&plaintext, invalid_plaintext)?;
    require_plaintext_length(&plaintext)?;
    let key = encryption_key(&emulator.keys, &key_id, KeyUsage::EncryptDecrypt)?;
    let blob = Blob::seal(symmetric(key.current()?)?, &emulator.keys.marker, &context, &plaintext);
    Ok(json!({ "KeyId": key.key_id, "CiphertextBlob": blob.to_string() }))
}

pub fn decrypt(emulator: &Emulator, mut params: Params) -> Answer {
    let blob: String = params.required("CiphertextBlob")?;
    let context = encryption_context(&mut params, "EncryptionContext")?;
    let (recipient, algorithm) = recipient(&mut params)?;
    params.finish()?;

    let opened = open(&emulator.keys, &blob, &context, KeyUsage::EncryptDecrypt)?;
    let plaintext = for_recipient(&recipient, &algorithm, opened.plaintext)?;
    Ok(json!({ "KeyId": opened.key.key_id, "Plaintext": STANDARD.encode(plaintext) }))
}

pub fn re_encrypt(emulator: &Emulator, mut params: Params) -> Answer {
    let old: String = params.required("CiphertextBlob")?;
    let destination = params.text("DestinationKeyId")?;
    let source_context = encryption_context(&mut params, "SourceEncryptionContext")?;
    let context = encryption_context(&mut params, "DestinationEncryptionContext")?;
    params.finish()?;

    let opened = open(&emulator.keys, &old, &source_context, KeyUsage::EncryptDecrypt)?;
    let source_id = &opened.key.key_id;
    let destination = if destination.is_empty() { source_id } else { &destination };
    let key = encryption_key(&emulator.keys, destination, KeyUsage::EncryptDecrypt)?;
    let version = key.current()?;

    // With the same key version and the same context, the old ciphertext is returned.
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
    let hosting = hosting(&mut params)?;
    params.finish()?;

    let key = encryption_key(&emulator.keys, &key_id, KeyUsage::EncryptDecrypt)?;
    let data_key = random_bytes(length);
    let blob = Blob::seal(symmetric(key.current()?)?, &emulator.keys.marker, &context, &data_key).to_string();
    let plaintext = for_recipient(&recipient, &algorithm, data_key)?;
    let mut answer = json!({ "KeyId": key_id, "Plaintext": STANDARD.encode(plaintext), "CiphertextBlob": blob });
    if let Some(hosting) = hosting {
        let number_of_bytes = length as usize;
        let data_key_id =
            hosting.store(emulator, Material { key_id, external: false, number_of_bytes, blob, context })?;
        answer["DataKeyId"] = data_key_id.into();
        answer["TagCode"] = 0.into();
        answer["TagMsg"] = "ok".into();
    }
    Ok(answer)
}

/// Reads whether KMS hosts the data key. If not, the related parameters are read and have no effect.
fn hosting(params: &mut Params) -> Result<Option<Hosting>, ApiError> {
    if params.integer("IsHostedByKms", 0, 0..=1)? == 1 {
        return Hosting::from_params(params).map(Some);
    }
    for name in ["DataKeyName", "Description", "HsmClusterId"] {
        params.text(name)?;
    }
    tags(params)?;
    Ok(None)
}

pub fn generate_random(_: &Emulator, mut params: Params) -> Answer {
    let length = params.required_integer("NumberOfBytes", 1..=MAX_BYTES)?;
    params.finish()?;
    Ok(json!({ "Plaintext": STANDARD.encode(random_bytes(length)) }))
}

/// Reads an encryption context and keeps its text unchanged.
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

/// The length of a data key. NumberOfBytes takes precedence over KeySpec; one of them is required
/// (docs/kms-service.md, "Encryption actions").
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

fn random_bytes(length: u64) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    random::fill(&mut bytes);
    bytes
}
