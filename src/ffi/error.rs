//! The detail of a failure: borrowed from its thread, or taken and owned by the caller.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use super::guard::guard_infallible;
use super::handle;
use super::last_error::{tckms_error, with_error, with_request};
use crate::status::{Category, Status};

/// Reads a member, or returns `none` for NULL.
///
/// # Safety
///
/// `error` is NULL or an error of this library that is still alive ("Errors" in the header).
unsafe fn read<T>(error: *const tckms_error, none: T, member: impl FnOnce(&tckms_error) -> T) -> T {
    // SAFETY: the caller's promise.
    unsafe { error.as_ref() }.map_or(none, member)
}

/// Reads a string, or returns "" for NULL.
///
/// # Safety
///
/// As for [`read`].
unsafe fn read_text(error: *const tckms_error, member: impl FnOnce(&tckms_error) -> &CStr) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { read(error, c"".as_ptr(), |error| member(error).as_ptr()) }
}

/// The detail of this thread's last call that did not return TCKMS_OK.
///
/// A call that succeeds does not change it, and neither do functions that free an object.
///
/// @return  The error, borrowed: it is valid until this thread's next call of a function of this
///          library that returns a status. NULL when no call on this thread has failed or the error
///          was taken.
///
/// In a runtime that moves work between threads, use tckms_last_error_take() in the same C function
/// that made the call.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_last_error() -> *const tckms_error {
    guard_infallible(ptr::null(), || {
        with_error(|last| last.as_deref().map_or(ptr::null(), ptr::from_ref)).unwrap_or(ptr::null())
    })
}

/// Transfers the detail of this thread's last failed call to the caller.
///
/// @return  The error, owned by the caller, who frees it with tckms_error_free(). NULL when there is
///          none.
///
/// Threads: the result may be read and freed by any thread.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_last_error_take() -> *mut tckms_error {
    guard_infallible(ptr::null_mut(), || handle::publish_box(with_error(Option::take).flatten()))
}

/// Frees an error that tckms_last_error_take() returned.
///
/// @param error  NULL, which is harmless, or an error from tckms_last_error_take(). Never one from
///               tckms_last_error().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_free(error: *mut tckms_error) {
    // SAFETY: "Handles" in the header.
    unsafe { handle::free(error) };
}

/// The status that the failed call returned.
///
/// @param error  The error, or NULL.
/// @return       The status; TCKMS_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_status(error: *const tckms_error) -> Status {
    // SAFETY: "Errors" in the header.
    unsafe { read(error, Status::Ok, |error| error.status) }
}

/// The category of the status that the failed call returned.
///
/// @param error  The error, or NULL.
/// @return       The category; TCKMS_CATEGORY_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_category(error: *const tckms_error) -> Category {
    // SAFETY: "Errors" in the header.
    unsafe { read(error, Category::Ok, |error| error.status.category()) }
}

/// What failed and why, with every cause, in English. Text of the service is in the language of
/// tckms_config_set_language().
///
/// @param error  The error, or NULL.
/// @return       A text, borrowed from the error; "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_message(error: *const tckms_error) -> *const c_char {
    // SAFETY: "Errors" in the header.
    unsafe { read_text(error, |error| &error.message) }
}

/// The error code of the service, such as "ResourceUnavailable.CmkDisabled".
///
/// @param error  The error, or NULL.
/// @return       The code as the service wrote it, borrowed from the error; "" when the service did
///               not reply.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_service_code(error: *const tckms_error) -> *const c_char {
    // SAFETY: "Errors" in the header.
    unsafe { read_text(error, |error| &error.service_code) }
}

/// The service's id of the request, for a support ticket.
///
/// @param error  The error, or NULL.
/// @return       The id, borrowed from the error; "" when the service did not reply.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_request_id(error: *const tckms_error) -> *const c_char {
    // SAFETY: "Errors" in the header.
    unsafe { read_text(error, |error| &error.request_id) }
}

/// The key id that the call named; for TCKMS_ERR_KEY_MISMATCH the one that the reply named. A
/// malformed key id is not included.
///
/// @param error  The error, or NULL.
/// @return       The key id, borrowed from the error; "" when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_key_id(error: *const tckms_error) -> *const c_char {
    // SAFETY: "Errors" in the header.
    unsafe { read_text(error, |error| &error.key_id) }
}

/// The KMS action of the failed call, such as "Encrypt".
///
/// @param error  The error, or NULL.
/// @return       The action, borrowed from the error; "" when the call has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_action(error: *const tckms_error) -> *const c_char {
    // SAFETY: "Errors" in the header.
    unsafe { read_text(error, |error| &error.action) }
}

/// The HTTP status of the last reply. The service answers its own errors with 200.
///
/// @param error  The error, or NULL.
/// @return       100 to 599; 0 when there was no reply.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_http_status(error: *const tckms_error) -> c_int {
    // SAFETY: "Errors" in the header.
    unsafe { read(error, 0, |error| error.http_status) }
}

/// Whether the same call may succeed later without any change: after throttling, an outage or a lost
/// connection.
///
/// @param error  The error, or NULL.
/// @return       1 or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_retryable(error: *const tckms_error) -> c_int {
    // SAFETY: "Errors" in the header.
    unsafe { read(error, 0, |error| error.retryable.into()) }
}

/// The wait before a retry that the service requested.
///
/// @param error  The error, or NULL.
/// @return       Milliseconds; -1 when the service requested none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_retry_after_ms(error: *const tckms_error) -> i64 {
    // SAFETY: "Errors" in the header.
    unsafe { read(error, -1, |error| error.retry_after_ms) }
}

/// The number of attempts to send the request.
///
/// @param error  The error, or NULL.
/// @return       The number; 0 when the arguments were refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_attempts(error: *const tckms_error) -> c_int {
    // SAFETY: "Errors" in the header.
    unsafe { read(error, 0, |error| error.attempts) }
}

/// The operating system's error number, if one is the cause.
///
/// @param error  The error, or NULL.
/// @return       A value of errno.h; 0 when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_os_errno(error: *const tckms_error) -> c_int {
    // SAFETY: "Errors" in the header.
    unsafe { read(error, 0, |error| error.os_errno) }
}

/// The service's id of the last request that this thread's last call made, whether the call
/// succeeded or not.
///
/// Every function that can send a request empties it first, so it is empty after a seal with a data
/// key from the cache.
///
/// @return The id, borrowed until this thread's next call of a function
/// that can send a request; "" when the last such call made no request, or its last request got no
/// reply.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_last_request_id() -> *const c_char {
    guard_infallible(c"".as_ptr(), || with_request(|last| last.request_id().as_ptr()).unwrap_or(c"".as_ptr()))
}

/// The CMK that the last request of this thread's last call was about, whether the call succeeded or
/// not.
///
/// Every function that can send a request empties it first, so it is empty after a seal with a data
/// key from the cache.
///
/// @return  The key id from the reply, or from the call if the reply names none; borrowed until this
///          thread's next call of a function that can send a request. "" when the last such call
///          made no request, or the request concerned no CMK, as for tckms_generate_random().
#[unsafe(no_mangle)]
pub extern "C" fn tckms_last_key_id() -> *const c_char {
    guard_infallible(c"".as_ptr(), || with_request(|last| last.key_id().as_ptr()).unwrap_or(c"".as_ptr()))
}
