//! Sealing and opening between descriptors, on several threads.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use super::arguments::{handle, optional_text};
use super::extensible::{self, Extensible};
use super::guard::guard_request;
use super::keyring::tckms_keyring;
use crate::error::Result;
use crate::seal::{Context, DescriptorJob};
use crate::status::Status;

/// Options of tckms_seal_fd() and tckms_open_fd(). A member that is 0 or NULL has its default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tckms_fd_options {
    /// The maximum number of threads: 1 to TCKMS_THREADS_MAX. Default: as many as the process can
    /// run in parallel. Each needs memory for two chunks of up to 1 MiB, all of them together 32
    /// MiB: with many threads the chunks are shorter, with long frames fewer threads run. There is
    /// always memory for one frame.
    pub threads: u32,
    /// To open: not 0 allows signed messages, see tckms_stream_set_signed_allowed().
    pub signed_allowed: c_int,
    /// Called on the caller's thread about ten times a second with the number of input bytes done
    /// and the total, UINT64_MAX while that is not known. Return 0 to continue; any other value ends
    /// the call with TCKMS_ERR_CANCELED, at the latest after the keyring's total timeout. If the
    /// call succeeds, the last callback has `done` equal to `total`; everything is written then, and
    /// its result is ignored.
    pub progress: Option<unsafe extern "C" fn(userdata: *mut c_void, done: u64, total: u64) -> c_int>,
    /// Passed to `progress` unchanged.
    pub userdata: *mut c_void,
}

/// Seals everything that can be read from a descriptor: a file, a pipe, a socket, of any size, in
/// bounded memory, on all cores.
///
/// @param keyring           The keyring, with at least one key that seals. Its cache is not used.
/// @param in_fd             The descriptor to read the plaintext from, up to its end.
/// @param out_fd            The descriptor to write the message to. After a failure the output has
///                          no end, and no reader takes it for a complete message.
/// @param ctx_json_or_null  NULL, or the context, as for tckms_seal().
/// @param options_or_null   NULL for the defaults.
/// @param size              sizeof(tckms_fd_options); ignored with NULL.
/// @return                  TCKMS_OK, TCKMS_ERR_DESCRIPTOR_FAILED with tckms_error_os_errno(),
///                          TCKMS_ERR_CANCELED or any status; see the chapter on errors.
///
/// Descriptors stay open and may be non-blocking. A pipe without a reader raises no SIGPIPE in the
/// program.
/// Threads: any number at once, each with its own descriptors. The function starts threads, with all
/// signals blocked, which end before it returns; callbacks of keys and of the log run on them.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_seal_fd(
    keyring: *const tckms_keyring,
    in_fd: c_int,
    out_fd: c_int,
    ctx_json_or_null: *const c_char,
    options_or_null: *const tckms_fd_options,
    size: usize,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header; `options_or_null` is NULL or
        // points to `size` bytes.
        let (keyring, context, options) = unsafe {
            (
                handle(keyring, "keyring")?,
                optional_text(ctx_json_or_null, "ctx_json_or_null")?,
                tckms_fd_options::read(options_or_null, size)?,
            )
        };
        let context = Context::from_optional_json(context)?;
        options.run(|job| keyring.0.seal_descriptor(&context, in_fd, out_fd, job))
    })
}

/// Opens the message that is read from a descriptor: a file, a pipe, a socket, of any size, in
/// bounded memory, on all cores.
///
/// @param keyring                    The keyring, with a key that the data key is wrapped by.
/// @param in_fd                      The descriptor to read the message from; it must end with the
///                                   message.
/// @param out_fd                     The descriptor to write the plaintext to, frame by frame, each
///                                   after it is authenticated. The plaintext is known to be
///                                   complete only when the call succeeds: write to a new file,
///                                   rename it afterwards, and discard the output after a failure.
/// @param expected_ctx_json_or_null  NULL, or pairs that the message's context must have, as for
///                                   tckms_open().
/// @param options_or_null            NULL for the defaults.
/// @param size                       sizeof(tckms_fd_options); ignored with NULL.
/// @return                           TCKMS_OK, TCKMS_ERR_TRUNCATED, TCKMS_ERR_DESCRIPTOR_FAILED with
///                                   tckms_error_os_errno(), TCKMS_ERR_CANCELED or any status; see
///                                   the chapter on errors.
///
/// Descriptors and threads: as for tckms_seal_fd().
/// Threads: any number at once, each with its own descriptors.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_open_fd(
    keyring: *const tckms_keyring,
    in_fd: c_int,
    out_fd: c_int,
    expected_ctx_json_or_null: *const c_char,
    options_or_null: *const tckms_fd_options,
    size: usize,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header; `options_or_null` is NULL or
        // points to `size` bytes.
        let (keyring, expected, options) = unsafe {
            (
                handle(keyring, "keyring")?,
                optional_text(expected_ctx_json_or_null, "expected_ctx_json_or_null")?,
                tckms_fd_options::read(options_or_null, size)?,
            )
        };
        let expected = Context::from_optional_json(expected)?;
        options.run(|job| keyring.0.open_descriptor(&expected, in_fd, out_fd, job))
    })
}

// SAFETY: two numbers and two pointers without padding, of which each pointer may be NULL.
unsafe impl Extensible for tckms_fd_options {
    const NAME: &'static str = "tckms_fd_options";
    const SIZES: &'static [usize] = &[size_of::<Self>()];
}

impl tckms_fd_options {
    const DEFAULT: Self = Self { threads: 0, signed_allowed: 0, progress: None, userdata: ptr::null_mut() };

    /// # Safety
    ///
    /// `options` is NULL or points to `size` readable bytes.
    unsafe fn read(options: *const Self, size: usize) -> Result<Self> {
        // SAFETY: the caller's promise.
        Ok(unsafe { extensible::read_optional(options, size, "options_or_null")? }.unwrap_or(Self::DEFAULT))
    }

    /// Runs `work` with these options.
    fn run(&self, work: impl FnOnce(&mut DescriptorJob<'_>) -> Result<()>) -> Result<()> {
        let mut progress = |done, total: Option<u64>| {
            // SAFETY: the program's own pair (tckms_fd_options in the header), on the caller's thread.
            self.progress
                .is_none_or(|progress| unsafe { progress(self.userdata, done, total.unwrap_or(u64::MAX)) == 0 })
        };
        work(&mut DescriptorJob {
            threads: self.threads,
            signed_allowed: self.signed_allowed != 0,
            progress: self.progress.is_some().then_some(&mut progress),
        })
    }
}
