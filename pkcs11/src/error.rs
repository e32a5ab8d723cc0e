//! The return values of PKCS#11 for the errors of the library.

use cryptoki_sys::*;
use tckms::{Category, Status};

/// A failure is a number other than `CKR_OK`. The details go to the log.
pub type Result<T> = std::result::Result<T, CK_RV>;

/// The return value for a failed call of the service.
pub fn return_value(error: &tckms::Error) -> CK_RV {
    match error.status() {
        // The code of a key that is scheduled for deletion is ResourceUnavailable.
        Status::CmkDisabled
        | Status::CmkArchived
        | Status::CmkStateNotSupported
        | Status::ResourceUnavailable
        | Status::InvalidKeyUsage => CKR_KEY_FUNCTION_NOT_PERMITTED,
        Status::CmkNotFound | Status::InvalidKeyId | Status::MalformedKeyId => CKR_KEY_HANDLE_INVALID,
        Status::DecryptionFailed => CKR_ENCRYPTED_DATA_INVALID,
        Status::OutOfMemory => CKR_HOST_MEMORY,
        Status::Canceled => CKR_FUNCTION_CANCELED,
        Status::SignatureInvalid | Status::SigningFailed | Status::FailedOperation => CKR_DEVICE_ERROR,
        status => match status.category() {
            Category::Credentials => CKR_USER_NOT_LOGGED_IN,
            Category::Identity => CKR_FUNCTION_REJECTED,
            // CKR_DEVICE_REMOVED would make some programs drop the token.
            Category::Transport | Category::Unavailable | Category::Integrity => CKR_DEVICE_ERROR,
            _ => CKR_GENERAL_ERROR,
        },
    }
}

/// Whether the error is a reply of the service about this key, so that another request would fail in the same way.
pub fn is_about_the_key(error: &tckms::Error) -> bool {
    matches!(error.status().category(), Category::Request | Category::Argument | Category::Identity)
        || error.status() == Status::ResponseMalformed
}
