//! White-box keys, a product that is bought separately. The emulated account has not bought it.

use serde_json::json;

use crate::api::answer::Answer;
use crate::api::params::Params;
use crate::emulator::Emulator;
use crate::error::ApiError;

/// The reply to any other action of the product.
pub fn not_purchased(_: &Emulator, _: Params) -> Answer {
    Err(ApiError::new("ResourceUnavailable.NotPurchased", "White-box keys have not been purchased."))
}

/// Returns the status of the product.
pub fn describe_service_status(_: &Emulator, params: Params) -> Answer {
    params.finish()?;
    Ok(json!({ "ServiceEnabled": false }))
}
