//! Hosting a data key: the common part of GenerateDataKey and ImportDataKey.

use crate::api::actions::lifecycle::{refuse_cluster, tags};
use crate::api::params::Params;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::keys::cmk::{Tag, is_valid_alias};
use crate::keys::data_key::{DataKey, DataKeyState};
use crate::random;

/// Longest description of a data key, in bytes.
const MAX_DESCRIPTION: usize = 100;

/// The options of a hosted data key.
pub struct Hosting {
    name: String,
    description: String,
    tags: Vec<Tag>,
}

impl Hosting {
    /// Reads the common parameters of GenerateDataKey and ImportDataKey.
    pub fn from_params(params: &mut Params) -> Result<Self, ApiError> {
        let name = params.required("DataKeyName")?;
        let description = params.text("Description")?;
        refuse_cluster(params)?;
        Ok(Self { name: valid_name(name)?, description: valid_description(description)?, tags: tags(params)? })
    }

    /// Stores a data key, and returns its id.
    pub fn store(self, emulator: &Emulator, material: Material) -> Result<String, ApiError> {
        let data_key_id = random::key_id();
        emulator.data_keys.add(DataKey {
            data_key_id: data_key_id.clone(),
            key_id: material.key_id,
            name: self.name,
            description: self.description,
            state: DataKeyState::Enabled,
            external: material.external,
            number_of_bytes: material.number_of_bytes,
            blob: material.blob,
            context: material.context,
            sequence: 0,
            created: emulator.clock.now(),
            deletion_date: 0,
            tags: self.tags,
        })?;
        Ok(data_key_id)
    }
}

/// A data key under its CMK.
pub struct Material {
    pub key_id: String,
    pub external: bool,
    pub number_of_bytes: usize,
    pub blob: String,
    pub context: String,
}

/// Applies the rule for aliases of CMKs: the service's rule for these names is not documented.
pub fn valid_name(name: String) -> Result<String, ApiError> {
    if is_valid_alias(&name) {
        return Ok(name);
    }
    let message = "A data key name has 1 to 60 letters, digits, `-` and `_`, and starts with a letter or digit.";
    Err(ApiError::new("InvalidParameterValue.InvalidDataKeyName", message))
}

pub fn valid_description(text: String) -> Result<String, ApiError> {
    if text.len() <= MAX_DESCRIPTION {
        return Ok(text);
    }
    Err(ApiError::invalid_parameter(format!("`Description` is longer than {MAX_DESCRIPTION} bytes.")))
}
