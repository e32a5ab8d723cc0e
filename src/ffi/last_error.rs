//! Per-thread state of the last call: the error, and the ids of its last request.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_int};

use super::arguments::c_text;
use crate::error::Error;
use crate::last_request;
use crate::sanitize::sanitized;
use crate::status::Status;

/// The detail of a failure. It never changes, and any thread may read or free it.
///
/// All functions that read one accept NULL for "no error". A string that does not apply is empty,
/// never NULL, and is valid as long as the error. No member ever contains a secret, a plaintext or
/// complete credentials.
pub struct tckms_error {
    pub(super) status: Status,
    pub(super) message: CString,
    pub(super) service_code: CString,
    pub(super) request_id: CString,
    pub(super) key_id: CString,
    pub(super) action: CString,
    pub(super) http_status: c_int,
    pub(super) retryable: bool,
    pub(super) retry_after_ms: i64,
    pub(super) attempts: c_int,
    pub(super) os_errno: c_int,
}

thread_local! {
    static LAST_ERROR: RefCell<Option<Box<tckms_error>>> = const { RefCell::new(None) };
    static LAST_REQUEST: RefCell<LastRequest> = const { RefCell::new(LastRequest::EMPTY) };
}

impl tckms_error {
    pub(super) fn new(error: &Error) -> Self {
        Self {
            status: error.status(),
            message: c_text(error.message()),
            service_code: c_text(error.service_code().unwrap_or_default()),
            request_id: c_text(error.request_id().unwrap_or_default()),
            key_id: c_text(error.key_id().unwrap_or_default()),
            action: c_text(error.action().unwrap_or_default()),
            http_status: error.http_status().map_or(0, c_int::from),
            retryable: error.is_retryable(),
            retry_after_ms: error.retry_after().map_or(-1, |wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
            attempts: c_int::try_from(error.attempts()).unwrap_or(c_int::MAX),
            os_errno: error.os_errno().unwrap_or(0),
        }
    }
}

/// The last request of a thread's last call, for C.
pub(super) struct LastRequest {
    request_id: Option<CString>,
    key_id: Option<CString>,
}

impl From<last_request::LastRequest> for LastRequest {
    fn from(made: last_request::LastRequest) -> Self {
        let for_c = |text: Option<String>| text.map(|text| c_text(&sanitized(&text)));
        Self { request_id: for_c(made.request_id), key_id: for_c(made.key_id) }
    }
}

impl LastRequest {
    const EMPTY: Self = Self { request_id: None, key_id: None };

    pub fn request_id(&self) -> &CStr {
        self.request_id.as_deref().unwrap_or_default()
    }

    pub fn key_id(&self) -> &CStr {
        self.key_id.as_deref().unwrap_or_default()
    }
}

/// Keeps the detail of a failure for tckms_last_error().
pub(super) fn store_error(error: &Error) {
    let _ = LAST_ERROR.try_with(|last| last.replace(Some(Box::new(tckms_error::new(error)))));
}

/// Reads the last error, or takes it away.
pub(super) fn with_error<T>(read: impl FnOnce(&mut Option<Box<tckms_error>>) -> T) -> Option<T> {
    LAST_ERROR.try_with(|last| read(&mut last.borrow_mut())).ok()
}

/// Reads the ids of the last request.
pub(super) fn with_request<T>(read: impl FnOnce(&LastRequest) -> T) -> Option<T> {
    LAST_REQUEST.try_with(|last| read(&last.borrow())).ok()
}

/// While it exists, the requests of this thread belong to one call. When it ends,
/// tckms_last_request_id() and tckms_last_key_id() return the ids of the last one.
///
/// Calls nest: a callback may call the library. The outer call continues with its own record.
pub(super) struct RequestScope {
    outer: last_request::LastRequest,
}

impl RequestScope {
    pub fn begin() -> Self {
        let _ = LAST_REQUEST.try_with(|last| last.replace(LastRequest::EMPTY));
        Self { outer: last_request::take() }
    }
}

impl Drop for RequestScope {
    fn drop(&mut self) {
        let made = last_request::replace(std::mem::take(&mut self.outer));
        let _ = LAST_REQUEST.try_with(|kept| kept.replace(made.into()));
    }
}
