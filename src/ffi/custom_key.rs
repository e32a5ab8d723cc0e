//! A wrapping key that a program's callbacks implement.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

use super::arguments::{bytes, c_text, handle_mut, optional_text};
use super::callback_error;
use super::extensible::Extensible;
use super::guard::{guard, guard_infallible};
use super::userdata::{Userdata, tckms_destructor};
use crate::error::{Error, Result};
use crate::seal::{CallbackKey, KeyCallbacks, WrappedKey, WrappingKey, branch_claims, check_provider_id};
use crate::status::Status;

/// A wrapped data key: the result of a wrap callback, set with tckms_wrapped_key_set(), or the input
/// of an unwrap callback. It is valid only during the callback, or as long as the tckms_message_info
/// that it is a part of.
pub struct tckms_wrapped_key {
    /// With a NUL after it, for C.
    provider_id: CString,
    provider_info: Vec<u8>,
    blob: Vec<u8>,
    /// Of a branch key; otherwise empty.
    branch_id: CString,
    branch_version: CString,
}

impl tckms_wrapped_key {
    fn empty() -> Self {
        Self::new(CString::default(), &[], &[])
    }

    fn new(provider_id: CString, provider_info: &[u8], blob: &[u8]) -> Self {
        Self {
            provider_id,
            provider_info: provider_info.to_vec(),
            blob: blob.to_vec(),
            branch_id: CString::default(),
            branch_version: CString::default(),
        }
    }

    /// `None` for a provider id with a NUL in it, which no C program can have set.
    fn of(wrapped: &WrappedKey) -> Option<Self> {
        let provider_id = CString::new(wrapped.provider_id.as_str()).ok()?;
        Some(Self::new(provider_id, &wrapped.provider_info, &wrapped.blob))
    }

    /// As a message claims it. A provider id with a NUL in it is "".
    pub(super) fn claimed(wrapped: &WrappedKey) -> Self {
        let provider_id = CString::new(wrapped.provider_id.as_str()).unwrap_or_default();
        let mut claimed = Self::new(provider_id, &wrapped.provider_info, &wrapped.blob);
        if let Some(branch) = branch_claims(wrapped) {
            claimed.branch_id = c_text(branch.branch_id);
            claimed.branch_version = c_text(&branch.version.to_string());
        }
        claimed
    }
}

/// A wrapping key that the program implements with callbacks that wrap and unwrap data keys.
///
/// /// Callbacks return 0 for success or a status of this library, which becomes the status of the
/// call: TCKMS_ERR_SERVICE_UNAVAILABLE for an outage, which counts as retryable,
/// TCKMS_ERR_NO_MATCHING_KEY for a data key that is not theirs. Any other number becomes
/// TCKMS_ERR_CUSTOM_KEY_FAILED. They can set the reason with tckms_callback_set_error_text(). They
/// run on the threads that seal and open, possibly several at once, and must return: do not leave
/// them by longjmp() or a C++ exception. They may call this library, but not seal or open with the
/// same keyring.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tckms_custom_key {
    /// The scheme's name in messages: 1 to 512 ASCII characters that do not begin with "aws-kms".
    /// NULL for a key that seals nothing and is tried for every wrapped data key of a message.
    pub provider_id: *const c_char,
    /// Generates a data key of exactly `data_key_len` bytes and wraps it. NULL: the library
    /// generates it, and `wrap` wraps it.
    pub generate: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            ctx_json: *const c_char,
            data_key: *mut u8,
            data_key_len: usize,
            out: *mut tckms_wrapped_key,
        ) -> c_int,
    >,
    /// Wraps a data key that another key of the keyring generated. NULL: this key seals nothing.
    pub wrap: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            ctx_json: *const c_char,
            data_key: *const u8,
            data_key_len: usize,
            out: *mut tckms_wrapped_key,
        ) -> c_int,
    >,
    /// Unwraps a data key, which must have exactly `data_key_len` bytes. The content of `wrapped` is
    /// not authenticated. NULL: this key opens nothing.
    pub unwrap: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            wrapped: *const tckms_wrapped_key,
            ctx_json: *const c_char,
            data_key: *mut u8,
            data_key_len: usize,
        ) -> c_int,
    >,
    /// Passed to all callbacks unchanged. It must be safe to use from all threads that seal and
    /// open.
    pub userdata: *mut c_void,
    /// Frees `userdata`; see tckms_destructor. NULL if there is nothing to free.
    pub destructor_or_null: tckms_destructor,
}

