//! Shared code of the actions that encrypt under a CMK.

use std::sync::Arc;

use crate::api::params::Params;
use crate::error::ApiError;
use crate::keys::Keys;
use crate::keys::blob::Blob;
use crate::keys::cmk::{Cmk, KeyState, Version};
use crate::keys::key_usage::KeyUsage;
use crate::keys::material::{Material, SymmetricKey};
use crate::keys::public_key;

/// Longest plaintext of Encrypt, before base64 (docs/kms-service.md, "Encryption actions").
const MAX_PLAINTEXT: usize = 4096;

/// Most bytes of a data key and of GenerateRandom (docs/kms-service.md, "Encryption actions").
pub const MAX_BYTES: u64 = 1024;

/// The content of a blob, and the key version and context that it was made with.
pub struct Opened {
    pub key: Arc<Cmk>,
    pub version: Arc<Version>,
    pub plaintext: Vec<u8>,
}

/// Opens a blob with the key it names, if that has this usage.
pub fn open(keys: &Keys, blob: &str, context: &str, usage: KeyUsage) -> Result<Opened, ApiError> {
    let blob = Blob::parse(blob).ok_or_else(ApiError::invalid_ciphertext)?;
    let owner = keys.find_by_label(&blob.label).ok_or_else(ApiError::invalid_ciphertext)?;
    let key = keys.get(&owner.key_id)?;
    if key.usage != usage {
        return Err(ApiError::invalid_ciphertext());
    }
    // An archived key still decrypts (docs/kms-service.md, "Key states").
    if key.state != KeyState::Archived {
        require_enabled(&key)?;
    }
    let version = owner.version.ok_or_else(|| key.wrong_state())?;
    let plaintext = blob.open(symmetric(&version)?, context).ok_or_else(ApiError::invalid_ciphertext)?;
    Ok(Opened { key, version, plaintext })
}

/// A key that has this usage and may encrypt now.
pub fn encryption_key(keys: &Keys, key_id: &str, usage: KeyUsage) -> Result<Arc<Cmk>, ApiError> {
    let key = keys.get(key_id)?;
    key.require_usage(&[usage])?;
    if key.state == KeyState::Archived {
        return Err(ApiError::new(
            "ResourceUnavailable.CmkArchived",
            format!("The CMK `{key_id}` is archived and can only decrypt."),
        ));
    }
    require_enabled(&key)?;
    Ok(key)
}

/// These actions document CmkDisabled and not CmkStateNotSupport (docs/kms-service.md, "Encryption actions"),
/// so a key pending deletion, which was disabled first, counts as disabled.
fn require_enabled(key: &Cmk) -> Result<(), ApiError> {
    match key.state {
        KeyState::Disabled | KeyState::PendingDelete => Err(ApiError::new(
            "ResourceUnavailable.CmkDisabled",
            format!("The CMK `{}` is in state {}.", key.key_id, key.state.name()),
        )),
        _ => key.require_state(&[KeyState::Enabled]),
    }
}

pub fn symmetric(version: &Version) -> Result<&SymmetricKey, ApiError> {
    match &version.material {
        Material::Symmetric(key) => Ok(key),
        _ => Err(ApiError::internal("an ENCRYPT_DECRYPT key without symmetric material")),
    }
}

pub fn invalid_plaintext(message: String) -> ApiError {
    ApiError::new("InvalidParameterValue.InvalidPlaintext", message)
}

pub fn require_plaintext_length(plaintext: &[u8]) -> Result<(), ApiError> {
    match plaintext.len() {
        1..=MAX_PLAINTEXT => Ok(()),
        length => Err(invalid_plaintext(format!("The plaintext has {length} bytes, not 1 to {MAX_PLAINTEXT}."))),
    }
}

/// The caller's public key and algorithm, both empty if the plaintext is to be returned as it is.
pub fn recipient(params: &mut Params) -> Result<(String, String), ApiError> {
    Ok((params.text("EncryptionPublicKey")?, params.text("EncryptionAlgorithm")?))
}

pub fn for_recipient(public_key: &str, algorithm: &str, plaintext: Vec<u8>) -> Result<Vec<u8>, ApiError> {
    if public_key.is_empty() { Ok(plaintext) } else { public_key::encrypt(public_key, algorithm, &plaintext) }
}
