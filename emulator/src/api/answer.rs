//! The result of an action.

use serde_json::Value;

use crate::error::ApiError;

/// The fields of `Response` without its `RequestId`, or the error.
pub type Answer = Result<Value, ApiError>;
