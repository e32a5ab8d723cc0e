//! A wrapping key whose work a program's callbacks do.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::arguments::{bytes, handle_mut};
use super::credentials::tckms_destructor;
use super::extensible::Extensible;
use super::guard::guard;
use crate::error::{Error, Result};
use crate::seal::{KeyRequest, WrappedKey, WrappingKey};
use crate::secret::Secret;
use crate::status::Status;
use crate::sys::random;

/// Where a callback puts the wrapped data key, with tckms_wrapped_key_set().
pub struct tckms_wrapped_key {
    provider_info: Vec<u8>,
    blob: Vec<u8>,
}

/// A wrapping key of the program's own: callbacks that wrap and unwrap data keys.
///
/// Callbacks return 0 for success or a status of this library, which the caller then gets: TCKMS_ERR_SERVICE_UNAVAILABLE
/// for an outage, which counts as retryable, TCKMS_ERR_NO_MATCHING_KEY for a data key that is not theirs. Any other
/// number becomes TCKMS_ERR_CUSTOM_KEY_FAILED. They run on the threads that seal and open, possibly several at once,
/// and must return: no longjmp() and no C++ exception may leave them. They may call this library, but not seal or open
/// with the same keyring.
///
/// Later versions may add members at the end; the size argument of tckms_keyring_add_custom() tells which ones a
/// program knows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tckms_custom_key {
    /// The scheme's name in messages: 1 to 512 ASCII characters that do not begin with "aws-kms". NULL for a key that
    /// seals nothing and is asked about every wrapped data key of a message.
    pub provider_id: *const c_char,
    /// Makes a data key of exactly `data_key_len` bytes and wraps it. NULL: the library makes it, and `wrap` wraps it.
    pub generate: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            ctx_json: *const c_char,
            data_key: *mut u8,
            data_key_len: usize,
            out: *mut tckms_wrapped_key,
        ) -> c_int,
    >,
    /// Wraps a data key that another key of the keyring made. NULL: this key seals nothing.
    pub wrap: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            ctx_json: *const c_char,
            data_key: *const u8,
            data_key_len: usize,
            out: *mut tckms_wrapped_key,
        ) -> c_int,
    >,
    /// Unwraps a data key, which has to have exactly `data_key_len` bytes. What it is given was not authenticated by
    /// anybody. NULL: this key opens nothing.
    pub unwrap: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            provider_id: *const c_char,
            provider_info: *const u8,
            provider_info_len: usize,
            wrapped: *const u8,
            wrapped_len: usize,
            ctx_json: *const c_char,
            data_key: *mut u8,
            data_key_len: usize,
        ) -> c_int,
    >,
    /// Handed to all callbacks as it is. It must be safe to use from all threads that seal and open.
    pub userdata: *mut c_void,
    /// Frees `userdata`: called once, when the last keyring and stream that have this key are freed. NULL for nothing.
    pub destructor_or_null: tckms_destructor,
}

/// Sets the wrapped data key, within a callback of tckms_custom_key.
///
/// @param out       What the callback was given.
/// @param info      Which key of the scheme wrapped it, in a form of its own. Copied.
/// @param info_len  0 to 65535 bytes.
/// @param wrapped   The wrapped data key. Copied.
/// @param len       1 to 65535 bytes.
/// @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_LENGTH.
///
/// Threads: from the callback's thread.
/// Since 0.1.0.
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

/// The format's limit for each part of a wrapped key.
const PART_MAX: usize = 65_535;
/// As for the names of RSA keys.
const NAME_MAX: usize = 512;

// SAFETY: pointers without padding, of which each may be NULL.
unsafe impl Extensible for tckms_custom_key {
    const NAME: &'static str = "tckms_custom_key";
    const SIZES: &'static [usize] = &[size_of::<Self>()];
}

/// The callbacks as the keyring holds them.
pub(super) struct CustomKey {
    callbacks: tckms_custom_key,
    provider_id: Option<String>,
    /// Two keys are never the same, whatever their callbacks do.
    number: u64,
}

// SAFETY: tckms_custom_key in the header demands of the program that the callbacks and their userdata may be used by
// all threads.
unsafe impl Send for CustomKey {}
// SAFETY: as above.
unsafe impl Sync for CustomKey {}

impl CustomKey {
    /// # Safety
    ///
    /// `callbacks` keeps what tckms_custom_key in the header demands.
    pub unsafe fn new(callbacks: tckms_custom_key) -> Result<Self> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        // SAFETY: NULL or a NUL-terminated string ("Strings and buffers" in the header).
        let provider_id = unsafe { super::arguments::optional_text(callbacks.provider_id, "provider_id")? };
        if let Some(id) = provider_id
            && (id.is_empty() || id.len() > NAME_MAX || !id.is_ascii() || id.starts_with("aws-kms"))
        {
            let message = format!("a provider id is 1 to {NAME_MAX} ASCII characters that do not begin with aws-kms");
            return Err(Error::new(Status::InvalidKeyName, message));
        }
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let provider_id = provider_id.map(str::to_owned);
        Ok(Self { callbacks: tckms_custom_key { provider_id: ptr::null(), ..callbacks }, provider_id, number })
    }

    /// Calls back for a wrapped key.
    fn wrapped(&self, call: impl FnOnce(*mut tckms_wrapped_key) -> c_int) -> Result<WrappedKey> {
        let mut out = tckms_wrapped_key { provider_info: Vec::new(), blob: Vec::new() };
        check_result(call(&raw mut out))?;
        let provider_id = self.provider_id.clone().filter(|_| !out.blob.is_empty());
        let provider_id = provider_id
            .ok_or_else(|| Error::new(Status::CustomKeyFailed, "a callback of a custom key set no wrapped data key"))?;
        Ok(WrappedKey { provider_id, provider_info: out.provider_info, blob: out.blob })
    }
}

