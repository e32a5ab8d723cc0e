//! Calls that do not block, for programs with an event loop.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::Ordering;

use super::arguments::{bytes, handle, handle_out, null, optional_text, text, timeout};
use super::asymmetric::{rsa_padding, signature_algorithm};
use super::buffer::tckms_buffer;
use super::client::tckms_client;
use super::extensible::{self, Extensible};
use super::guard::{guard, guard_infallible};
use super::handle;
use super::keyring::tckms_keyring;
use super::last_error::{LastRequest, tckms_error};
use super::overlap::check_output;
use super::stream::tckms_stream;
use crate::error::{Error, Result};
use crate::queue::{Completion, Operation, Output, Queue, SealOperation, Stream, SubmitOptions, Userdata};
use crate::seal::Context;
use crate::status::Status;

/// Longest message or plaintext of tckms_submit_seal() and tckms_submit_open(), in bytes.
pub const TCKMS_QUEUE_MESSAGE_MAX: usize = 262_144;
const _: () = assert!(TCKMS_QUEUE_MESSAGE_MAX == crate::queue::QUEUE_MESSAGE_MAX);

/// Longest beginning of a message for tckms_submit_open_begin().
const HEADER_MAX: usize = 1 << 20;

/// A queue of calls that were submitted and not taken yet.
///
/// Any number of threads may use a queue at once, also to take completions. Creating one opens no
/// descriptor and starts no thread. A queue can have calls of several clients, and a client's calls
/// can be in several queues.
pub struct tckms_queue(Queue);

/// A call that is done. One thread may use it at a time.
pub struct tckms_completion {
    id: u64,
    userdata: Userdata,
    status: Status,
    /// Unless the call succeeded, or the program took it.
    error: Option<Box<tckms_error>>,
    output: tckms_buffer,
    ciphertext: tckms_buffer,
    stream: Option<Stream>,
    consumed: usize,
    last_request: LastRequest,
}

/// Options of a queue.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tckms_queue_options {
    /// The maximum number of calls in the queue, including those that are done but were not taken: 1
    /// to 1048576. 0 for 1024.
    pub depth: u64,
}

// SAFETY: a number.
unsafe impl Extensible for tckms_queue_options {
    const NAME: &'static str = "tckms_queue_options";
    const SIZES: &'static [usize] = &[size_of::<Self>()];
}

/// Creates a queue.
///
/// @param options_or_null  NULL or a structure of zeros for the defaults.
/// @param size             sizeof(tckms_queue_options); ignored with NULL.
/// @param out              The queue, owned by the caller, who frees it with tckms_queue_free().
///                         NULL on failure.
/// @return                 TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH,
///                         TCKMS_ERR_UNKNOWN_OPTION or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_queue_new(
    options_or_null: *const tckms_queue_options,
    size: usize,
    out: *mut *mut tckms_queue,
) -> Status {
    guard(|| {
        // SAFETY: "Outputs" and "Structures that grow" in the header.
        let (out, options) =
            unsafe { (handle_out(out, "out")?, extensible::read_optional(options_or_null, size, "options_or_null")?) };
        let depth = options.map_or(0, |options: tckms_queue_options| options.depth);
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        let depth = if depth == 0 { crate::queue::DEPTH_DEFAULT } else { depth };
        handle::publish(tckms_queue(Queue::new(depth)?), out)
    })
}

/// The descriptor to poll: readable exactly while there are completions to take, with poll(), epoll
/// (level- or edge-triggered), kqueue and any event loop.
///
/// @param queue  The queue.
/// @param fd     The descriptor, above 2 and closed on exec. It belongs to the queue: never read it,
///               and do not close it. -1 on failure.
/// @return       TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_TRANSPORT_UNAVAILABLE when the
///               process has no descriptor left; the next call tries again.
///
/// It does not change during the life of the queue in a process. A forked child, and a process that
/// closed all its descriptors, must call this function again to get another one.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_queue_fd(queue: *const tckms_queue, fd: *mut c_int) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Outputs" in the header.
        let (fd, queue) = unsafe { (number_out(fd, -1, "fd")?, handle(queue, "queue")?) };
        *fd = queue.0.descriptor()?;
        Ok(())
    })
}

/// Takes the next completion. It never blocks, but it does the encryption and decryption of
/// tckms_submit_seal() and tckms_submit_open(), and calls the log callback for the events of the
/// call.
///
/// @param queue  The queue.
/// @param out    The completion, owned by the caller, who frees it with tckms_completion_free().
///               NULL on failure.
/// @return       TCKMS_OK whatever the status of the call is, TCKMS_ERR_NULL_POINTER, or
///               TCKMS_ERR_AGAIN when no call is done.
///
/// Each call that was submitted successfully has exactly one completion. Completions are in the
/// order in which the calls were done.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_queue_next(queue: *const tckms_queue, out: *mut *mut tckms_completion) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Outputs" in the header.
        let (out, queue) = unsafe { (handle_out(out, "out")?, handle(queue, "queue")?) };
        match queue.0.next() {
            Some(completion) => handle::publish(tckms_completion::from(completion), out),
            None => Err(none_done()),
        }
    })
}

