//! The client and its calls.

use std::ffi::{c_char, c_void};

use super::arguments::{bytes, handle, handle_out, optional_text, out_slice, text, timeout};
use super::buffer::tckms_buffer;
use super::config::tckms_config;
use super::guard::{guard, guard_request};
use super::handle;
use crate::client::{Client, Encrypted};
use crate::config::Config;
use crate::error::Result;
use crate::status::Status;

/// A client of the key service.
///
/// It never changes, and any number of threads may use it at once. Creating one opens no connection
/// and starts no thread; the first call does both.
pub struct tckms_client(pub(super) Client);

/// Creates a client. Trusted certificates are loaded now, so a process may chroot() afterwards.
///
/// @param config  The configuration, with a region and credentials. Copied.
/// @param out     The client, owned by the caller, who frees it with tckms_client_free(). NULL on
///                failure.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_REGION,
///                TCKMS_ERR_NO_CREDENTIALS, TCKMS_ERR_CREDENTIALS_EXPIRED,
///                TCKMS_ERR_INSECURE_ENDPOINT, TCKMS_ERR_INVALID_CA_BUNDLE or
///                TCKMS_ERR_INVALID_CREDENTIALS_FILE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_client_new(config: *const tckms_config, out: *mut *mut tckms_client) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Outputs" in the header.
        let (out, config) = unsafe { (handle_out(out, "out")?, handle(config, "config")?) };
        handle::publish(tckms_client(Client::new(&config.0)?), out)
    })
}

/// Creates a client from the environment.
///
/// Credentials are those of tckms_config_set_default_credentials(). TENCENTCLOUD_REGION is required.
/// TCKMS_ENDPOINT, TCKMS_STS_ENDPOINT, TCKMS_CA_FILE and TCKMS_PROXY, if set, have the effect of the
/// setters with their names; TCKMS_INSECURE_HTTP_ALLOWED=1 has that of
/// tckms_config_set_insecure_http_allowed(). An empty variable counts as not set.
///
/// In a program that runs with more privileges than its caller (setuid, setgid, file capabilities)
/// every variable counts as not set, including HOME: this function fails, and its error says so.
///
/// @param out  The client, owned by the caller, who frees it with tckms_client_free(). NULL on
///             failure.
/// @return     TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_REGION, or a status of
///             tckms_client_new() or of a setter.
///
/// Threads: while no thread changes the environment.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_client_new_from_env(out: *mut *mut tckms_client) -> Status {
    guard(|| {
        // SAFETY: "Outputs" in the header.
        let out = unsafe { handle_out(out, "out")? };
        handle::publish(tckms_client(Client::from_env()?), out)
    })
}

/// Creates a client with other timeouts or retries that shares connections, credentials and
/// everything else with another one.
///
/// It is cheap enough for a single call: use it to give a call its own deadline.
///
/// @param client  The client to share with. It may be freed before the new one.
/// @param config  The settings that differ: try timeout, total timeout, max attempts, retry of
///                unsafe actions. Copied.
/// @param out     The new client, owned by the caller, who frees it with tckms_client_free(). NULL
///                on failure.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, or TCKMS_ERR_NOT_DERIVABLE when `config` sets
///                anything else.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_client_derive(
    client: *const tckms_client,
    config: *const tckms_config,
    out: *mut *mut tckms_client,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Outputs" in the header.
        let (out, client, config) =
            unsafe { (handle_out(out, "out")?, handle(client, "client")?, handle(config, "config")?) };
        handle::publish(tckms_client(client.0.derive(&config.0)?), out)
    })
}

/// Creates a client whose calls have another total timeout, and that shares everything with another
/// client. Use it to give a call its own deadline.
///
/// @param client      The client to share with. It may be freed before the new one.
/// @param timeout_ms  1 to 3600000 milliseconds, for each call with all its attempts and waits.
/// @param out         The new client, owned by the caller, who frees it with tckms_client_free().
///                    NULL on failure.
/// @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_client_derive_timeout_ms(
    client: *const tckms_client,
    timeout_ms: i64,
    out: *mut *mut tckms_client,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Outputs" in the header.
        let (out, client) = unsafe { (handle_out(out, "out")?, handle(client, "client")?) };
        let mut config = Config::new();
        config.set_total_timeout(timeout("total timeout", timeout_ms)?)?;
        handle::publish(tckms_client(client.0.derive(&config)?), out)
    })
}

