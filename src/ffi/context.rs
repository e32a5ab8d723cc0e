//! Encryption contexts as JSON.

use std::ffi::c_char;

use super::arguments::{array, text};
use super::buffer::tckms_buffer;
use super::guard::guard;
use crate::encryption_context::canonical_json;
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