/// Waits until a call is done, for programs without an event loop.
///
/// @param queue       The queue.
/// @param timeout_ms  0 to 3600000 milliseconds. 0 only checks.
/// @return            TCKMS_OK when tckms_queue_next() would return a completion now,
///                    TCKMS_ERR_AGAIN when the timeout expired, TCKMS_ERR_NULL_POINTER or
///                    TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_queue_wait(queue: *const tckms_queue, timeout_ms: i64) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        let queue = unsafe { handle(queue, "queue")? };
        let timeout = timeout("timeout", timeout_ms)?;
        if timeout > crate::TIMEOUT_MAX {
            let max = crate::TIMEOUT_MAX.as_millis();
            return Err(Error::new(
                Status::OutOfRange,
                format!("the timeout is {timeout_ms} ms, 0 to {max} are allowed"),
            ));
        }
        if queue.0.wait(timeout) { Ok(()) } else { Err(none_done()) }
    })
}

/// The number of calls that were submitted and not taken.
///
/// @param queue  The queue, or NULL.
/// @return       The number; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_queue_outstanding(queue: *const tckms_queue) -> usize {
    guard_infallible(0, || {
        // SAFETY: "Handles" in the header.
        unsafe { queue.as_ref() }.map_or(0, |queue| queue.0.len())
    })
}

/// Cancels a call. It is done soon, with TCKMS_ERR_CANCELED unless it was done before, and has a
/// completion like any other.
///
/// @param queue  The queue.
/// @param id     The id that the call was submitted with.
/// @return       TCKMS_OK, TCKMS_ERR_NULL_POINTER, or TCKMS_ERR_NOT_OUTSTANDING when the call is
///               done already or there never was one.
///
/// The service may have executed a canceled call.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_cancel(queue: *const tckms_queue, id: u64) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle(queue, "queue")? }.0.cancel(id)
    })
}

/// Cancels all calls of a queue that are not done, as tckms_cancel() cancels one. All completions
/// can then be taken soon: a program does so to release what its userdata pointers refer to, before
/// it frees the queue.
///
/// @param queue  The queue.
/// @return       TCKMS_OK or TCKMS_ERR_NULL_POINTER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_queue_cancel_all(queue: *const tckms_queue) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle(queue, "queue")? }.0.cancel_all();
        Ok(())
    })
}

/// Frees a queue. Its outstanding calls are canceled, and completions that were not taken are freed.
///
/// @param queue  NULL, which is harmless, or a queue of this library.
///
/// Waits until its calls have ended, and closes their connections, which takes about 40 microseconds
/// for each outstanding call. If a callback of the program is running in a worker, it waits up to
/// 2 seconds. It may be called in a forked child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_queue_free(queue: *mut tckms_queue) {
    // SAFETY: "Handles" in the header.
    unsafe { handle::free(queue) };
}

/// Submits a call like tckms_encrypt().
///
/// All functions that submit copy their inputs. Arguments that can be refused without a request are
/// refused at once: then there is no call. Otherwise there will be a completion.
///
/// @param queue             The queue.
/// @param client            The client. It may be freed before the call is done.
/// @param key_id            As for tckms_encrypt().
/// @param buf               The plaintext. Copied into memory that is wiped.
/// @param len               1 to 4096 bytes.
/// @param ctx_json_or_null  As for tckms_encrypt().
/// @param timeout_ms        1 to 3600000 milliseconds until the call is done at the latest. The
///                          client's own timeouts also apply.
/// @param userdata          Any pointer, for the completion. The library never dereferences it.
/// @param id_or_null        NULL, or the output for the id of the call, for tckms_cancel(). Never 0,
///                          except on failure.
/// @return                  TCKMS_OK, TCKMS_ERR_QUEUE_FULL, a status of TCKMS_CATEGORY_ARGUMENT,
///                          TCKMS_ERR_TRANSPORT_UNAVAILABLE when no thread can be started, or
///                          TCKMS_ERR_OUT_OF_MEMORY.
///
/// The completion's output is the CiphertextBlob.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_submit_encrypt(
    queue: *const tckms_queue,
    client: *const tckms_client,
    key_id: *const c_char,
    buf: *const c_void,
    len: usize,
    ctx_json_or_null: *const c_char,
    timeout_ms: i64,
    userdata: *mut c_void,
    id_or_null: *mut u64,
) -> Status {
    // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
    guard(|| unsafe {
        submit(queue, client, (timeout_ms, userdata), id_or_null, || {
            let (key_id, plaintext) = (text(key_id, "key_id")?, bytes(buf, len, "buf")?);
            Operation::encrypt(key_id, plaintext, optional_text(ctx_json_or_null, "ctx_json_or_null")?)
        })
    })
}