/// Cancels the calls of a client: running calls return TCKMS_ERR_CANCELED at once, whatever they
/// wait for, and all later ones return it without sending anything. This cannot be undone.
///
/// Cancel a client that was made for this purpose with tckms_client_derive() or
/// tckms_client_derive_timeout_ms(): the client that it was derived from is not affected. Clients
/// that were derived from the canceled one are canceled as well, and so are requests of keyrings and
/// streams to a CMK that was added with it.
///
/// @param client  The client. Free it after its calls have returned.
/// @return        TCKMS_OK or TCKMS_ERR_NULL_POINTER.
///
/// The service may have executed a canceled call. A running credentials callback or custom key's
/// callback is not interrupted: the call returns after it.
/// Threads: from any thread, while other threads are inside calls with the client. Not from a signal
/// handler.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_client_cancel(client: *const tckms_client) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle(client, "client")? }.0.cancel();
        Ok(())
    })
}

/// Frees a client. Connections are closed and credentials wiped when the last of the clients that
/// share them is freed.
///
/// @param client  NULL, which is harmless, or a client of this library.
///
/// It may be called in a forked child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_client_free(client: *mut tckms_client) {
    // SAFETY: "Handles" in the header.
    unsafe { handle::free(client) };
}

/// Encrypts a small secret under a CMK. The service encrypts; for more than 4096 bytes use
/// tckms_seal().
///
/// @param client            The client.
/// @param key_id            The CMK: 1 to 128 letters, digits and -_/:. characters. Sent unchanged;
///                          keyrings accept fewer forms, see CONVENTIONS.
/// @param buf               The plaintext.
/// @param len               1 to 4096 bytes.
/// @param ctx_json_or_null  NULL, or the encryption context: a JSON object whose values are strings,
///                          at most 1024 characters. It is sent exactly as given, and
///                          tckms_decrypt() needs the same text. It is not secret.
/// @param out               The CiphertextBlob: opaque text; store it unchanged. Free it with
///                          tckms_buffer_free().
/// @return                  TCKMS_OK or any status; see the chapter on errors.
///
/// tckms_last_key_id() and tckms_last_request_id() return the ids of the request. Blocks until the
/// total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_encrypt(
    client: *const tckms_client,
    key_id: *const c_char,
    buf: *const c_void,
    len: usize,
    ctx_json_or_null: *const c_char,
    out: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id, plaintext, context) = unsafe {
            (
                tckms_buffer::out(out, "out")?,
                handle(client, "client")?,
                text(key_id, "key_id")?,
                bytes(buf, len, "buf")?,
                optional_text(ctx_json_or_null, "ctx_json_or_null")?,
            )
        };
        deliver(client.0.encrypt(key_id, plaintext, context)?, out)
    })
}

/// Decrypts a CiphertextBlob of tckms_encrypt(), tckms_reencrypt() or tckms_generate_data_key().
///
/// @param client            The client.
/// @param key_id_or_null    The CMK that the caller expects, or NULL for any. If the reply is about
///                          another CMK, the call returns TCKMS_ERR_KEY_MISMATCH and no plaintext.
/// @param blob              The CiphertextBlob, exactly as it was returned.
/// @param len               1 to 65536 characters.
/// @param ctx_json_or_null  The context that was used to encrypt, or NULL if none was.
/// @param out               The plaintext. Free it with tckms_buffer_free(), which wipes it.
/// @return                  TCKMS_OK or any status; see the chapter on errors.
///                          TCKMS_ERR_INVALID_CIPHERTEXT may also mean that the context is wrong.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_decrypt(
    client: *const tckms_client,
    key_id_or_null: *const c_char,
    blob: *const c_void,
    len: usize,
    ctx_json_or_null: *const c_char,
    out: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id_or_null, blob, context) = unsafe {
            (
                tckms_buffer::out(out, "out")?,
                handle(client, "client")?,
                optional_text(key_id_or_null, "key_id_or_null")?,
                bytes(blob, len, "blob")?,
                optional_text(ctx_json_or_null, "ctx_json_or_null")?,
            )
        };
        let decrypted = client.0.decrypt(key_id_or_null, blob, context)?;
        out.fill(decrypted.plaintext.expose())?;
        Ok(())
    })
}

