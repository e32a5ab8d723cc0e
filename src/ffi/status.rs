//! What a status means, by number: a number from C need not be one of the enum's.

use std::ffi::{c_char, c_int};

use crate::status::{Category, Status};

/// The name of a status, such as "TCKMS_ERR_CMK_DISABLED".
///
/// @param status  Any number.
/// @return        The name, valid for ever; "TCKMS_ERR_?" for a number that is not a status of this version.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_status_name(status: c_int) -> *const c_char {
    Status::from_number(status).map_or(c"TCKMS_ERR_?", Status::name).as_ptr()
}

/// One sentence about a status. tckms_error_message() tells more about a certain failure.
///
/// @param status  Any number.
/// @return        Text for people, valid for ever.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_status_message(status: c_int) -> *const c_char {
    Status::from_number(status).map_or(c"not a status of this version", Status::message).as_ptr()
}

/// The category of a status: what kind of trouble it is.
///
/// @param status  Any number.
/// @return        The category; TCKMS_CATEGORY_UNKNOWN for a number that is not a status of this version.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_status_category(status: c_int) -> Category {
    Status::from_number(status).map_or(Category::Unknown, Status::category)
}