/// Sets the wrapped data key, within a callback of tckms_custom_key.
///
/// @param out       The callback's `out`.
/// @param info      Identifies the key of the scheme that wrapped it, in the scheme's own form.
///                  Copied.
/// @param info_len  0 to 65535 bytes.
/// @param wrapped   The wrapped data key. Copied.
/// @param len       1 to 65535 bytes.
/// @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_LENGTH.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_wrapped_key_set(
    out: *mut tckms_wrapped_key,
    info: *const c_void,
    info_len: usize,
    wrapped: *const c_void,
    len: usize,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (out, info, blob) =
            unsafe { (handle_mut(out, "out")?, bytes(info, info_len, "info")?, bytes(wrapped, len, "wrapped")?) };
        if info.len() > PART_MAX || blob.is_empty() || blob.len() > PART_MAX {
            let message = format!(
                "the info has {} bytes, 0 to {PART_MAX} are allowed, the wrapped key {}, 1 to {PART_MAX}",
                info.len(),
                blob.len()
            );
            return Err(Error::new(Status::InvalidLength, message));
        }
        (out.provider_info, out.blob) = (info.to_vec(), blob.to_vec());
        Ok(())
    })
}

/// The scheme of a wrapped data key.
///
/// @param wrapped  The argument of an unwrap callback, or a part of a tckms_message_info.
/// @return         The provider id, such as "tencent-kms"; "" for NULL. Borrowed from `wrapped`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_wrapped_key_provider_id(wrapped: *const tckms_wrapped_key) -> *const c_char {
    // SAFETY: "Handles" in the header.
    guard_infallible(c"".as_ptr(), || unsafe { wrapped.as_ref() }.map_or(c"".as_ptr(), |key| key.provider_id.as_ptr()))
}

/// Identifies the key of its scheme that wrapped a data key.
///
/// @param wrapped      The argument of an unwrap callback, or a part of a tckms_message_info.
/// @param len_or_null  The number of bytes.
/// @return             The provider info, in the scheme's own form. Borrowed from `wrapped`. Never
///                     NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_wrapped_key_info(
    wrapped: *const tckms_wrapped_key,
    len_or_null: *mut usize,
) -> *const u8 {
    // SAFETY: "Handles" and "Outputs" in the header.
    guard_infallible(c"".as_ptr().cast(), || unsafe { borrowed(wrapped, len_or_null, |key| &key.provider_info) })
}

/// The bytes of a wrapped data key.
///
/// @param wrapped      The argument of an unwrap callback, or a part of a tckms_message_info, or
///                     NULL, which has 0 bytes.
/// @param len_or_null  The number of bytes.
/// @return             The wrapped data key itself. Borrowed from `wrapped`. Never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_wrapped_key_blob(
    wrapped: *const tckms_wrapped_key,
    len_or_null: *mut usize,
) -> *const u8 {
    // SAFETY: "Handles" and "Outputs" in the header.
    guard_infallible(c"".as_ptr().cast(), || unsafe { borrowed(wrapped, len_or_null, |key| &key.blob) })
}

/// The branch of a data key that a branch key wrapped.
///
/// @param wrapped  A part of a tckms_message_info, or NULL.
/// @return         The branch id; "" for another kind of wrapped key and for NULL. Borrowed from
///                 `wrapped`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_wrapped_key_branch_id(wrapped: *const tckms_wrapped_key) -> *const c_char {
    // SAFETY: "Handles" in the header.
    guard_infallible(c"".as_ptr(), || unsafe { wrapped.as_ref() }.map_or(c"".as_ptr(), |key| key.branch_id.as_ptr()))
}

/// The version of the branch key that wrapped a data key.
///
/// @param wrapped  A part of a tckms_message_info, or NULL.
/// @return         The version, a UUID; "" for another kind of wrapped key and for NULL. Borrowed
///                 from `wrapped`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_wrapped_key_branch_version(wrapped: *const tckms_wrapped_key) -> *const c_char {
    guard_infallible(c"".as_ptr(), || {
        // SAFETY: "Handles" in the header.
        unsafe { wrapped.as_ref() }.map_or(c"".as_ptr(), |key| key.branch_version.as_ptr())
    })
}

