//! Post-quantum keys. Neither the service's algorithms nor the creation of such keys are documented, so only the calls
//! are emulated: encryption is that of symmetric keys, and a signature is a keyed hash with the length of ML-DSA-65.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::api::actions::ciphertext::{
    encryption_key, for_recipient, invalid_plaintext, open, recipient, require_plaintext_length, symmetric,
};
use crate::api::answer::Answer;
use crate::api::params::{Params, decode_base64};
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::keys::blob::Blob;
use crate::keys::cmk::KeyState;
use crate::keys::key_usage::KeyUsage;

/// Longest message, before base64.
const MAX_MESSAGE: usize = 4096;

/// The length of a signature of ML-DSA-65.
const SIGNATURE_LEN: usize = 3309;

/// The encryption context of these blobs, which have none.
const NO_CONTEXT: &str = "";

pub fn encrypt(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let plaintext: String = params.required("PlainText")?;
    params.finish()?;

    let plaintext = decode_base64(&plaintext, invalid_plaintext)?;
    require_plaintext_length(&plaintext)?;
    let key = encryption_key(&emulator.keys, &key_id, KeyUsage::PostQuantumEncrypt)?;
    let blob = Blob::seal(symmetric(key.current()?)?, &emulator.keys.marker, NO_CONTEXT, &plaintext);
    Ok(json!({ "KeyId": key.key_id, "CiphertextBlob": blob.to_string() }))
}

pub fn decrypt(emulator: &Emulator, mut params: Params) -> Answer {
    let blob: String = params.required("CiphertextBlob")?;
    let (recipient, algorithm) = recipient(&mut params)?;
    params.finish()?;

    let opened = open(&emulator.keys, &blob, NO_CONTEXT, KeyUsage::PostQuantumEncrypt)?;
    let plaintext = for_recipient(&recipient, &algorithm, opened.plaintext)?;
    Ok(json!({ "KeyId": opened.key.key_id, "PlainText": STANDARD.encode(plaintext) }))
}

pub fn sign(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let message = message(&mut params)?;
    params.finish()?;
    Ok(json!({ "Signature": STANDARD.encode(signature(emulator, &key_id, &message)?) }))
}

pub fn verify(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let given: String = params.required("SignatureValue")?;
    let message = message(&mut params)?;
    params.finish()?;

    let given = decode_base64(&given, |message| ApiError::new("InvalidParameterValue", message))?;
    let expected = signature(emulator, &key_id, &message)?;
    Ok(json!({ "SignatureValid": verify_slices_are_equal(&expected, &given).is_ok() }))
}

fn message(params: &mut Params) -> Result<Vec<u8>, ApiError> {
    let message = decode_base64(&params.required::<String>("Message")?, ApiError::invalid_parameter)?;
    if message.len() <= MAX_MESSAGE {
        return Ok(message);
    }
    Err(ApiError::invalid_parameter(format!("The message is longer than {MAX_MESSAGE} bytes.")))
}

fn signature(emulator: &Emulator, key_id: &str, message: &[u8]) -> Result<Vec<u8>, ApiError> {
    let key = emulator.keys.get(key_id)?;
    key.require_usage(&[KeyUsage::PostQuantumSign])?;
    key.require_state(&[KeyState::Enabled])?;
    Ok(symmetric(key.current()?)?.keyed_hash(message, SIGNATURE_LEN))
}
