//! Encryption contexts as JSON.

use std::ffi::{c_char, c_void};

use super::arguments::{array, out_slice, text};
use super::buffer::tckms_buffer;
use super::guard::guard;
use crate::encryption_context::{canonical_json, parse};
use crate::error::Error;
use crate::sanitize::excerpt;
use crate::status::Status;

/// One pair of an encryption context.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tckms_context_pair {
    /// The key, unique in the context.
    pub key: *const c_char,
    /// The value.
    pub value: *const c_char,
}

/// Writes an encryption context as JSON, for all parameters called `ctx_json`, and escapes keys and
/// values. The same pairs always produce the same text, whatever their order: sorted by the bytes of
/// their keys, without blanks. The service may compare contexts as text, so use this function for
/// both encryption and decryption.
///
/// @param pairs  The pairs, in any order; may be NULL when `count` is 0.
/// @param count  The number of pairs.
/// @param out    The JSON object, "{}" for no pairs. Free it with tckms_buffer_free().
/// @return       TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_INVALID_UTF8,
///               TCKMS_ERR_INVALID_CONTEXT for a duplicate key, or TCKMS_ERR_CONTEXT_TOO_LONG for
///               more than 1024 characters.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_context_json(
    pairs: *const tckms_context_pair,
    count: usize,
    out: *mut tckms_buffer,
) -> Status {
    guard(|| {
        // SAFETY: "Strings and buffers" and "Outputs" in the header; `pairs` is an array of `count`
        // pairs.
        let (out, pairs) = unsafe { (tckms_buffer::out(out, "out")?, array(pairs, count, "pairs")?) };
        // SAFETY: as above.
        let pairs = pairs.iter().map(|pair| unsafe { Ok((text(pair.key, "a key")?, text(pair.value, "a value")?)) });
        out.fill(canonical_json(pairs)?.as_bytes())
    })
}

/// Reads one value of a context, for callbacks that are given one as JSON.
///
/// @param ctx_json  A JSON object whose values are strings, as tckms_context_json() writes it.
/// @param key       The key.
/// @param value     Where to write the value, with a NUL after it. "" on failure.
/// @param size      The number of bytes there, at least 1.
/// @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
///                  TCKMS_ERR_INVALID_CONTEXT, also for a value with a NUL in it,
///                  TCKMS_ERR_CONTEXT_MISMATCH when there is no such key, or
///                  TCKMS_ERR_INVALID_LENGTH when `size` is too small.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_context_value(
    ctx_json: *const c_char,
    key: *const c_char,
    value: *mut c_char,
    size: usize,
) -> Status {
    guard(|| {
        // SAFETY: "Strings and buffers" and "Outputs" in the header; `value` has `size` bytes.
        let (out, json, key) = unsafe {
            let out = out_slice(value.cast::<c_void>(), size, "value")?;
            (out, text(ctx_json, "ctx_json")?, text(key, "key")?)
        };
        let too_small = |needed: usize| {
            Error::new(Status::InvalidLength, format!("the value needs {needed} bytes with its NUL, there are {size}"))
        };
        *out.first_mut().ok_or_else(|| too_small(1))? = 0;
        let pairs = parse("context", json)?;
        let found = pairs
            .get(key)
            .ok_or_else(|| Error::new(Status::ContextMismatch, format!("the context has no key {}", excerpt(key))))?;
        if found.contains('\0') {
            return Err(Error::new(Status::InvalidContext, "the value has a NUL in it"));
        }
        let target = out.get_mut(..=found.len()).ok_or_else(|| too_small(found.len() + 1))?;
        target[..found.len()].copy_from_slice(found.as_bytes());
        target[found.len()] = 0;
        Ok(())
    })
}