/// Submits a call like tckms_decrypt().
///
/// @param queue             The queue.
/// @param client            The client. It may be freed before the call is done.
/// @param key_id_or_null    As for tckms_decrypt().
/// @param blob              The CiphertextBlob. Copied.
/// @param len               1 to 65536 characters.
/// @param ctx_json_or_null  As for tckms_decrypt().
/// @param timeout_ms        As for tckms_submit_encrypt().
/// @param userdata          As for tckms_submit_encrypt().
/// @param id_or_null        As for tckms_submit_encrypt().
/// @return                  As for tckms_submit_encrypt().
///
/// The completion's output is the plaintext.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_submit_decrypt(
    queue: *const tckms_queue,
    client: *const tckms_client,
    key_id_or_null: *const c_char,
    blob: *const c_void,
    len: usize,
    ctx_json_or_null: *const c_char,
    timeout_ms: i64,
    userdata: *mut c_void,
    id_or_null: *mut u64,
) -> Status {
    // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
    guard(|| unsafe {
        submit(queue, client, (timeout_ms, userdata), id_or_null, || {
            let (key_id, blob) = (optional_text(key_id_or_null, "key_id_or_null")?, bytes(blob, len, "blob")?);
            Operation::decrypt(key_id, blob, optional_text(ctx_json_or_null, "ctx_json_or_null")?)
        })
    })
}

/// Submits a call like tckms_reencrypt().
///
/// @param queue                         The queue.
/// @param client                        The client. It may be freed before the call is done.
/// @param key_id_or_null                As for tckms_reencrypt().
/// @param blob                          The CiphertextBlob. Copied.
/// @param len                           1 to 65536 characters.
/// @param source_ctx_json_or_null       As for tckms_reencrypt().
/// @param destination_ctx_json_or_null  As for tckms_reencrypt().
/// @param timeout_ms                    As for tckms_submit_encrypt().
/// @param userdata                      As for tckms_submit_encrypt().
/// @param id_or_null                    As for tckms_submit_encrypt().
/// @return                              As for tckms_submit_encrypt().
///
/// The completion's output is the new CiphertextBlob.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_submit_reencrypt(
    queue: *const tckms_queue,
    client: *const tckms_client,
    key_id_or_null: *const c_char,
    blob: *const c_void,
    len: usize,
    source_ctx_json_or_null: *const c_char,
    destination_ctx_json_or_null: *const c_char,
    timeout_ms: i64,
    userdata: *mut c_void,
    id_or_null: *mut u64,
) -> Status {
    // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
    guard(|| unsafe {
        submit(queue, client, (timeout_ms, userdata), id_or_null, || {
            let (key_id, blob) = (optional_text(key_id_or_null, "key_id_or_null")?, bytes(blob, len, "blob")?);
            let source = optional_text(source_ctx_json_or_null, "source_ctx_json_or_null")?;
            let destination = optional_text(destination_ctx_json_or_null, "destination_ctx_json_or_null")?;
            Operation::reencrypt(key_id, blob, source, destination)
        })
    })
}

/// Submits a call like tckms_generate_data_key().
///
/// @param queue             The queue.
/// @param client            The client. It may be freed before the call is done.
/// @param key_id            As for tckms_generate_data_key().
/// @param key_len           1 to 1024 bytes.
/// @param ctx_json_or_null  As for tckms_generate_data_key().
/// @param timeout_ms        As for tckms_submit_encrypt().
/// @param userdata          As for tckms_submit_encrypt().
/// @param id_or_null        As for tckms_submit_encrypt().
/// @return                  As for tckms_submit_encrypt().
///
/// The completion's output is the key in clear; tckms_completion_ciphertext() has it as a
/// CiphertextBlob.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_submit_generate_data_key(
    queue: *const tckms_queue,
    client: *const tckms_client,
    key_id: *const c_char,
    key_len: usize,
    ctx_json_or_null: *const c_char,
    timeout_ms: i64,
    userdata: *mut c_void,
    id_or_null: *mut u64,
) -> Status {
    // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
    guard(|| unsafe {
        submit(queue, client, (timeout_ms, userdata), id_or_null, || {
            let key_id = text(key_id, "key_id")?;
            Operation::generate_data_key(key_id, key_len, optional_text(ctx_json_or_null, "ctx_json_or_null")?)
        })
    })
}

/// Submits a call like tckms_generate_random().
///
/// @param queue       The queue.
/// @param client      The client. It may be freed before the call is done.
/// @param len         1 to 1024 bytes.
/// @param timeout_ms  As for tckms_submit_encrypt().
/// @param userdata    As for tckms_submit_encrypt().
/// @param id_or_null  As for tckms_submit_encrypt().
/// @return            As for tckms_submit_encrypt().
///
/// The completion's output is the random bytes.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_submit_generate_random(
    queue: *const tckms_queue,
    client: *const tckms_client,
    len: usize,
    timeout_ms: i64,
    userdata: *mut c_void,
    id_or_null: *mut u64,
) -> Status {
    // SAFETY: "Handles" and "Outputs" in the header.
    guard(|| unsafe { submit(queue, client, (timeout_ms, userdata), id_or_null, || Operation::generate_random(len)) })
}

