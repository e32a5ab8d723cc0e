//! The last request of the running call of this thread: its id and its CMK.
//!
//! A call may make several requests, deep below the function that was called. Each request is recorded where it is
//! made, and the C boundary reads the record at the end.

use std::cell::RefCell;

/// The last request of a call. Both parts are empty when the call made none.
#[derive(Clone, Default)]
pub(crate) struct LastRequest {
    /// The service's id of the request, if it replied.
    pub request_id: Option<String>,
    /// The CMK that the reply or, without one in it, the call named.
    pub key_id: Option<String>,
    sent: bool,
}

thread_local! {
    static LAST: RefCell<LastRequest> = RefCell::default();
}

/// Records an attempt, and overwrites the record of an earlier one.
pub(crate) fn record(request_id: Option<&str>, key_id: Option<&str>) {
    let last = LastRequest { request_id: request_id.map(str::to_owned), key_id: key_id.map(str::to_owned), sent: true };
    replace(last);
}

/// Adds the CMK that the call named, if a request was made and its reply named none.
pub(crate) fn record_key(key_id: Option<&str>) {
    let _ = LAST.try_with(|last| {
        let mut last = last.borrow_mut();
        if last.sent && last.key_id.is_none() {
            last.key_id = key_id.map(str::to_owned);
        }
    });
}

/// Takes the record and leaves it empty.
pub(crate) fn take() -> LastRequest {
    replace(LastRequest::default())
}

/// Replaces the record and returns the previous one.
pub(crate) fn replace(last: LastRequest) -> LastRequest {
    LAST.try_with(|kept| kept.replace(last)).unwrap_or_default()
}

/// Exchanges the record of this thread for another.
pub(crate) fn swap(last: &mut LastRequest) {
    *last = replace(std::mem::take(last));
}
