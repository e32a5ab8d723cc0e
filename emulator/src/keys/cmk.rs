//! A customer master key: its names, its usage, its state.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::keys::key_usage::KeyUsage;
use crate::keys::material::{Label, Material};
use crate::keys::metadata::with_resource_fields;

/// The state of a CMK (docs/kms-service.md, "Key states").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    Enabled,
    Disabled,
    PendingDelete,
    PendingImport,
    Archived,
}

impl KeyState {
    /// All states in the order of ListKeyDetail's filter, which counts them from 1.
    pub const ALL: [Self; 5] =
        [Self::Enabled, Self::Disabled, Self::PendingDelete, Self::PendingImport, Self::Archived];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDelete => "PendingDelete",
            Self::PendingImport => "PendingImport",
            Self::Archived => "Archived",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// One tag of a CMK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Tag {
    pub tag_key: String,
    pub tag_value: String,
}

/// A resource of a cloud product that uses a CMK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    pub product_id: String,
    pub resource_id: String,
}

/// One version of a CMK's key material. Rotation adds a version; old ones still decrypt.
pub struct Version {
    pub number: u32,
    pub material: Material,
}

/// A customer master key with all its versions, oldest first.
///
/// A key is never changed in place: [`crate::keys::Keys`] returns shared snapshots and replaces them.
#[derive(Clone)]
pub struct Cmk {
    pub key_id: String,
    pub alias: String,
    pub description: String,
    pub usage: KeyUsage,
    pub state: KeyState,
    /// The user imports the material (`Origin` EXTERNAL); KMS does not generate it.
    pub external: bool,
    /// Order of creation, for listings: several keys may share one second.
    pub sequence: i64,
    pub created: i64,
    /// Days between rotations while rotation is on.
    pub rotate_days: Option<u32>,
    /// When the key was last rotated, 0 if never.
    pub rotated: i64,
    /// When imported material expires, 0 if never.
    pub valid_to: i64,
    /// The label of the material imported first: any later one must be the same.
    pub import_label: Option<Label>,
    /// The resources of cloud products that use the key.
    pub bindings: Vec<Binding>,
    /// When a key in state PendingDelete is deleted, else 0.
    pub deletion_date: i64,
    pub tags: Vec<Tag>,
    pub versions: Vec<Arc<Version>>,
}

/// The rotation period in the metadata while rotation is off (docs/kms-service.md, "Key actions").
const DEFAULT_ROTATE_DAYS: u32 = 365;

pub const SECONDS_PER_DAY: i64 = 86_400;

impl Cmk {
    /// Whether the deletion date has passed: the service no longer knows the key.
    pub fn is_gone(&self, now: i64) -> bool {
        self.state == KeyState::PendingDelete && self.deletion_date <= now
    }

    /// Whether imported material has expired and is not deleted yet.
    pub fn has_expired_material(&self, now: i64) -> bool {
        self.valid_to != 0 && self.valid_to <= now && !self.versions.is_empty()
    }

    /// Deletes imported material (docs/kms-service.md, "Key import").
    pub fn delete_material(&mut self) {
        self.versions.clear();
        self.valid_to = 0;
        if self.state != KeyState::PendingDelete {
            self.state = KeyState::PendingImport;
        }
    }

    /// The version that new ciphertexts and signatures use.
    pub fn current(&self) -> Result<&Arc<Version>, ApiError> {
        self.versions.last().ok_or_else(|| self.wrong_state())
    }

    pub fn wrong_state(&self) -> ApiError {
        ApiError::state_not_supported(&self.key_id, self.state.name())
    }

    /// Refuses the operation unless the key is in one of `states`.
    pub fn require_state(&self, states: &[KeyState]) -> Result<(), ApiError> {
        if states.contains(&self.state) { Ok(()) } else { Err(self.wrong_state()) }
    }

    /// Refuses the operation unless the key has one of `usages`.
    pub fn require_usage(&self, usages: &[KeyUsage]) -> Result<(), ApiError> {
        if usages.contains(&self.usage) {
            return Ok(());
        }
        let (key_id, usage) = (&self.key_id, self.usage.name());
        Err(ApiError::invalid_key_usage(format!("The CMK `{key_id}` is for {usage}, not for this operation.")))
    }

