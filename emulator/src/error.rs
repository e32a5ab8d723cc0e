//! Errors of the service.

use std::borrow::Cow;

/// A service error: its documented code (docs/kms-service.md, "KMS error codes" and "Common error codes") and a
/// message.
///
/// Only the codes are documented. The texts are the emulator's own, except where a doc comment names a source.
#[derive(Debug, Clone)]
pub struct ApiError {
    pub code: Cow<'static, str>,
    pub message: String,
}

impl ApiError {
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    pub fn internal(cause: impl std::fmt::Display) -> Self {
        log::error!("internal error: {cause}");
        Self::new("InternalError", "An internal error has occurred. Retry your request.")
    }

    pub fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameter", message)
    }

    pub fn missing_parameter(name: &str) -> Self {
        Self::new("MissingParameter", format!("The request is missing a required parameter `{name}`."))
    }

    pub fn misspelt_parameter(name: &str, given: &str) -> Self {
        let message = format!("The request is missing a required parameter `{name}`; it has `{given}` instead.");
        Self::new("MissingParameter", message)
    }

    pub fn unknown_parameter(name: &str) -> Self {
        Self::new("UnknownParameter", format!("The parameter `{name}` is not recognized."))
    }

    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new("UnsupportedOperation", message)
    }

    pub fn invalid_ciphertext() -> Self {
        Self::new(
            "InvalidParameterValue.InvalidCiphertext",
            "The ciphertext is malformed, was altered, or was made with another encryption context.",
        )
    }

    pub fn invalid_key_id(key_id: &str) -> Self {
        Self::new("InvalidParameterValue.InvalidKeyId", format!("`{key_id}` is not a KeyId."))
    }

    pub fn invalid_key_usage(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValue.InvalidKeyUsage", message)
    }

    pub fn key_not_found(key_id: &str) -> Self {
        Self::new("ResourceUnavailable.CmkNotFound", format!("The CMK `{key_id}` does not exist."))
    }

    pub fn token_failure() -> Self {
        Self::new("AuthFailure.TokenFailure", "The token is wrong, missing or expired.")
    }

    pub fn state_not_supported(key_id: &str, state: &str) -> Self {
        Self::new(
            "ResourceUnavailable.CmkStateNotSupport",
            format!("The CMK `{key_id}` is in state {state}, which does not allow this operation."),
        )
    }
}