/// A part of a wrapped key, and its length.
///
/// # Safety
///
/// `wrapped` is NULL or a live wrapped key, `len_or_null` NULL or a place for a number.
unsafe fn borrowed(
    wrapped: *const tckms_wrapped_key,
    len_or_null: *mut usize,
    part: impl FnOnce(&tckms_wrapped_key) -> &[u8],
) -> *const u8 {
    // SAFETY: the caller's promise.
    unsafe {
        let part = wrapped.as_ref().map_or(&[][..], part);
        if !len_or_null.is_null() {
            len_or_null.write(part.len());
        }
        part.as_ptr()
    }
}

/// The format's limit for each part of a wrapped key.
const PART_MAX: usize = 65_535;

// SAFETY: pointers without padding, of which each may be NULL.
unsafe impl Extensible for tckms_custom_key {
    const NAME: &'static str = "tckms_custom_key";
    const SIZES: &'static [usize] = &[size_of::<Self>()];
}

/// The program's functions and userdata.
struct Callbacks(tckms_custom_key, Userdata);

// SAFETY: tckms_custom_key in the header requires that all threads may use the callbacks and their
// userdata.
unsafe impl Send for Callbacks {}
// SAFETY: as above.
unsafe impl Sync for Callbacks {}

/// A wrapping key of these callbacks.
///
/// # Safety `callbacks` meets the requirements of tckms_custom_key in the header.
pub(super) unsafe fn custom_key(callbacks: tckms_custom_key) -> Result<Arc<dyn WrappingKey>> {
    // SAFETY: NULL or a NUL-terminated string ("Strings and buffers" in the header).
    let provider_id = unsafe { optional_text(callbacks.provider_id, "provider_id")? };
    provider_id.map_or(Ok(()), check_provider_id)?;
    let userdata = Userdata::new(callbacks.userdata, callbacks.destructor_or_null);
    let callbacks = tckms_custom_key { provider_id: ptr::null(), ..callbacks };
    Ok(Arc::new(CallbackKey::new(provider_id, Callbacks(callbacks, userdata))))
}

impl KeyCallbacks for Callbacks {
    fn can_generate(&self) -> bool {
        self.0.generate.is_some()
    }

    fn can_wrap(&self) -> bool {
        self.0.wrap.is_some()
    }

    fn can_unwrap(&self) -> bool {
        self.0.unwrap.is_some()
    }

    fn generate(&self, context_json: &str, data_key: &mut [u8]) -> Result<(Vec<u8>, Vec<u8>)> {
        let generate = self.0.generate.ok_or_else(missing)?;
        let (context, mut out) = (c_context(context_json)?, tckms_wrapped_key::empty());
        // SAFETY: the callback meets the requirements of tckms_custom_key in the header; all memory
        // outlives the call.
        call(|| unsafe {
            generate(self.1.pointer(), context.as_ptr(), data_key.as_mut_ptr(), data_key.len(), &raw mut out)
        })?;
        Ok((out.provider_info, out.blob))
    }

    fn wrap(&self, context_json: &str, data_key: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
        let wrap = self.0.wrap.ok_or_else(missing)?;
        let (context, mut out) = (c_context(context_json)?, tckms_wrapped_key::empty());
        // SAFETY: the callback meets the requirements of tckms_custom_key in the header; all memory
        // outlives the call.
        call(|| unsafe { wrap(self.1.pointer(), context.as_ptr(), data_key.as_ptr(), data_key.len(), &raw mut out) })?;
        Ok((out.provider_info, out.blob))
    }

    fn unwrap(&self, wrapped: &WrappedKey, context_json: &str, data_key: &mut [u8]) -> Result<()> {
        let unwrap = self.0.unwrap.ok_or_else(missing)?;
        let wrapped = tckms_wrapped_key::of(wrapped)
            .ok_or_else(|| Error::new(Status::NoMatchingKey, "a custom key cannot unwrap this"))?;
        let context = c_context(context_json)?;
        // SAFETY: the callback meets the requirements of tckms_custom_key in the header; all memory
        // outlives the call.
        call(|| unsafe {
            unwrap(self.1.pointer(), &raw const wrapped, context.as_ptr(), data_key.as_mut_ptr(), data_key.len())
        })
    }
}

fn call(callback: impl FnOnce() -> c_int) -> Result<()> {
    callback_error::call("a callback of a custom key", Status::CustomKeyFailed, callback)
}

/// Only callbacks that exist are called.
fn missing() -> Error {
    Error::new(Status::Internal, "a callback of a custom key is missing")
}

/// JSON writes a NUL as an escape, so there is none in it.
fn c_context(json: &str) -> Result<CString> {
    CString::new(json).map_err(|_| Error::new(Status::Internal, "canonical JSON has a NUL in it"))
}
