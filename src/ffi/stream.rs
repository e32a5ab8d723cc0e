//! Streams: sealing and opening in bounded memory.

use std::ffi::{c_char, c_int, c_void};

use super::arguments::{bytes, handle, handle_mut, handle_out, null, optional_text, out_slice};
use super::guard::{guard, guard_request};
use super::handle;
use super::keyring::tckms_keyring;
use super::overlap::check_output;
use crate::error::{Error, Result};
use crate::queue::Stream;
use crate::seal::{Context, OpenStream, Progress, SealStream};
use crate::status::Status;

/// A stream that seals or opens one message: it takes plaintext and returns a message, or the
/// reverse.
///
/// A stream is used by one thread at a time. It holds one frame in memory. After a call fails, it is
/// empty and refuses all further calls. Without tckms_stream_finish() a message has no end. A forked
/// child cannot continue a message that its parent began to seal.
pub struct tckms_stream(Kind);

enum Kind {
    Seal(Box<SealStream>),
    Open(Box<OpenStream>),
}

impl From<Stream> for tckms_stream {
    fn from(stream: Stream) -> Self {
        Self(match stream {
            Stream::Seal(sealer) => Kind::Seal(sealer),
            Stream::Open(opener) => Kind::Open(opener),
        })
    }
}

impl From<tckms_stream> for Stream {
    fn from(stream: tckms_stream) -> Self {
        match stream.0 {
            Kind::Seal(sealer) => Self::Seal(sealer),
            Kind::Open(opener) => Self::Open(opener),
        }
    }
}

impl tckms_stream {
    /// Whether it seals, and not opens.
    pub(super) fn seals(&self) -> bool {
        matches!(self.0, Kind::Seal(_))
    }

    fn update(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress> {
        match &mut self.0 {
            Kind::Seal(sealer) => sealer.update(input, output),
            Kind::Open(opener) => opener.update(input, output),
        }
    }

    fn finish(&mut self, output: &mut [u8]) -> Result<Progress> {
        match &mut self.0 {
            Kind::Seal(sealer) => sealer.finish(output),
            Kind::Open(opener) => opener.finish(output),
        }
    }
}

/// Creates a stream that seals. The keys generate a data key in the first function that needs one:
/// tckms_stream_update(), tckms_stream_finish(), or one that returns a size.
///
/// @param keyring           The keyring, copied: it may be freed before the stream.
/// @param ctx_json_or_null  NULL, or the context, as for tckms_seal(). Copied.
/// @param out               The stream, owned by the caller, who frees it with tckms_stream_free().
///                          NULL on failure.
/// @return                  TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
///                          TCKMS_ERR_INVALID_CONTEXT or TCKMS_ERR_RESERVED_CONTEXT_KEY.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_stream_new_seal(
    keyring: *const tckms_keyring,
    ctx_json_or_null: *const c_char,
    out: *mut *mut tckms_stream,
) -> Status {
    guard(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, keyring, context) = unsafe {
            (handle_out(out, "out")?, handle(keyring, "keyring")?, optional_text(ctx_json_or_null, "ctx_json_or_null")?)
        };
        let sealer = SealStream::new(&keyring.0, Context::from_optional_json(context)?)?;
        handle::publish(tckms_stream(Kind::Seal(Box::new(sealer))), out)
    })
}

/// Creates a stream that opens. It returns each frame's plaintext as soon as that frame is
/// authenticated. The message is known to be complete only when tckms_stream_finish() sets `done`:
/// until then, the plaintext may be a prefix.
///
/// @param keyring                    The keyring, copied: it may be freed before the stream.
/// @param expected_ctx_json_or_null  NULL, or pairs that the message's context must have, as for
///                                   tckms_open(). Copied.
/// @param out                        The stream, owned by the caller, who frees it with
///                                   tckms_stream_free(). NULL on failure.
/// @return                           TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
///                                   TCKMS_ERR_INVALID_CONTEXT.
///
/// A signed message is refused unless tckms_stream_set_signed_allowed() was called.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_stream_new_open(
    keyring: *const tckms_keyring,
    expected_ctx_json_or_null: *const c_char,
    out: *mut *mut tckms_stream,
) -> Status {
    guard(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, keyring, expected) = unsafe {
            (
                handle_out(out, "out")?,
                handle(keyring, "keyring")?,
                optional_text(expected_ctx_json_or_null, "expected_ctx_json_or_null")?,
            )
        };
        let opener = OpenStream::new(&keyring.0, Context::from_optional_json(expected)?);
        handle::publish(tckms_stream(Kind::Open(Box::new(opener))), out)
    })
}