/// Encrypts a CiphertextBlob again without its plaintext leaving the service: after a rotation,
/// under another CMK, or with another context.
///
/// @param client                        The client.
/// @param key_id_or_null                The CMK to encrypt under, or NULL for the same.
/// @param blob                          The CiphertextBlob, exactly as it was returned.
/// @param len                           1 to 65536 characters.
/// @param source_ctx_json_or_null       The context of `blob`, or NULL.
/// @param destination_ctx_json_or_null  The context of the result, or NULL.
/// @param out                           The new CiphertextBlob. Free it with tckms_buffer_free().
///                                      The service may return the old one when nothing would
///                                      change.
/// @return                              TCKMS_OK or any status; see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_reencrypt(
    client: *const tckms_client,
    key_id_or_null: *const c_char,
    blob: *const c_void,
    len: usize,
    source_ctx_json_or_null: *const c_char,
    destination_ctx_json_or_null: *const c_char,
    out: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id_or_null, blob, source_context, destination_context) = unsafe {
            (
                tckms_buffer::out(out, "out")?,
                handle(client, "client")?,
                optional_text(key_id_or_null, "key_id_or_null")?,
                bytes(blob, len, "blob")?,
                optional_text(source_ctx_json_or_null, "source_ctx_json_or_null")?,
                optional_text(destination_ctx_json_or_null, "destination_ctx_json_or_null")?,
            )
        };
        deliver(client.0.reencrypt(key_id_or_null, blob, source_context, destination_context)?, out)
    })
}

/// Generates a data key: random bytes, in clear and wrapped by a CMK.
///
/// @param client            The client.
/// @param key_id            The CMK.
/// @param key_len           1 to 1024 bytes.
/// @param ctx_json_or_null  The encryption context, as for tckms_encrypt(), or NULL.
/// @param plaintext         The key in clear. Free it with tckms_buffer_free(), which wipes it.
/// @param ciphertext        The key as a CiphertextBlob: store it with the data, and pass it to
///                          tckms_decrypt(). Free it with tckms_buffer_free(). Must not be the same
///                          buffer as `plaintext`.
/// @return                  TCKMS_OK or any status; see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_generate_data_key(
    client: *const tckms_client,
    key_id: *const c_char,
    key_len: usize,
    ctx_json_or_null: *const c_char,
    plaintext: *mut tckms_buffer,
    ciphertext: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (plaintext, ciphertext, client, key_id, context) = unsafe {
            (
                tckms_buffer::out(plaintext, "plaintext"),
                tckms_buffer::out(ciphertext, "ciphertext"),
                handle(client, "client")?,
                text(key_id, "key_id")?,
                optional_text(ctx_json_or_null, "ctx_json_or_null")?,
            )
        };
        let (plaintext, ciphertext) = (plaintext?, ciphertext?);
        let data_key = client.0.generate_data_key(key_id, key_len, context)?;
        ciphertext.fill(data_key.ciphertext_blob.as_bytes())?;
        plaintext.fill(data_key.plaintext.expose()).inspect_err(|_| ciphertext.clear())?;
        Ok(())
    })
}

/// Gets random bytes from the service's hardware.
///
/// @param client  The client.
/// @param buf     Memory for the bytes. Written only on success.
/// @param len     1 to 1024 bytes.
/// @return        TCKMS_OK or any status; see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_generate_random(client: *const tckms_client, buf: *mut c_void, len: usize) -> Status {
    guard_request(|| {
        // SAFETY: "Handles" and "Outputs" in the header.
        let (client, bytes) = unsafe { (handle(client, "client")?, out_slice(buf, len, "buf")?) };
        let random = client.0.generate_random(bytes.len())?;
        bytes.copy_from_slice(random.bytes.expose());
        Ok(())
    })
}

/// Sends any action of the KMS API: signed, with retries, and with the same errors as every other
/// call.
///
/// @param client                The client.
/// @param action                The action's name, such as "DescribeKey".
/// @param request_json_or_null  Its parameters: a JSON object. NULL for none.
/// @param response_json         The JSON object under "Response", exactly as the service wrote it.
///                              Free it with tckms_buffer_free(), which wipes it.
/// @return                      TCKMS_OK or any status; see the chapter on errors.
///
/// An action that creates something, such as CreateKey, is not sent again if it may have been
/// executed, unless tckms_config_set_retry_unsafe_actions() allows it. Blocks until the total
/// timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_call(
    client: *const tckms_client,
    action: *const c_char,
    request_json_or_null: *const c_char,
    response_json: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, action, request) = unsafe {
            (
                tckms_buffer::out(response_json, "response_json")?,
                handle(client, "client")?,
                text(action, "action")?,
                optional_text(request_json_or_null, "request_json_or_null")?,
            )
        };
        let response = client.0.call(action, request.unwrap_or("{}"))?;
        out.fill(response.json.expose())?;
        Ok(())
    })
}

fn deliver(encrypted: Encrypted, out: &mut tckms_buffer) -> Result<()> {
    out.fill(encrypted.ciphertext_blob.as_bytes())?;
    Ok(())
}