/// Submits a call like tckms_call().
///
/// @param queue         The queue.
/// @param client        The client. It may be freed before the call is done.
/// @param action        As for tckms_call().
/// @param request_json  As for tckms_call(), but "{}" for none: NULL is refused. Copied into memory
///                      that is wiped.
/// @param timeout_ms    As for tckms_submit_encrypt().
/// @param userdata      As for tckms_submit_encrypt().
/// @param id_or_null    As for tckms_submit_encrypt().
/// @return              As for tckms_submit_encrypt(). An `action` or a `request_json` that
///                      tckms_call() refuses is refused at once, with the same status:
///                      TCKMS_ERR_MALFORMED_ACTION or TCKMS_ERR_INVALID_REQUEST_JSON.
///
/// The completion's output is the JSON object of the reply.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_submit_call(
    queue: *const tckms_queue,
    client: *const tckms_client,
    action: *const c_char,
    request_json: *const c_char,
    timeout_ms: i64,
    userdata: *mut c_void,
    id_or_null: *mut u64,
) -> Status {
    // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
    guard(|| unsafe {
        submit(queue, client, (timeout_ms, userdata), id_or_null, || {
            Operation::call(text(action, "action")?, text(request_json, "request_json")?)
        })
    })
}

/// Submits a call like tckms_sign_digest().
///
/// @param queue       The queue.
/// @param client      The client. It may be freed before the call is done.
/// @param key_id      As for tckms_sign_digest().
/// @param algorithm   A TCKMS_SIGN_ constant, or 0 for the key's algorithm.
/// @param digest      The digest. Copied.
/// @param len         As for tckms_sign_digest(). Another length is TCKMS_ERR_INVALID_LENGTH: the
///                    status of the completion up to 8192 bytes, refused at once above.
/// @param timeout_ms  As for tckms_submit_encrypt().
/// @param userdata    As for tckms_submit_encrypt().
/// @param id_or_null  As for tckms_submit_encrypt().
/// @return            As for tckms_submit_encrypt().
///
/// The completion's output is the signature. It is verified on the network thread.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_submit_sign_digest(
    queue: *const tckms_queue,
    client: *const tckms_client,
    key_id: *const c_char,
    algorithm: c_int,
    digest: *const c_void,
    len: usize,
    timeout_ms: i64,
    userdata: *mut c_void,
    id_or_null: *mut u64,
) -> Status {
    // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
    guard(|| unsafe {
        submit(queue, client, (timeout_ms, userdata), id_or_null, || {
            let (key_id, digest) = (text(key_id, "key_id")?, bytes(digest, len, "digest")?);
            Operation::sign_digest(key_id, signature_algorithm(algorithm)?, digest)
        })
    })
}

/// Submits a call like tckms_rsa_decrypt().
///
/// @param queue       The queue.
/// @param client      The client. It may be freed before the call is done.
/// @param key_id      As for tckms_rsa_decrypt().
/// @param padding     A TCKMS_RSA_ constant.
/// @param ciphertext  The ciphertext. Copied.
/// @param len         256 bytes. Another length is refused at once with TCKMS_ERR_INVALID_LENGTH.
/// @param timeout_ms  As for tckms_submit_encrypt().
/// @param userdata    As for tckms_submit_encrypt().
/// @param id_or_null  As for tckms_submit_encrypt().
/// @return            As for tckms_submit_encrypt().
///
/// The completion's output is the plaintext.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_submit_rsa_decrypt(
    queue: *const tckms_queue,
    client: *const tckms_client,
    key_id: *const c_char,
    padding: c_int,
    ciphertext: *const c_void,
    len: usize,
    timeout_ms: i64,
    userdata: *mut c_void,
    id_or_null: *mut u64,
) -> Status {
    // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
    guard(|| unsafe {
        submit(queue, client, (timeout_ms, userdata), id_or_null, || {
            let (key_id, ciphertext) = (text(key_id, "key_id")?, bytes(ciphertext, len, "ciphertext")?);
            Operation::rsa_decrypt(key_id, rsa_padding(padding)?, ciphertext)
        })
    })
}

/// Submits a call like tckms_public_key().
///
/// @param queue       The queue.
/// @param client      The client. It may be freed before the call is done.
/// @param key_id      As for tckms_public_key().
/// @param timeout_ms  As for tckms_submit_encrypt().
/// @param userdata    As for tckms_submit_encrypt().
/// @param id_or_null  As for tckms_submit_encrypt().
/// @return            As for tckms_submit_encrypt().
///
/// The completion's output is the key as a SubjectPublicKeyInfo in DER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_submit_public_key(
    queue: *const tckms_queue,
    client: *const tckms_client,
    key_id: *const c_char,
    timeout_ms: i64,
    userdata: *mut c_void,
    id_or_null: *mut u64,
) -> Status {
    // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
    guard(|| unsafe {
        submit(queue, client, (timeout_ms, userdata), id_or_null, || Operation::public_key(text(key_id, "key_id")?))
    })
}

