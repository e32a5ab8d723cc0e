//! Key material that the user imports (docs/kms-service.md, "Key import").

use aws_lc_rs::encoding::AsDer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::api::answer::Answer;
use crate::api::params::{Params, decode_base64};
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::keys::cmk::KeyState;
use crate::keys::import_token::ImportParameters;
use crate::keys::rsa_decryption::Padding;

/// How long a token is valid, in seconds.
const TOKEN_LIFETIME: i64 = 86_400;

/// The latest expiry of material, in Unix seconds.
const LAST_VALID_TO: u64 = 2_147_443_200;

pub fn get_parameters(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let algorithm: String = params.required("WrappingAlgorithm")?;
    let spec: String = params.required("WrappingKeySpec")?;
    params.finish()?;
    if Padding::from_name(&algorithm).is_none() {
        return Err(ApiError::invalid_parameter(format!("The wrapping algorithm `{algorithm}` does not exist.")));
    }
    if spec != "RSA_2048" {
        return Err(ApiError::invalid_parameter(format!("The wrapping key spec `{spec}` does not exist.")));
    }

    emulator.keys.get(&key_id)?.require_external()?;
    let valid_to = emulator.clock.now() + TOKEN_LIFETIME;
    let (parameters, key) = ImportParameters::generate(key_id.clone(), algorithm, valid_to)?;
    let public_key = key.public_key().as_der().map_err(ApiError::internal)?;
    Ok(json!({
        "KeyId": key_id,
        "ImportToken": emulator.keys.import_tokens.write(&parameters)?,
        "PublicKey": STANDARD.encode(public_key.as_ref()),
        "ParametersValidTo": valid_to,
    }))
}

pub fn import_key_material(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let wrapped: String = params.required("EncryptedKeyMaterial")?;
    let token: String = params.required("ImportToken")?;
    let valid_to = params.integer("ValidTo", 0, 0..=LAST_VALID_TO)? as i64;
    params.finish()?;

    let now = emulator.clock.now();
    if valid_to != 0 && valid_to <= now {
        return Err(ApiError::invalid_parameter("`ValidTo` is in the past."));
    }
    let wrapped = decode_base64(&wrapped, ApiError::invalid_parameter)?;
    let key = emulator.keys.get(&key_id)?;
    key.require_external()?;
    key.require_state(&[KeyState::Enabled, KeyState::PendingImport])?;
    let parameters = import_parameters(emulator, &token, &key_id, now)?;
    let padding = Padding::from_name(&parameters.algorithm).ok_or_else(decrypt_error)?;
    let material = padding.decrypt(&parameters.private_key()?, &wrapped).ok_or_else(decrypt_error)?;
    let material = <[u8; 32]>::try_from(material).map_err(|material| wrong_length(material.len()))?;
    emulator.keys.import(&key_id, material, valid_to)?;
    Ok(json!({}))
}

pub fn delete_imported_key_material(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    params.finish()?;
    emulator.keys.update(&key_id, |key| {
        key.require_external()?;
        key.require_state(&[KeyState::Enabled, KeyState::Disabled, KeyState::Archived])?;
        key.require_unbound()?;
        key.delete_material();
        Ok(())
    })?;
    Ok(json!({}))
}

/// The content of the token, if it is still valid for this key.
fn import_parameters(emulator: &Emulator, token: &str, key_id: &str, now: i64) -> Result<ImportParameters, ApiError> {
    let parameters = emulator.keys.import_tokens.read(token);
    let parameters = parameters.ok_or_else(|| ApiError::invalid_parameter("`ImportToken` is not valid."))?;
    if parameters.key_id != key_id {
        return Err(ApiError::invalid_parameter(format!("`ImportToken` is not for the CMK `{key_id}`.")));
    }
    if parameters.valid_to <= now {
        return Err(ApiError::new("ResourceUnavailable.TokenExpired", "`ImportToken` has expired."));
    }
    Ok(parameters)
}

fn decrypt_error() -> ApiError {
    ApiError::new("InvalidParameter.DecryptMaterialError", "The key material could not be decrypted.")
}

/// A region with SM4 would require 16 bytes; the emulated region has AES-256.
fn wrong_length(length: usize) -> ApiError {
    ApiError::invalid_parameter(format!("The key material has {length} bytes, not 32."))
}