impl Drop for CustomKey {
    fn drop(&mut self) {
        if let Some(destructor) = self.callbacks.destructor_or_null {
            // SAFETY: the program's own pair, called once (tckms_custom_key in the header).
            unsafe { destructor(self.callbacks.userdata) };
        }
    }
}

impl WrappingKey for CustomKey {
    fn identity(&self) -> Vec<u8> {
        format!("custom/{}", self.number).into_bytes()
    }

    fn can_wrap(&self) -> bool {
        self.provider_id.is_some() && self.callbacks.wrap.is_some()
    }

    fn generate(&self, request: &KeyRequest<'_>) -> Result<(Secret, WrappedKey)> {
        let mut data_key = Secret::zeroed(request.data_key_len)?;
        let Some(generate) = self.callbacks.generate else {
            random::fill(data_key.expose_mut())?;
            let wrapped = self.wrap(request, &data_key)?;
            return Ok((data_key, wrapped));
        };
        let context = context_of(request)?;
        let (room, len) = (data_key.expose_mut().as_mut_ptr(), request.data_key_len);
        // SAFETY: the callback keeps to tckms_custom_key in the header; all memory outlives the call.
        let wrapped =
            self.wrapped(|out| unsafe { generate(self.callbacks.userdata, context.as_ptr(), room, len, out) })?;
        Ok((filled(data_key)?, wrapped))
    }

    fn wrap(&self, request: &KeyRequest<'_>, data_key: &Secret) -> Result<WrappedKey> {
        let Some(wrap) = self.callbacks.wrap else {
            return Err(Error::new(Status::NoUsableKey, "a custom key wraps nothing"));
        };
        let context = context_of(request)?;
        let data_key = data_key.expose();
        // SAFETY: the callback keeps to tckms_custom_key in the header; all memory outlives the call.
        self.wrapped(|out| unsafe {
            wrap(self.callbacks.userdata, context.as_ptr(), data_key.as_ptr(), data_key.len(), out)
        })
    }

    fn claims(&self, wrapped: &WrappedKey) -> bool {
        self.callbacks.unwrap.is_some() && self.provider_id.as_ref().is_none_or(|id| *id == wrapped.provider_id)
    }

    fn unwrap(&self, request: &KeyRequest<'_>, wrapped: &WrappedKey) -> Result<Secret> {
        let not_ours = || Error::new(Status::NoMatchingKey, "a custom key cannot unwrap this");
        let unwrap = self.callbacks.unwrap.ok_or_else(not_ours)?;
        // A provider id with a NUL in it is none of C's.
        let provider_id = CString::new(wrapped.provider_id.as_str()).map_err(|_| not_ours())?;
        let context = context_of(request)?;
        let mut data_key = Secret::zeroed(request.data_key_len)?;
        // SAFETY: the callback keeps to tckms_custom_key in the header; all memory outlives the call.
        check_result(unsafe {
            unwrap(
                self.callbacks.userdata,
                provider_id.as_ptr(),
                wrapped.provider_info.as_ptr(),
                wrapped.provider_info.len(),
                wrapped.blob.as_ptr(),
                wrapped.blob.len(),
                context.as_ptr(),
                data_key.expose_mut().as_mut_ptr(),
                request.data_key_len,
            )
        })?;
        Ok(data_key)
    }
}

/// A callback that forgets to write the new data key must not make one of it that everybody knows.
fn filled(data_key: Secret) -> Result<Secret> {
    if data_key.expose().iter().any(|byte| *byte != 0) {
        return Ok(data_key);
    }
    Err(Error::new(Status::CustomKeyFailed, "a callback of a custom key made a data key of zeros"))
}

/// "{}" for no pairs. JSON writes a NUL as an escape, so there is none in it.
fn context_of(request: &KeyRequest<'_>) -> Result<CString> {
    CString::new(request.context_json.unwrap_or("{}"))
        .map_err(|_| Error::new(Status::Internal, "canonical JSON has a NUL in it"))
}

fn check_result(number: c_int) -> Result<()> {
    match Status::from_number(number) {
        Some(Status::Ok) => Ok(()),
        Some(status) => {
            let text = CStr::to_string_lossy(status.message());
            Err(Error::new(status, format!("a callback of a custom key says: {text}")))
        }
        None => {
            let message = format!("a callback of a custom key returned {number}, which is no status of this library");
            Err(Error::new(Status::CustomKeyFailed, message))
        }
    }
}