/// Submits a call like tckms_seal(), for a small plaintext. The key requests run on a worker thread
/// of the queue; the thread that takes the completion encrypts.
///
/// @param queue             The queue.
/// @param keyring           The keyring. Copied.
/// @param buf               The plaintext. Copied into memory that is wiped.
/// @param len               0 to TCKMS_QUEUE_MESSAGE_MAX bytes.
/// @param ctx_json_or_null  As for tckms_seal().
/// @param timeout_ms        As for tckms_submit_encrypt(). A custom key's callback is not
///                          interrupted, but the call does not wait for it any longer.
/// @param userdata          As for tckms_submit_encrypt().
/// @param id_or_null        As for tckms_submit_encrypt().
/// @return                  As for tckms_submit_encrypt(). TCKMS_ERR_PLAINTEXT_TOO_LARGE when there
///                          is more: tckms_submit_seal_begin() takes any size.
///
/// The completion's output is the message. It is longer than the plaintext, by a few hundred bytes
/// and more under many keys or with a large context. tckms_submit_open() takes at most
/// TCKMS_QUEUE_MESSAGE_MAX bytes of message too, so the message of a plaintext that is near the
/// limit does not fit there: open it with tckms_submit_open_begin().
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_submit_seal(
    queue: *const tckms_queue,
    keyring: *const tckms_keyring,
    buf: *const c_void,
    len: usize,
    ctx_json_or_null: *const c_char,
    timeout_ms: i64,
    userdata: *mut c_void,
    id_or_null: *mut u64,
) -> Status {
    // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
    guard(|| unsafe {
        let (id, queue, options) = begin(queue, (timeout_ms, userdata), id_or_null)?;
        let (keyring, plaintext) = (handle(keyring, "keyring")?, bytes(buf, len, "buf")?);
        let context = Context::from_optional_json(optional_text(ctx_json_or_null, "ctx_json_or_null")?)?;
        let operation = SealOperation::seal(&keyring.0, plaintext, context)?;
        tell(id, queue.submit_seal(|| operation, options)?);
        Ok(())
    })
}

/// Submits a call like tckms_open(), for a small message. The key requests run on a worker thread of
/// the queue; the cipher work is done by the thread that takes the completion.
///
/// @param queue                      The queue.
/// @param keyring                    The keyring. Copied.
/// @param msg                        The message. Copied.
/// @param len                        0 to TCKMS_QUEUE_MESSAGE_MAX bytes.
/// @param expected_ctx_json_or_null  As for tckms_open().
/// @param timeout_ms                 As for tckms_submit_seal().
/// @param userdata                   As for tckms_submit_encrypt().
/// @param id_or_null                 As for tckms_submit_encrypt().
/// @return                           As for tckms_submit_encrypt(). TCKMS_ERR_PLAINTEXT_TOO_LARGE
///                                   when the message is longer: tckms_submit_open_begin() takes any
///                                   size.
///
/// The completion's output is the plaintext. The limit is one of the message, not of the plaintext:
/// what tckms_submit_seal() makes of TCKMS_QUEUE_MESSAGE_MAX bytes is longer and needs
/// tckms_submit_open_begin().
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_submit_open(
    queue: *const tckms_queue,
    keyring: *const tckms_keyring,
    msg: *const c_void,
    len: usize,
    expected_ctx_json_or_null: *const c_char,
    timeout_ms: i64,
    userdata: *mut c_void,
    id_or_null: *mut u64,
) -> Status {
    // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
    guard(|| unsafe {
        let (id, queue, options) = begin(queue, (timeout_ms, userdata), id_or_null)?;
        let (keyring, message) = (handle(keyring, "keyring")?, bytes(msg, len, "msg")?);
        let expected = optional_text(expected_ctx_json_or_null, "expected_ctx_json_or_null")?;
        let operation = SealOperation::open(&keyring.0, message, Context::from_optional_json(expected)?)?;
        tell(id, queue.submit_seal(|| operation, options)?);
        Ok(())
    })
}

/// Submits the key phase of a stream that seals: afterwards none of its functions waits for keys.
///
/// @param queue       The queue.
/// @param stream      A stream of tckms_stream_new_seal(), after its setters. The queue takes it and
///                    sets this to NULL; the completion returns it. When it is not NULL after a
///                    failure, it still belongs to the caller.
/// @param timeout_ms  As for tckms_submit_seal().
/// @param userdata    As for tckms_submit_encrypt().
/// @param id_or_null  As for tckms_submit_encrypt().
/// @return            As for tckms_submit_encrypt(); TCKMS_ERR_INVALID_STATE for a stream that
///                    opens.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_submit_seal_begin(
    queue: *const tckms_queue,
    stream: *mut *mut tckms_stream,
    timeout_ms: i64,
    userdata: *mut c_void,
    id_or_null: *mut u64,
) -> Status {
    // SAFETY: "Handles" and "Outputs" in the header.
    guard(|| unsafe {
        let (id, queue, options) = begin(queue, (timeout_ms, userdata), id_or_null)?;
        let place = stream_of(stream, true)?;
        tell(id, queue.submit_seal(|| SealOperation::BeginSeal(take(place).into()), options)?);
        Ok(())
    })
}