    /// Refuses the operation unless the user imports the material.
    pub fn require_external(&self) -> Result<(), ApiError> {
        if self.external {
            return Ok(());
        }
        Err(ApiError::new(
            "UnsupportedOperation.NotExternalCmk",
            format!("The material of the CMK `{}` is made by KMS.", self.key_id),
        ))
    }

    /// Refuses the operation while a cloud product uses the key.
    pub fn require_unbound(&self) -> Result<(), ApiError> {
        match self.bindings.first() {
            None => Ok(()),
            Some(binding) => Err(ApiError::new(
                "FailedOperation.CmkUsedByCloudProduct",
                format!("The CMK `{}` is used by the cloud product `{}`.", self.key_id, binding.product_id),
            )),
        }
    }

    /// Refuses external and asymmetric keys, which do not rotate (docs/kms-service.md, "Key states").
    pub fn require_rotatable(&self) -> Result<(), ApiError> {
        if self.external {
            return Err(ApiError::new(
                "UnsupportedOperation.ExternalCmkCanNotRotate",
                format!("The CMK `{}` has imported material, which cannot rotate.", self.key_id),
            ));
        }
        self.require_rotate_supported()
    }

    /// As [`Self::require_rotatable`], but with the one code that RotateKey has for both kinds of keys.
    pub fn require_rotate_supported(&self) -> Result<(), ApiError> {
        if !self.external && self.usage == KeyUsage::EncryptDecrypt {
            return Ok(());
        }
        Err(ApiError::new(
            "UnsupportedOperation.RotateNotSupported",
            format!("The CMK `{}` cannot rotate: it is not symmetric, or its material is imported.", self.key_id),
        ))
    }

    /// The key as the service describes it (docs/kms-service.md, "Key metadata").
    pub fn metadata(&self, region: &str) -> Value {
        let rotate_days = self.rotate_days.unwrap_or(DEFAULT_ROTATE_DAYS);
        let last_material = if self.rotated > 0 { self.rotated } else { self.created };
        let own = json!({
            "KeyId": self.key_id,
            "Alias": self.alias,
            "CreateTime": self.created,
            "Description": self.description,
            "KeyState": self.state.name(),
            "KeyUsage": self.usage.name(),
            // 2: the FIPS 140-2 kind of region, since the material is AES, RSA and NIST curves.
            "Type": 2,
            "KeyRotationEnabled": self.rotate_days.is_some(),
            "RotateDays": rotate_days,
            "LastRotateTime": self.rotated,
            "NextRotateTime": last_material + i64::from(rotate_days) * SECONDS_PER_DAY,
            "DeletionDate": self.deletion_date,
            "ValidTo": self.valid_to,
        });
        with_resource_fields(own, &self.key_id, self.external, region)
    }
}

/// Checks an alias (docs/kms-service.md, "Key actions"): 1–60 letters, digits, `-`, `_`, the first a letter or digit,
/// and not the reserved prefix `kms-`.
pub fn is_valid_alias(alias: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=60).contains(&alias.len())
        && alias.bytes().all(allowed)
        && alias.as_bytes()[0].is_ascii_alphanumeric()
        && !alias.starts_with("kms-")
}

/// Whether `text` has the shape of a KeyId, existing or not: a UUID.
pub fn looks_like_key_id(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_follow_the_documented_rule() {
        for good in ["a", "9", "A-b_c", &"x".repeat(60), "kms", "kmsx"] {
            assert!(is_valid_alias(good), "{good}");
        }
        for bad in ["", "-a", "_a", "a b", "a.b", "é", "kms-a", &"x".repeat(61)] {
            assert!(!is_valid_alias(bad), "{bad}");
        }
    }

    #[test]
    fn key_ids_are_uuids() {
        assert!(looks_like_key_id("93866e69-9755-11ef-8e65-52540089bc41"));
        for bad in ["", "alias/x", "93866e69975511ef8e6552540089bc41", "{93866e69-9755-11ef-8e65-52540089bc4}"] {
            assert!(!looks_like_key_id(bad), "{bad}");
        }
    }

    #[test]
    fn states_and_usages_are_found_by_their_names() {
        assert!(KeyState::ALL.into_iter().all(|state| KeyState::from_name(state.name()) == Some(state)));
        assert!(KeyUsage::ALL.into_iter().all(|usage| KeyUsage::from_name(usage.name()) == Some(usage)));
    }
}
