//! The detail of a failure, borrowed from its thread or owned by who takes it.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;

use super::guard::{guard_infallible, with_last_error, with_last_success};
use crate::error::Error;
use crate::status::Status;

/// Everything known about a failure. It never changes, and any thread may read or free it.
///
/// All functions that read one take NULL for "no error". A string that does not apply is empty, never NULL, and lives
/// as long as the error. No member ever holds a secret, a plaintext or a whole credential.
pub struct tckms_error {
    status: Status,
    message: CString,
    service_code: CString,
    request_id: CString,
    key_id: CString,
    action: CString,
    http_status: c_int,
    retryable: bool,
    retry_after_ms: i64,
    attempts: c_int,
    os_errno: c_int,
}

impl tckms_error {
    pub(super) fn new(error: &Error) -> Self {
        Self {
            status: error.status(),
            message: to_c(Some(error.message())),
            service_code: to_c(error.service_code()),
            request_id: to_c(error.request_id()),
            key_id: to_c(error.key_id()),
            action: to_c(error.action()),
            http_status: error.http_status().map_or(0, c_int::from),
            retryable: error.is_retryable(),
            retry_after_ms: error.retry_after().map_or(-1, |wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
            attempts: c_int::try_from(error.attempts()).unwrap_or(c_int::MAX),
            os_errno: error.os_errno().unwrap_or(0),
        }
    }
}

fn to_c(text: Option<&str>) -> CString {
    // A NUL inside the text of the other side ends it there.
    let text = text.unwrap_or_default().split('\0').next().unwrap_or_default();
    CString::new(text).unwrap_or_default()
}

/// Reads a member, or says `none` for NULL.
///
/// # Safety
///
/// `error` is NULL or an error of this library that is still alive ("Errors" in the header).
unsafe fn read<T>(error: *const tckms_error, none: T, member: impl FnOnce(&tckms_error) -> T) -> T {
    // SAFETY: the caller's promise.
    unsafe { error.as_ref() }.map_or(none, member)
}

/// Reads a string, or says "" for NULL.
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
/// A call that succeeds leaves it as it is, and so do the functions that free something.
///
/// @return  The error, borrowed: it lives until this thread's next call of a function of this library that returns a
///          status. NULL when no call on this thread has failed or the error was taken.
///
/// Threads: each thread has its own. In a runtime that moves work between threads use tckms_last_error_take() in the same C
/// function that made the call.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_last_error() -> *const tckms_error {
    guard_infallible(ptr::null(), || {
        with_last_error(|last| last.as_deref().map_or(ptr::null(), ptr::from_ref)).unwrap_or(ptr::null())
    })
}

/// Takes the detail of this thread's last failed call away from the thread.
///
/// @return  The error, owned by the caller, who frees it with tckms_error_free(). NULL when there is none.
///
/// Threads: the result may be read and freed by any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_last_error_take() -> *mut tckms_error {
    guard_infallible(ptr::null_mut(), || with_last_error(Option::take).flatten().map_or(ptr::null_mut(), Box::into_raw))
}

/// Frees an error that tckms_last_error_take() returned.
///
/// @param error  NULL, which is harmless, or an error from tckms_last_error_take(). Never one from tckms_last_error().
///
/// Threads: from any thread, while no other uses the error.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_free(error: *mut tckms_error) {
    guard_infallible((), || {
        if !error.is_null() {
            // SAFETY: it came from `Box::into_raw` in tckms_last_error_take and is freed once ("Handles" in the header).
            drop(unsafe { Box::from_raw(error) });
        }
    });
}

/// The status that the failed call returned.
///
/// @param error  The error, or NULL.
/// @return       The status; TCKMS_OK for NULL.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_status(error: *const tckms_error) -> Status {
    // SAFETY: "Errors" in the header.
    unsafe { read(error, Status::Ok, |error| error.status) }
}

/// What went wrong and why, with every cause, in English. The service's own words are in the language of
/// tckms_config_set_language().
///
/// @param error  The error, or NULL.
/// @return       Text for people, borrowed from the error; "" for NULL.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_message(error: *const tckms_error) -> *const c_char {
    // SAFETY: "Errors" in the header.
    unsafe { read_text(error, |error| &error.message) }
}

