//! The reason that a callback gives for its failure.

use std::cell::RefCell;
use std::ffi::{c_char, c_int};

use super::arguments::text;
use super::guard::guard;
use crate::error::{Error, Result};
use crate::sanitize::sanitized;
use crate::status::Status;

/// The maximum length of the text in an error.
const TEXT_MAX: usize = 512;

thread_local! {
    /// Of the callback that runs on this thread.
    static TEXT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Sets the reason why a callback of tckms_custom_key fails. It becomes a part of the message of the
/// call's error.
///
/// @param text  The reason, in a few words: the first 512 bytes are used. Do not include a secret.
///              Copied.
/// @return      TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_UTF8.
///
/// It applies to the callback that runs on this thread, if that returns a value other than 0.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_callback_set_error_text(text: *const c_char) -> Status {
    guard(|| {
        // SAFETY: "Strings and buffers" in the header.
        let given = unsafe { self::text(text, "text")? };
        TEXT.set(Some(sanitized(&given[..given.floor_char_boundary(TEXT_MAX)]).into_owned()));
        Ok(())
    })
}

/// Runs a callback that returns 0 or a status, and turns any other result than 0 into an error.
/// `name` is its name in the error, `otherwise` the status for a number that is not a status.
pub(super) fn call(name: &str, otherwise: Status, callback: impl FnOnce() -> c_int) -> Result<()> {
    let outer = TEXT.take();
    let number = callback();
    let text = TEXT.replace(outer);
    let (status, reason) = match Status::from_number(number) {
        Some(Status::Ok) => return Ok(()),
        Some(status) => (status, status.message().to_string_lossy().into_owned()),
        None => (otherwise, format!("it returned {number}, which is no status of this library")),
    };
    let message = format!("{name} failed: {}", text.unwrap_or(reason));
    Err(Error::new(status, message))
}