/// Submits the key phase of a stream that opens: afterwards none of its functions waits for keys.
///
/// @param queue       The queue.
/// @param stream      A stream of tckms_stream_new_open(), after its setters. The queue takes it and
///                    sets this to NULL; the completion returns it. When it is not NULL after a
///                    failure, it still belongs to the caller.
/// @param header      The beginning of the message, with its whole header: a few hundred bytes,
///                    seldom more than 4096. More than the header is harmless. Copied.
/// @param len         1 to 1048576 bytes; another length is refused at once with
///                    TCKMS_ERR_INVALID_LENGTH. When the message's header is longer than `len`, the
///                    status of the completion is TCKMS_ERR_TRUNCATED.
/// @param timeout_ms  As for tckms_submit_seal().
/// @param userdata    As for tckms_submit_encrypt().
/// @param id_or_null  As for tckms_submit_encrypt().
/// @return            As for tckms_submit_encrypt(); TCKMS_ERR_INVALID_STATE for a stream that
///                    seals.
///
/// tckms_completion_consumed() returns how many bytes the stream has taken; the message continues
/// after them.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_submit_open_begin(
    queue: *const tckms_queue,
    stream: *mut *mut tckms_stream,
    header: *const c_void,
    len: usize,
    timeout_ms: i64,
    userdata: *mut c_void,
    id_or_null: *mut u64,
) -> Status {
    // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
    guard(|| unsafe {
        let (id, queue, options) = begin(queue, (timeout_ms, userdata), id_or_null)?;
        let place = stream_of(stream, false)?;
        let header = bytes(header, len, "header")?;
        if header.is_empty() || header.len() > HEADER_MAX {
            let count = if header.is_empty() { "no".to_owned() } else { len.to_string() };
            let message = format!("the header has {count} bytes; 1 to {HEADER_MAX} are allowed");
            return Err(Error::new(Status::InvalidLength, message));
        }
        let header = crate::Secret::copy_of(header)?;
        tell(id, queue.submit_seal(|| SealOperation::BeginOpen(take(place).into(), header), options)?);
        Ok(())
    })
}

/// Submits a call that panics on the network thread. Only in the library that the tests build.
#[cfg(feature = "test-hooks")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_test_submit_panic(queue: *const tckms_queue, client: *const tckms_client) -> Status {
    // SAFETY: "Handles" in the header.
    guard(|| unsafe { submit(queue, client, (1, ptr::null_mut()), ptr::null_mut(), || Ok(Operation::Panic)) })
}

/// The id that the call was submitted with.
///
/// @param completion  The completion, or NULL.
/// @return            The id; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_id(completion: *const tckms_completion) -> u64 {
    // SAFETY: "Handles" in the header.
    unsafe { completion.as_ref() }.map_or(0, |completion| completion.id)
}

/// The pointer that the call was submitted with.
///
/// @param completion  The completion, or NULL.
/// @return            The pointer; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_userdata(completion: *const tckms_completion) -> *mut c_void {
    // SAFETY: "Handles" in the header.
    unsafe { completion.as_ref() }.map_or(ptr::null_mut(), |completion| completion.userdata.load(Ordering::Relaxed))
}

/// How the call ended: what the function that blocks would have returned.
///
/// @param completion  The completion, or NULL.
/// @return            The status; TCKMS_ERR_NULL_POINTER for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_status(completion: *const tckms_completion) -> Status {
    // SAFETY: "Handles" in the header.
    unsafe { completion.as_ref() }.map_or(Status::NullPointer, |completion| completion.status)
}

/// The detail of a call that failed.
///
/// @param completion  The completion, or NULL.
/// @return            The error, borrowed from the completion. NULL when the call succeeded or the
///                    error was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_error(completion: *const tckms_completion) -> *const tckms_error {
    // SAFETY: "Handles" in the header.
    let completion = unsafe { completion.as_ref() };
    completion.and_then(|completion| completion.error.as_deref()).map_or(ptr::null(), ptr::from_ref)
}

/// Takes the detail of a call that failed.
///
/// @param completion  The completion, or NULL. Its status remains.
/// @return            The error, owned by the caller, who frees it with tckms_error_free(), also
///                    after the completion. NULL when the call succeeded or the error was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_take_error(completion: *mut tckms_completion) -> *mut tckms_error {
    guard_infallible(ptr::null_mut(), || {
        // SAFETY: "Handles" in the header.
        let completion = unsafe { completion.as_mut() };
        handle::publish_box(completion.and_then(|completion| completion.error.take()))
    })
}

/// What the call gave: the function that submitted it says what that is.
///
/// @param completion  The completion, or NULL.
/// @return            The buffer, borrowed from the completion and empty when the call failed; NULL
///                    for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_output(completion: *const tckms_completion) -> *const tckms_buffer {
    // SAFETY: "Handles" in the header.
    unsafe { completion.as_ref() }.map_or(ptr::null(), |completion| ptr::from_ref(&completion.output))
}