/// Frees a stream and wipes its memory. A message that was not finished has no end.
///
/// @param stream  NULL, which is harmless, or a stream of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_stream_free(stream: *mut tckms_stream) {
    // SAFETY: "Handles" in the header.
    unsafe { handle::free(stream) };
}

/// Sets the length of the plaintext. If the plaintext has another length, the stream fails. A stream
/// that seals can then use the keyring's cache and return the message's length.
///
/// @param stream  The stream, before tckms_stream_update(), tckms_stream_finish() and the functions
///                that return sizes.
/// @param size    Bytes of plaintext.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_STATE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_stream_set_plaintext_size(stream: *mut tckms_stream, size: u64) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        match unsafe { &mut handle_mut(stream, "stream")?.0 } {
            Kind::Seal(sealer) => sealer.set_plaintext_size(size),
            Kind::Open(opener) => opener.set_plaintext_size(size),
        }
    })
}

/// Sets the maximum length of the plaintext. A stream with more plaintext fails as soon as it
/// exceeds this. A stream that seals can then use the keyring's cache; the whole length counts
/// against the limit of the data key.
///
/// @param stream  The stream, before tckms_stream_update(), tckms_stream_finish() and the functions
///                that return sizes.
/// @param bound   Bytes of plaintext.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_STATE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_stream_set_plaintext_bound(stream: *mut tckms_stream, bound: u64) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        match unsafe { &mut handle_mut(stream, "stream")?.0 } {
            Kind::Seal(sealer) => sealer.set_plaintext_bound(bound),
            Kind::Open(opener) => opener.set_plaintext_bound(bound),
        }
    })
}

/// Allows a stream to open signed messages. It then returns plaintext, except the last frame, before
/// the signature is checked: it was sealed under the data key, but the sender is not known until
/// tckms_stream_finish() sets `done`. If the stream fails, discard all of it.
///
/// @param stream   A stream that opens, before tckms_stream_update() and tckms_stream_finish().
/// @param allowed  0 (default): signed messages are refused. Anything else: they are opened.
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_STATE, also for a stream
///                 that seals.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_stream_set_signed_allowed(stream: *mut tckms_stream, allowed: c_int) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        match unsafe { &mut handle_mut(stream, "stream")?.0 } {
            Kind::Seal(_) => Err(Error::new(Status::InvalidState, "a stream that seals opens no messages")),
            Kind::Open(opener) => opener.set_signed_allowed(allowed != 0),
        }
    })
}

/// Passes bytes to a stream and gets bytes from it. Either count may be 0: a stream whose output is
/// full takes no input, and an incomplete frame produces no output.
///
/// @param stream    The stream.
/// @param in        The next bytes.
/// @param in_len    0 or more bytes.
/// @param consumed  How many of them were taken. Pass the rest again.
/// @param out       Memory for the output; may be NULL when `out_size` is 0. Must not overlap `in`.
///                  Frames are decrypted in it: do not read it before the call returns. After a
///                  failure it holds nothing that the call decrypted.
/// @param out_size  0 or more bytes.
/// @param produced  How many bytes of `out` were filled.
/// @return          TCKMS_OK or any status; see the chapter on errors. After a failure the stream
///                  can only be freed.
///
/// The first call blocks while the keys generate the data key; in a stream that opens, the call that
/// completes the header blocks while they unwrap it.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_stream_update(
    stream: *mut tckms_stream,
    r#in: *const c_void,
    in_len: usize,
    consumed: *mut usize,
    out: *mut c_void,
    out_size: usize,
    produced: *mut usize,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (consumed, produced, stream, input, output) = unsafe {
            (
                number_out(consumed, "consumed"),
                number_out(produced, "produced"),
                handle_mut(stream, "stream")?,
                bytes(r#in, in_len, "in")?,
                optional_out_slice(out, out_size)?,
            )
        };
        let (consumed, produced) = (consumed?, produced?);
        let progress = stream.update(input, output)?;
        (*consumed, *produced) = (progress.consumed, progress.produced);
        Ok(())
    })
}

