//! From pointers to references, with the checks that C cannot make.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ops::RangeInclusive;
use std::slice;
use std::time::Duration;

use super::audit;
use super::overlap::{check_input, check_output};
use crate::config::TIMEOUT_MAX;
use crate::error::{Error, Result};
use crate::status::Status;

/// The object of a handle.
///
/// # Safety
///
/// `pointer` is NULL or a live handle of this library ("Handles" in the header).
pub(super) unsafe fn handle<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    audit::used(pointer.addr(), false);
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// The object of a handle, for a function that changes it.
///
/// # Safety
///
/// `pointer` is NULL or a live handle that no other thread uses now ("Handles" in the header).
pub(super) unsafe fn handle_mut<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T> {
    audit::used(pointer.addr(), true);
    // SAFETY: the caller's promise.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(name))
}

/// The output for a new handle, set to NULL.
///
/// # Safety
///
/// `pointer` is NULL or points to a pointer that may be written ("Outputs" in the header).
pub(super) unsafe fn handle_out<'a, T>(pointer: *mut *mut T, name: &str) -> Result<&'a mut *mut T> {
    // SAFETY: the caller's promise. The value there may be uninitialised, so it is written before a
    // reference exists.
    unsafe {
        if pointer.is_null() {
            return Err(null(name));
        }
        check_output(pointer, size_of::<*mut T>(), name)?;
        pointer.write(std::ptr::null_mut());
        Ok(&mut *pointer)
    }
}

/// A required string.
///
/// # Safety
///
/// `pointer` is NULL or a NUL-terminated string ("Strings and buffers" in the header).
pub(super) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    unsafe { optional_text(pointer, name)? }.ok_or_else(|| null(name))
}

/// An optional string, which may be NULL.
///
/// # Safety
///
/// As for [`text`].
pub(super) unsafe fn optional_text<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    check_input(pointer, text.count_bytes() + 1, name)?;
    let invalid = |_| Error::new(Status::InvalidUtf8, format!("{name} is not valid UTF-8"));
    text.to_str().map(Some).map_err(invalid)
}

/// Bytes, which may be empty (`{NULL, 0}`).
///
/// # Safety
///
/// `pointer` is NULL or points to `len` readable bytes ("Strings and buffers" in the header).
pub(super) unsafe fn bytes<'a>(pointer: *const c_void, len: usize, name: &str) -> Result<&'a [u8]> {
    check_len(len, name)?;
    check_input(pointer, if pointer.is_null() { 0 } else { len }, name)?;
    match (pointer.is_null(), len) {
        (true, 0) => Ok(&[]),
        (true, _) => Err(Error::new(Status::NullPointer, format!("{name} is NULL although its length is {len}"))),
        // SAFETY: the caller's promise, and the length is one that a Rust slice can have.
        (false, _) => Ok(unsafe { slice::from_raw_parts(pointer.cast(), len) }),
    }
}

/// Optional bytes: `{NULL, 0}` is `None`.
///
/// # Safety
///
/// As for [`bytes`].
pub(super) unsafe fn optional_bytes<'a>(pointer: *const c_void, len: usize, name: &str) -> Result<Option<&'a [u8]>> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(pointer, len, name)? };
    Ok(Some(bytes).filter(|_| !pointer.is_null()))
}

/// An array, which may be empty (`{NULL, 0}`).
///
/// # Safety
///
/// `pointer` is NULL or points to `count` objects.
pub(super) unsafe fn array<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    let len = count.saturating_mul(size_of::<T>());
    check_len(len, name)?;
    check_input(pointer, if pointer.is_null() { 0 } else { len }, name)?;
    match (pointer.is_null(), count) {
        (true, 0) => Ok(&[]),
        (true, _) => Err(Error::new(Status::NullPointer, format!("{name} is NULL although there are {count}"))),
        // SAFETY: the caller's promise, and the length is one that a Rust slice can have.
        (false, _) => Ok(unsafe { slice::from_raw_parts(pointer, count) }),
    }
}

/// Required memory for an output of `len` bytes.
///
/// # Safety
///
/// `pointer` is NULL or points to `len` writable bytes that nothing else uses during the call.
pub(super) unsafe fn out_slice<'a>(pointer: *mut c_void, len: usize, name: &str) -> Result<&'a mut [u8]> {
    check_len(len, name)?;
    if pointer.is_null() {
        return Err(null(name));
    }
    check_output(pointer, len, name)?;
    // SAFETY: the caller's promise, and the length is one that a Rust slice can have.
    Ok(unsafe { slice::from_raw_parts_mut(pointer.cast(), len) })
}

/// No object is larger than this, so a larger length is a mistake such as `(size_t)-1`.
fn check_len(len: usize, name: &str) -> Result<()> {
    if isize::try_from(len).is_ok() {
        return Ok(());
    }
    let message = format!("the length of {name} is {len}, more than any object can have");
    Err(Error::new(Status::InvalidLength, message))
}

/// A number for the safe core, which checks its range; a negative one is refused here.
pub(super) fn non_negative(what: &str, value: impl Into<i64>, allowed: RangeInclusive<u32>) -> Result<u32> {
    let value = value.into();
    u32::try_from(value).map_err(|_| {
        let message = format!("the {what} is {value}, {} to {} are allowed", allowed.start(), allowed.end());
        Error::new(Status::OutOfRange, message)
    })
}

/// A timeout for the safe core, which checks its range.
pub(super) fn timeout(what: &str, value: i64) -> Result<Duration> {
    milliseconds(what, value, TIMEOUT_MAX)
}

/// A time for the safe core, which checks its range; a negative one is refused here.
pub(super) fn milliseconds(what: &str, value: i64, max: Duration) -> Result<Duration> {
    u64::try_from(value).map(Duration::from_millis).map_err(|_| {
        let message = format!("the {what} is {value} ms, 1 to {} are allowed", max.as_millis());
        Error::new(Status::OutOfRange, message)
    })
}

/// A string for C, truncated at a NUL inside.
pub(super) fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|error| {
        let mut beginning = error.into_vec();
        beginning.truncate(text.find('\0').unwrap_or_default());
        CString::new(beginning).unwrap_or_default()
    })
}

pub(super) fn null(name: &str) -> Error {
    Error::new(Status::NullPointer, format!("{name} is NULL"))
}