/// The CiphertextBlob of tckms_submit_generate_data_key().
///
/// @param completion  The completion, or NULL.
/// @return            The buffer, borrowed from the completion and empty for other calls; NULL for
///                    NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_ciphertext(completion: *const tckms_completion) -> *const tckms_buffer {
    // SAFETY: "Handles" in the header.
    unsafe { completion.as_ref() }.map_or(ptr::null(), |completion| ptr::from_ref(&completion.ciphertext))
}

/// Takes what the call gave, without a copy.
///
/// @param completion  The completion. Its output is empty afterwards.
/// @param out         The buffer. Free it with tckms_buffer_free(), which wipes it.
/// @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER, or the status of the call when it failed.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_take_output(
    completion: *mut tckms_completion,
    out: *mut tckms_buffer,
) -> Status {
    // SAFETY: "Handles" and "Outputs" in the header.
    guard(|| unsafe { take_buffer(completion, out, |completion| &mut completion.output) })
}

/// Takes the CiphertextBlob of tckms_submit_generate_data_key(), without a copy.
///
/// @param completion  The completion. It has none afterwards.
/// @param out         The buffer. Free it with tckms_buffer_free().
/// @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER, or the status of the call when it failed.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_take_ciphertext(
    completion: *mut tckms_completion,
    out: *mut tckms_buffer,
) -> Status {
    // SAFETY: "Handles" and "Outputs" in the header.
    guard(|| unsafe { take_buffer(completion, out, |completion| &mut completion.ciphertext) })
}

/// Takes the stream of tckms_submit_seal_begin() and tckms_submit_open_begin().
///
/// @param completion  The completion.
/// @param out         The stream, owned by the caller, who frees it with tckms_stream_free(). NULL
///                    on failure.
/// @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER, the status of the call when it failed, or
///                    TCKMS_ERR_INVALID_STATE when there is no stream or it was taken.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_take_stream(
    completion: *mut tckms_completion,
    out: *mut *mut tckms_stream,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Outputs" in the header.
        let (out, completion) =
            unsafe { (handle_out(out, "out")?, super::arguments::handle_mut(completion, "completion")?) };
        completion.check_succeeded()?;
        let none = || Error::new(Status::InvalidState, "the completion has no stream, or it was taken");
        handle::publish(tckms_stream::from(completion.stream.take().ok_or_else(none)?), out)
    })
}

/// How many bytes of the message the stream of tckms_submit_open_begin() has taken.
///
/// @param completion  The completion, or NULL.
/// @return            Bytes; 0 for other calls and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_consumed(completion: *const tckms_completion) -> usize {
    // SAFETY: "Handles" in the header.
    unsafe { completion.as_ref() }.map_or(0, |completion| completion.consumed)
}

/// The service's id of the call's last request, as tckms_last_request_id() returns it for a call
/// that blocks.
///
/// @param completion  The completion, or NULL.
/// @return            The id, borrowed from the completion; "" when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_request_id(completion: *const tckms_completion) -> *const c_char {
    // SAFETY: "Handles" in the header.
    unsafe { text_of(completion, LastRequest::request_id) }
}

/// The CMK of the call's last request, as tckms_last_key_id() returns it for a call that blocks.
///
/// @param completion  The completion, or NULL.
/// @return            The key id, borrowed from the completion; "" when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_key_id(completion: *const tckms_completion) -> *const c_char {
    // SAFETY: "Handles" in the header.
    unsafe { text_of(completion, LastRequest::key_id) }
}

/// Frees a completion with all that was not taken from it. Secrets are wiped.
///
/// @param completion  NULL, which is harmless, or a completion of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_completion_free(completion: *mut tckms_completion) {
    // SAFETY: "Handles" in the header.
    unsafe { handle::free(completion) };
}

impl From<Completion> for tckms_completion {
    fn from(completion: Completion) -> Self {
        let mut made = Self {
            id: completion.id,
            userdata: completion.userdata,
            status: Status::Ok,
            error: None,
            output: tckms_buffer { data: ptr::null_mut(), len: 0 },
            ciphertext: tckms_buffer { data: ptr::null_mut(), len: 0 },
            stream: None,
            consumed: 0,
            last_request: completion.last_request.into(),
        };
        if let Err(error) = completion.result.and_then(|output| made.fill(output)) {
            made.output.clear();
            made.status = error.status();
            made.error = Some(Box::new(tckms_error::new(&error)));
        }
        made
    }
}