/// Ends a stream, which then takes no more input. Call it until `done` is 1, with new memory each
/// time.
///
/// @param stream    The stream.
/// @param out       Memory for the output; may be NULL when `out_size` is 0.
/// @param out_size  0 or more bytes.
/// @param produced  How many bytes of `out` were filled.
/// @param done      1 when all output has been returned. Only then is a sealed message, or the
///                  plaintext of an opened one, complete.
/// @return          TCKMS_OK, TCKMS_ERR_TRUNCATED when a message to be opened has not ended, or any
///                  status; see the chapter on errors. After a failure the stream can only be freed.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_stream_finish(
    stream: *mut tckms_stream,
    out: *mut c_void,
    out_size: usize,
    produced: *mut usize,
    done: *mut c_int,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles" and "Outputs" in the header.
        let (produced, done, stream, output) = unsafe {
            (
                number_out(produced, "produced"),
                number_out(done, "done"),
                handle_mut(stream, "stream")?,
                optional_out_slice(out, out_size)?,
            )
        };
        let (produced, done) = (produced?, done?);
        let progress = stream.finish(output)?;
        (*produced, *done) = (progress.produced, progress.done.into());
        Ok(())
    })
}

/// Returns the output size with which tckms_stream_update() can take `in_len` bytes in one call, and
/// tckms_stream_finish() can then return everything.
///
/// @param stream    The stream.
/// @param in_len    0 or more bytes.
/// @param out_size  A sufficient number of bytes; for a stream that seals, not much more than
///                  needed.
/// @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER, or any status of the keys of a stream that
///                  seals.
///
/// In a stream that seals, the first call blocks while the keys generate a data key.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_stream_output_size(
    stream: *mut tckms_stream,
    in_len: usize,
    out_size: *mut usize,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles" and "Outputs" in the header.
        let (out_size, stream) = unsafe { (number_out(out_size, "out_size")?, handle_mut(stream, "stream")?) };
        *out_size = match &mut stream.0 {
            Kind::Seal(sealer) => sealer.output_len(in_len)?,
            Kind::Open(opener) => opener.output_len(in_len)?,
        };
        Ok(())
    })
}

/// Returns the exact length of the complete message before it is written.
///
/// @param stream        A stream that seals, after tckms_stream_set_plaintext_size().
/// @param message_size  Bytes.
/// @return              TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_STATE when the size was
///                      not set or the stream opens, or any status of the keys.
///
/// The first call blocks while the keys make a data key.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_stream_message_size(stream: *mut tckms_stream, message_size: *mut u64) -> Status {
    guard_request(|| {
        // SAFETY: "Handles" and "Outputs" in the header.
        let (message_size, stream) =
            unsafe { (number_out(message_size, "message_size")?, handle_mut(stream, "stream")?) };
        *message_size = match &mut stream.0 {
            Kind::Seal(sealer) => sealer.message_len()?,
            Kind::Open(_) => {
                return Err(Error::new(Status::InvalidState, "a message does not say how long its plaintext is"));
            }
        };
        Ok(())
    })
}

/// A place for a number, set to 0.
///
/// # Safety
///
/// `pointer` is NULL or points to a number that may be written ("Outputs" in the header).
unsafe fn number_out<'a, T: Default>(pointer: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: the caller's promise. The value there may be uninitialised, so it is written before a
    // reference exists.
    unsafe {
        if pointer.is_null() {
            return Err(null(name));
        }
        check_output(pointer, size_of::<T>(), name)?;
        pointer.write(T::default());
        Ok(&mut *pointer)
    }
}

/// Memory for an output, which may have length 0.
///
/// # Safety
///
/// As for [`out_slice`].
unsafe fn optional_out_slice<'a>(out: *mut c_void, out_size: usize) -> Result<&'a mut [u8]> {
    if out_size == 0 {
        return Ok(&mut []);
    }
    // SAFETY: the caller's promise.
    unsafe { out_slice(out, out_size, "out") }
}
