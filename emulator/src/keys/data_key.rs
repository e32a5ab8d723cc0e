//! A hosted data key (docs/kms-service.md, "Other actions").

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::keys::cmk::Tag;
use crate::keys::metadata::with_resource_fields;

/// The state of a data key, named and ordered as in the filter of ListDataKeyDetail, which counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataKeyState {
    Enabled,
    Disabled,
    PendingDelete,
}

impl DataKeyState {
    pub const ALL: [Self; 3] = [Self::Enabled, Self::Disabled, Self::PendingDelete];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDelete => "PendingDelete",
        }
    }
}

/// A hosted data key.
#[derive(Clone, Serialize, Deserialize)]
pub struct DataKey {
    pub data_key_id: String,
    /// The CMK that its ciphertext is under.
    pub key_id: String,
    pub name: String,
    pub description: String,
    pub state: DataKeyState,
    /// The material came from the user.
    pub external: bool,
    pub number_of_bytes: usize,
    /// The material under the CMK, and the context that it was encrypted with.
    pub blob: String,
    pub context: String,
    pub sequence: i64,
    pub created: i64,
    /// When a key in state PendingDelete is deleted, else 0.
    pub deletion_date: i64,
    pub tags: Vec<Tag>,
}

impl DataKey {
    /// Whether the deletion date has passed: the service no longer knows the key.
    pub fn is_gone(&self, now: i64) -> bool {
        self.state == DataKeyState::PendingDelete && self.deletion_date <= now
    }

    pub fn wrong_state(&self) -> ApiError {
        self.refusal("DataKeyStateNotSupport", "which does not allow this operation")
    }

    /// Refuses the operation unless the key is in one of `states`.
    pub fn require_state(&self, states: &[DataKeyState]) -> Result<(), ApiError> {
        if states.contains(&self.state) { Ok(()) } else { Err(self.wrong_state()) }
    }

    /// Refuses to return the key unless it is enabled.
    pub fn require_enabled(&self) -> Result<(), ApiError> {
        match self.state {
            DataKeyState::Enabled => Ok(()),
            DataKeyState::Disabled => Err(self.refusal("DataKeyDisabled", "so it is not returned")),
            DataKeyState::PendingDelete => Err(self.refusal("DataKeyPendingDelete", "so it is not returned")),
        }
    }

    /// Refuses a change of the name or description of a key that is about to be deleted.
    pub fn refuse_pending_deletion(&self) -> Result<(), ApiError> {
        match self.state {
            DataKeyState::PendingDelete => Err(self.refusal("DataKeyPendingDelete", "so it does not change")),
            _ => Ok(()),
        }
    }

    fn refusal(&self, code: &str, consequence: &str) -> ApiError {
        let (id, state) = (&self.data_key_id, self.state.name());
        let message = format!("The data key `{id}` is in state {state}, {consequence}.");
        ApiError::new(format!("ResourceUnavailable.{code}"), message)
    }

    /// The key as the service describes it; `key_name` is the alias of its CMK.
    pub fn metadata(&self, key_name: &str, region: &str) -> Value {
        let own = json!({
            "DataKeyId": self.data_key_id,
            "KeyId": self.key_id,
            "KeyName": key_name,
            "DataKeyName": self.name,
            "NumberOfBytes": self.number_of_bytes,
            "CreateTime": self.created,
            "Description": self.description,
            "KeyState": self.state.name(),
            "DeletionDate": self.deletion_date,
        });
        with_resource_fields(own, &self.data_key_id, self.external, region)
    }
}