impl tckms_completion {
    fn fill(&mut self, output: Output) -> Result<()> {
        match output {
            Output::Bytes(bytes) => self.output.fill(bytes.expose()),
            Output::Public(bytes) => self.output.fill(&bytes),
            Output::DataKey { plaintext, ciphertext_blob } => {
                self.output.fill(plaintext.expose())?;
                self.ciphertext.fill(ciphertext_blob.as_bytes())
            }
            Output::Stream(stream, consumed) => {
                (self.stream, self.consumed) = (Some(stream), consumed);
                Ok(())
            }
            Output::Seal(sealed) => {
                let prepared = sealed.prepared()?;
                self.output.fill_with(prepared.message_len(), |memory| prepared.write(memory))
            }
            Output::Open(opened) => opened.with_prepared(|prepared| {
                self.output.fill_with(prepared.plaintext_len(), |memory| prepared.write(memory))
            }),
        }
    }

    fn check_succeeded(&self) -> Result<()> {
        match self.status {
            Status::Ok => Ok(()),
            status => Err(Error::new(status, "the call failed; its completion has the error")),
        }
    }
}

impl Drop for tckms_completion {
    fn drop(&mut self) {
        self.output.clear();
        self.ciphertext.clear();
    }
}

/// What every function that submits does first.
///
/// # Safety
///
/// "Handles" and "Outputs" in the header.
unsafe fn begin<'a>(
    queue: *const tckms_queue,
    (timeout_ms, userdata): (i64, *mut c_void),
    id_or_null: *mut u64,
) -> Result<(Option<&'a mut u64>, &'a Queue, SubmitOptions)> {
    // SAFETY: the caller's promise.
    let (id, queue) = unsafe {
        let id = if id_or_null.is_null() { None } else { Some(number_out(id_or_null, 0, "id_or_null")?) };
        (id, handle(queue, "queue")?)
    };
    let timeout = crate::config::checked_timeout("timeout", timeout("timeout", timeout_ms)?)?;
    Ok((id, &queue.0, SubmitOptions { timeout, userdata: Userdata::new(userdata) }))
}

/// Submits a call of the key service.
///
/// # Safety
///
/// "Handles" and "Outputs" in the header.
unsafe fn submit(
    queue: *const tckms_queue,
    client: *const tckms_client,
    options: (i64, *mut c_void),
    id_or_null: *mut u64,
    operation: impl FnOnce() -> Result<Operation>,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let ((id, queue, options), client) = unsafe { (begin(queue, options, id_or_null)?, handle(client, "client")?) };
    tell(id, queue.submit(&client.0, operation()?, options)?);
    Ok(())
}

fn tell(id: Option<&mut u64>, number: u64) {
    if let Some(id) = id {
        *id = number;
    }
}

/// The place of a stream that the queue may take.
///
/// # Safety
///
/// `stream` is NULL or points to a stream that no other thread uses ("Handles" in the header).
unsafe fn stream_of<'a>(stream: *mut *mut tckms_stream, seals: bool) -> Result<&'a mut *mut tckms_stream> {
    // SAFETY: the caller's promise.
    let place = unsafe { stream.as_mut() }.ok_or_else(|| null("stream"))?;
    check_output(stream, size_of::<*mut tckms_stream>(), "stream")?;
    // SAFETY: as above.
    match unsafe { place.as_ref() } {
        None => Err(null("*stream")),
        Some(found) if found.seals() != seals => {
            let (is, wanted) = if seals { ("opens", "seals") } else { ("seals", "opens") };
            Err(Error::new(Status::InvalidState, format!("the stream {is}, and one that {wanted} is expected")))
        }
        Some(_) => Ok(place),
    }
}

/// # Safety
///
/// As for [`stream_of`], which checked it.
unsafe fn take(place: &mut *mut tckms_stream) -> Stream {
    // SAFETY: the caller's promise.
    unsafe { handle::take(std::mem::replace(place, ptr::null_mut())) }.into()
}

/// # Safety
///
/// "Handles" and "Outputs" in the header.
unsafe fn take_buffer(
    completion: *mut tckms_completion,
    out: *mut tckms_buffer,
    buffer: impl FnOnce(&mut tckms_completion) -> &mut tckms_buffer,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let (out, completion) =
        unsafe { (tckms_buffer::out(out, "out")?, super::arguments::handle_mut(completion, "completion")?) };
    completion.check_succeeded()?;
    std::mem::swap(out, buffer(completion));
    Ok(())
}

/// # Safety
///
/// `completion` is NULL or a live completion.
unsafe fn text_of(completion: *const tckms_completion, text: fn(&LastRequest) -> &CStr) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { completion.as_ref() }.map_or(c"".as_ptr(), |completion| text(&completion.last_request).as_ptr())
}

/// A place for a number, set to `none`.
///
/// # Safety
///
/// `pointer` is NULL or points to a number that may be written ("Outputs" in the header).
unsafe fn number_out<'a, T>(pointer: *mut T, none: T, name: &str) -> Result<&'a mut T> {
    if pointer.is_null() {
        return Err(null(name));
    }
    check_output(pointer, size_of::<T>(), name)?;
    // SAFETY: the caller's promise. The value there may be uninitialised, so it is written before a reference exists.
    unsafe {
        pointer.write(none);
        Ok(&mut *pointer)
    }
}

fn none_done() -> Error {
    Error::new(Status::Again, "no call of the queue is done")
}
