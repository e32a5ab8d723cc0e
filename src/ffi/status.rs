//! The meaning of a status, by number: a number from C may not be a member of the enum.

use std::ffi::{c_char, c_int};

use crate::status::{Category, Status};

/// The name of a status, such as "TCKMS_ERR_CMK_DISABLED".
///
/// @param status  Any number.
/// @return        The name, valid until the process ends; "TCKMS_ERR_?" for a number that is not a
///                status of this version.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_status_name(status: c_int) -> *const c_char {
    Status::from_number(status).map_or(c"TCKMS_ERR_?", Status::name).as_ptr()
}

/// One sentence about a status. tckms_error_message() describes one failure in detail.
///
/// @param status  Any number.
/// @return        A text, valid until the process ends.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_status_message(status: c_int) -> *const c_char {
    Status::from_number(status).map_or(c"not a status of this version", Status::message).as_ptr()
}

/// The category of a status.
///
/// @param status  Any number.
/// @return        The category; TCKMS_CATEGORY_UNKNOWN for a number that is not a status of this
///                version.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_status_category(status: c_int) -> Category {
    Status::from_number(status).map_or(Category::Unknown, Status::category)
}

/// Whether a call that ends with this status may succeed later without any change.
/// tckms_error_retryable() says it for one failure, and takes into account what a callback, a chain
/// of providers or the service returned.
///
/// @param status  Any number.
/// @return        1 or 0; 0 for a number that is not a status of this version.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_status_retryable(status: c_int) -> c_int {
    Status::from_number(status).is_some_and(Status::is_retryable).into()
}
