//! Sealing and opening in one call.

use std::ffi::{c_char, c_void};

use super::arguments::{bytes, handle, optional_text};
use super::buffer::tckms_buffer;
use super::guard::guard_request;
use super::keyring::tckms_keyring;
use crate::seal::Context;
use crate::status::Status;

/// Seals data of any size: encrypts it locally, under a data key that the keyring's keys wrap. The
/// message is in the format of the AWS Encryption SDK, version 2.
///
/// @param keyring           The keyring, with at least one key that seals.
/// @param buf               The plaintext.
/// @param len               0 or more bytes.
/// @param ctx_json_or_null  NULL, or the context: a JSON object whose values are strings, at most
///                          1024 bytes in its shortest form, without keys that begin with
///                          "aws-crypto-". The message contains it in clear, and so does the
///                          service's audit log. It cannot be changed in the message.
/// @param out               The message. Free it with tckms_buffer_free().
/// @return                  TCKMS_OK, TCKMS_ERR_NO_USABLE_KEY, TCKMS_ERR_RESERVED_CONTEXT_KEY or any
///                          status; see the chapter on errors.
///
/// Blocks while the keys generate a data key, at most for the time of
/// tckms_keyring_set_total_timeout_ms().
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_seal(
    keyring: *const tckms_keyring,
    buf: *const c_void,
    len: usize,
    ctx_json_or_null: *const c_char,
    out: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, keyring, plaintext, context) = unsafe {
            (
                tckms_buffer::out(out, "out")?,
                handle(keyring, "keyring")?,
                bytes(buf, len, "buf")?,
                optional_text(ctx_json_or_null, "ctx_json_or_null")?,
            )
        };
        let context = Context::from_optional_json(context)?;
        let prepared = keyring.0.prepare_seal(plaintext, &context)?;
        out.fill_with(prepared.message_len(), |memory| prepared.write(memory))
    })
}

/// Opens a sealed message.
///
/// @param keyring                    The keyring, with a key that wrapped the data key.
/// @param msg                        The complete message, without anything after it.
/// @param len                        The number of bytes.
/// @param expected_ctx_json_or_null  NULL, or pairs that the message's context must have, as a JSON
///                                   object. They are compared before any key is used. The context
///                                   is checked only if you pass the pairs you expect.
/// @param out                        The plaintext. Free it with tckms_buffer_free(), which wipes
///                                   it. It is returned only if the whole message is authentic,
///                                   including its signature if it has one.
/// @return                           TCKMS_OK, TCKMS_ERR_CONTEXT_MISMATCH,
///                                   TCKMS_ERR_NO_MATCHING_KEY, another status of
///                                   TCKMS_CATEGORY_INTEGRITY for a message that was changed, or any
///                                   status; see the chapter on errors.
///
/// Blocks while the keys unwrap the data key, at most for the time of
/// tckms_keyring_set_total_timeout_ms().
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_open(
    keyring: *const tckms_keyring,
    msg: *const c_void,
    len: usize,
    expected_ctx_json_or_null: *const c_char,
    out: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, keyring, message, expected) = unsafe {
            (
                tckms_buffer::out(out, "out")?,
                handle(keyring, "keyring")?,
                bytes(msg, len, "msg")?,
                optional_text(expected_ctx_json_or_null, "expected_ctx_json_or_null")?,
            )
        };
        let expected = Context::from_optional_json(expected)?;
        let prepared = keyring.0.prepare_open(message, &expected)?;
        out.fill_with(prepared.plaintext_len(), |memory| prepared.write(memory))
    })
}
