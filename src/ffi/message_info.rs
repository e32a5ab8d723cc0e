//! The header of a message, as claims that are not authenticated.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

use super::arguments::{bytes, handle, handle_out};
use super::buffer::tckms_buffer;
use super::custom_key::tckms_wrapped_key;
use super::guard::guard;
use super::handle;
use crate::seal::MessageInfo;
use crate::status::Status;

/// The header of a message. Its content is not authenticated: anyone can have written it. Use it to
/// choose a key, or to find out why a message does not open.
///
/// It never changes, and any number of threads may use it at once.
pub struct tckms_message_info {
    info: MessageInfo,
    /// Keys and values; `None` for a text with a NUL in it.
    context: Vec<[Option<CString>; 2]>,
    wrapped_keys: Vec<tckms_wrapped_key>,
}

impl tckms_message_info {
    fn new(info: MessageInfo) -> Self {
        let pairs = info.context.pairs().map(|(key, value)| [CString::new(key).ok(), CString::new(value).ok()]);
        let context = pairs.collect();
        let wrapped_keys = info.wrapped_keys.iter().map(tckms_wrapped_key::claimed).collect();
        Self { info, context, wrapped_keys }
    }
}

/// Reads the header of a message without opening it.
///
/// @param msg  The message, or its beginning.
/// @param len  The number of bytes.
/// @param out  The claims, owned by the caller, who frees them with tckms_message_info_free(). NULL
///             on failure.
/// @return     TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_TRUNCATED when
///             the header is not complete, or a status of TCKMS_CATEGORY_INTEGRITY, also for a
///             header that exceeds the default limits of a keyring.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_new(
    msg: *const c_void,
    len: usize,
    out: *mut *mut tckms_message_info,
) -> Status {
    guard(|| {
        // SAFETY: "Strings and buffers" and "Outputs" in the header.
        let (out, message) = unsafe { (handle_out(out, "out")?, bytes(msg, len, "msg")?) };
        handle::publish(tckms_message_info::new(MessageInfo::read(message)?), out)
    })
}

/// Frees the claims of a message, including everything borrowed from them.
///
/// @param info  NULL, which is harmless, or claims from tckms_message_info_new().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_free(info: *mut tckms_message_info) {
    // SAFETY: "Handles" in the header.
    unsafe { handle::free(info) };
}

/// The result of `read`, or `otherwise` for NULL.
///
/// # Safety
///
/// `info` is NULL or live claims.
unsafe fn find<T>(info: *const tckms_message_info, otherwise: T, read: impl FnOnce(&tckms_message_info) -> T) -> T {
    // SAFETY: the caller's promise.
    let info = unsafe { info.as_ref() };
    let Some(info) = info else { return otherwise };
    read(info)
}

/// The version of the format.
///
/// @param info  The claims, or NULL.
/// @return      1 or 2; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_version(info: *const tckms_message_info) -> c_int {
    // SAFETY: "Handles" in the header.
    unsafe { find(info, 0, |info| info.info.version.into()) }
}

/// The number of the algorithm suite, such as 0x0478.
///
/// @param info  The claims, or NULL.
/// @return      1 to 65535; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_suite(info: *const tckms_message_info) -> c_int {
    // SAFETY: "Handles" in the header.
    unsafe { find(info, 0, |info| info.info.suite.into()) }
}

/// Whether the header commits to one data key.
///
/// @param info  The claims, or NULL.
/// @return      1 or 0; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_committing(info: *const tckms_message_info) -> c_int {
    // SAFETY: "Handles" in the header.
    unsafe { find(info, 0, |info| info.info.committing.into()) }
}

/// Whether the message ends with a signature.
///
/// @param info  The claims, or NULL.
/// @return      1 or 0; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_signed(info: *const tckms_message_info) -> c_int {
    // SAFETY: "Handles" in the header.
    unsafe { find(info, 0, |info| info.info.signed.into()) }
}

/// The length of the message's frames.
///
/// @param info  The claims, or NULL.
/// @return      Bytes; 0 for a body without frames and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_frame_len(info: *const tckms_message_info) -> usize {
    // SAFETY: "Handles" in the header.
    unsafe { find(info, 0, |info| info.info.frame_len.unwrap_or(0)) }
}