/// The error code of the service, such as "ResourceUnavailable.CmkDisabled".
///
/// @param error  The error, or NULL.
/// @return       The code as the service wrote it, borrowed from the error; "" when the service did not answer.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_service_code(error: *const tckms_error) -> *const c_char {
    // SAFETY: "Errors" in the header.
    unsafe { read_text(error, |error| &error.service_code) }
}

/// The id that the service gave the request, to quote in a support ticket.
///
/// @param error  The error, or NULL.
/// @return       The id, borrowed from the error; "" when the service did not answer.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_request_id(error: *const tckms_error) -> *const c_char {
    // SAFETY: "Errors" in the header.
    unsafe { read_text(error, |error| &error.request_id) }
}

/// The key id that the call named; for TCKMS_ERR_KEY_MISMATCH the one that the reply named. One that is malformed
/// itself is not repeated.
///
/// @param error  The error, or NULL.
/// @return       The key id, borrowed from the error; "" when there is none.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_key_id(error: *const tckms_error) -> *const c_char {
    // SAFETY: "Errors" in the header.
    unsafe { read_text(error, |error| &error.key_id) }
}

/// The KMS action of the failed call, such as "Encrypt".
///
/// @param error  The error, or NULL.
/// @return       The action, borrowed from the error; "" when the call has none.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_action(error: *const tckms_error) -> *const c_char {
    // SAFETY: "Errors" in the header.
    unsafe { read_text(error, |error| &error.action) }
}

/// The HTTP status of the last reply. The service answers its own errors with 200.
///
/// @param error  The error, or NULL.
/// @return       100 to 599; 0 when there was no reply.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_http_status(error: *const tckms_error) -> c_int {
    // SAFETY: "Errors" in the header.
    unsafe { read(error, 0, |error| error.http_status) }
}

/// Whether the same call may succeed later without any change: after throttling, an outage or a lost connection.
///
/// @param error  The error, or NULL.
/// @return       1 or 0.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_retryable(error: *const tckms_error) -> c_int {
    // SAFETY: "Errors" in the header.
    unsafe { read(error, 0, |error| error.retryable.into()) }
}

/// How long the service asked to wait before the next try.
///
/// @param error  The error, or NULL.
/// @return       Milliseconds; -1 when the service did not say.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_retry_after_ms(error: *const tckms_error) -> i64 {
    // SAFETY: "Errors" in the header.
    unsafe { read(error, -1, |error| error.retry_after_ms) }
}

/// How often the request was sent or tried to be sent.
///
/// @param error  The error, or NULL.
/// @return       The number; 0 when the arguments were refused before.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_attempts(error: *const tckms_error) -> c_int {
    // SAFETY: "Errors" in the header.
    unsafe { read(error, 0, |error| error.attempts) }
}

/// The operating system's error number, where one is the cause.
///
/// @param error  The error, or NULL.
/// @return       A value of errno.h; 0 when there is none.
///
/// Threads: from any thread.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_error_os_errno(error: *const tckms_error) -> c_int {
    // SAFETY: "Errors" in the header.
    unsafe { read(error, 0, |error| error.os_errno) }
}

/// The service's id of the request of this thread's last successful call.
///
/// @return  The id, borrowed until this thread's next call that succeeds; "" when there was none or it had no id.
///
/// Threads: each thread has its own.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_last_request_id() -> *const c_char {
    guard_infallible(c"".as_ptr(), || {
        with_last_success(|last| last.request_id.as_deref().unwrap_or(c"").as_ptr()).unwrap_or(c"".as_ptr())
    })
}

/// The CMK that this thread's last successful call was about, as the service named it.
///
/// @return  The key id, borrowed until this thread's next call that succeeds; "" when there was none or it was about no
///          CMK, as for tckms_generate_random().
///
/// Threads: each thread has its own.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_last_key_id() -> *const c_char {
    guard_infallible(c"".as_ptr(), || {
        with_last_success(|last| last.key_id.as_deref().unwrap_or(c"").as_ptr()).unwrap_or(c"".as_ptr())
    })
}
