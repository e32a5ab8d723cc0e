//! Cloud products that use a CMK: while one does, the key can be neither disabled nor deleted.

use serde_json::json;

use crate::api::answer::Answer;
use crate::api::params::Params;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::keys::cmk::{Binding, KeyState};

/// Longest id of a product or resource, in bytes; the service's own limit is not documented.
const MAX_ID: usize = 128;

/// Binds a resource; it is not an error to bind it twice.
pub fn bind_cloud_resource(emulator: &Emulator, mut params: Params) -> Answer {
    let (key_id, binding) = read(&mut params)?;
    params.finish()?;
    emulator.keys.update(&key_id, |key| {
        key.require_state(&[KeyState::Enabled])?;
        if !key.bindings.contains(&binding) {
            key.bindings.push(binding.clone());
        }
        Ok(())
    })?;
    Ok(json!({}))
}

pub fn unbind_cloud_resource(emulator: &Emulator, mut params: Params) -> Answer {
    let (key_id, binding) = read(&mut params)?;
    params.finish()?;
    emulator.keys.update(&key_id, |key| {
        let Some(index) = key.bindings.iter().position(|bound| *bound == binding) else {
            let message = format!("The CMK `{key_id}` is not bound to this resource.");
            return Err(ApiError::new("ResourceUnavailable.CloudResourceBindingNotFound", message));
        };
        key.bindings.remove(index);
        Ok(())
    })?;
    Ok(json!({}))
}

fn read(params: &mut Params) -> Result<(String, Binding), ApiError> {
    let key_id = params.required("KeyId")?;
    let mut id = |name: &str| {
        let id: String = params.required(name)?;
        if (1..=MAX_ID).contains(&id.len()) {
            return Ok(id);
        }
        Err(ApiError::invalid_parameter(format!("`{name}` does not have 1 to {MAX_ID} bytes.")))
    };
    Ok((key_id, Binding { product_id: id("ProductId")?, resource_id: id("ResourceId")? }))
}