/// The length of the header.
///
/// @param info  The claims, or NULL.
/// @return      Bytes; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_header_len(info: *const tckms_message_info) -> usize {
    // SAFETY: "Handles" in the header.
    unsafe { find(info, 0, |info| info.info.header_len) }
}

/// The message's id.
///
/// @param info         The claims, or NULL.
/// @param len_or_null  The number of bytes: 16 or 32, 0 for NULL.
/// @return             The bytes, borrowed from `info`. Never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_message_id(
    info: *const tckms_message_info,
    len_or_null: *mut usize,
) -> *const u8 {
    // SAFETY: "Handles" and "Outputs" in the header.
    unsafe {
        let id = info.as_ref().map_or(&[][..], |info| &info.info.message_id);
        if !len_or_null.is_null() {
            len_or_null.write(id.len());
        }
        id.as_ptr()
    }
}

/// The number of pairs of the context. They include the public key of a signed message,
/// "aws-crypto-public-key".
///
/// @param info  The claims, or NULL.
/// @return      0 or more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_context_count(info: *const tckms_message_info) -> usize {
    // SAFETY: "Handles" in the header.
    unsafe { find(info, 0, |info| info.context.len()) }
}

/// The key of a pair of the context. Pairs are in the order of their keys' bytes.
///
/// @param info   The claims, or NULL.
/// @param index  From 0 to tckms_message_info_context_count() - 1.
/// @return       The key, borrowed from `info`; NULL when there is no such pair, or when the key has
///               a NUL character in it, which only the JSON shows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_context_key(
    info: *const tckms_message_info,
    index: usize,
) -> *const c_char {
    // SAFETY: "Handles" in the header.
    unsafe { find(info, ptr::null(), |info| text_of(info, index, 0)) }
}

/// The value of a pair of the context.
///
/// @param info   The claims, or NULL.
/// @param index  From 0 to tckms_message_info_context_count() - 1.
/// @return       The value, borrowed from `info`; NULL when there is no such pair, or when the value
///               has a NUL character in it, which only the JSON shows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_context_value(
    info: *const tckms_message_info,
    index: usize,
) -> *const c_char {
    // SAFETY: "Handles" in the header.
    unsafe { find(info, ptr::null(), |info| text_of(info, index, 1)) }
}

fn text_of(info: &tckms_message_info, index: usize, part: usize) -> *const c_char {
    info.context.get(index).map_or(ptr::null(), |pair| pair[part].as_ref().map_or(ptr::null(), |text| text.as_ptr()))
}

/// The number of wrapped data keys of the message.
///
/// @param info  The claims, or NULL.
/// @return      1 or more; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_wrapped_key_count(info: *const tckms_message_info) -> usize {
    // SAFETY: "Handles" in the header.
    unsafe { find(info, 0, |info| info.wrapped_keys.len()) }
}

/// A wrapped data key of the message.
///
/// @param info   The claims, or NULL.
/// @param index  From 0 to tckms_message_info_wrapped_key_count() - 1, in the order of the message.
/// @return       The wrapped key, for tckms_wrapped_key_provider_id() and similar functions,
///               borrowed from `info`; NULL when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_wrapped_key(
    info: *const tckms_message_info,
    index: usize,
) -> *const tckms_wrapped_key {
    // SAFETY: "Handles" in the header.
    unsafe { find(info, ptr::null(), |info| info.wrapped_keys.get(index).map_or(ptr::null(), ptr::from_ref)) }
}

/// Writes the claims of a message as JSON.
///
/// @param info  The claims.
/// @param json  A JSON object with "authenticated" (always false), "version", "suite" (such as
///              "0478"), "committing", "signed", "message_id", "context", "wrapped_keys" (each with
///              "provider_id", "provider_info" or "provider_info_hex", "wrapped_len"), "frame_len"
///              (null without frames) and "header_len". It can be printed: characters that a
///              terminal interprets are escaped. Free it with tckms_buffer_free().
/// @return      TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_MEMORY.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_message_info_json(info: *const tckms_message_info, json: *mut tckms_buffer) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Outputs" in the header.
        let (out, info) = unsafe { (tckms_buffer::out(json, "json")?, handle(info, "info")?) };
        out.fill(&info.info.to_json()?)
    })
}
