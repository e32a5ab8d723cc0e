//! Sealing and opening between descriptors, on several threads.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::io::{self, Read, Write};
use std::ptr;
use std::thread;

use super::arguments::{handle, optional_text};
use super::extensible::{self, Extensible};
use super::guard::guard_request;
use super::keyring::tckms_keyring;
use super::limits::TCKMS_THREADS_MAX;
use crate::error::{Error, Result};
use crate::last_request;
use crate::seal::{Context, JobControl, ProgressCallback, Stopped};
use crate::status::Status;

/// How tckms_seal_fd() and tckms_open_fd() work. A member that is 0 or NULL has its default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tckms_fd_options {
    /// How many threads work at most: 1 to TCKMS_THREADS_MAX. Default: as many as the process may run
    /// at once. Each needs memory for two pieces of up to 1 MiB, all of them together 32 MiB: with
    /// many threads pieces are shorter, with long frames fewer threads work. One frame always has its
    /// memory.
    pub threads: u32,
    /// To open: not 0 lets signed messages be opened, see tckms_stream_set_signed_allowed().
    pub signed_allowed: c_int,
    /// Called on the caller's thread about ten times a second with the bytes of input that are done,
    /// and the bytes there are in all, UINT64_MAX as long as that is not known. It returns 0 to go on
    /// and anything else to stop, which ends the call with TCKMS_ERR_CANCELED, within the keyring's
    /// total timeout at the latest. When the call succeeds, the last call of the callback has `done`
    /// equal to `total`: all is written then, so stopping is too late and what it returns is ignored.
    pub progress: Option<unsafe extern "C" fn(userdata: *mut c_void, done: u64, total: u64) -> c_int>,
    /// Passed to `progress` as it is.
    pub userdata: *mut c_void,
}

/// Seals everything that a descriptor gives: a file, a pipe, a socket, of any size, in bounded
/// memory, on all cores.
///
/// @param keyring           The keyring, with at least one key that seals. Its cache is not used.
/// @param in_fd             Where the plaintext is read from, up to its end.
/// @param out_fd            Where the message is written to. After a failure what is there has no
///                          end, and no reader takes it for a whole message.
/// @param ctx_json_or_null  NULL, or the context, as for tckms_seal().
/// @param options_or_null   NULL for the defaults.
/// @param size              sizeof(tckms_fd_options); ignored with NULL.
/// @return                  TCKMS_OK, TCKMS_ERR_DESCRIPTOR_FAILED with tckms_error_os_errno(),
///                          TCKMS_ERR_CANCELED or any status; see the chapter on errors.
///
/// Descriptors stay open and may be non-blocking. A pipe without a reader raises no SIGPIPE in the
/// program.
/// Threads: any number at once, each with descriptors of its own. Works on threads of its own, with
/// all signals blocked, which end before it returns; callbacks of keys and of the log run there.
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
        // SAFETY: "Handles" and "Strings and buffers" in the header; `options_or_null` is NULL or points to `size` bytes.
        let (keyring, context, options) = unsafe {
            (
                handle(keyring, "keyring")?,
                optional_text(ctx_json_or_null, "ctx_json_or_null")?,
                tckms_fd_options::read(options_or_null, size)?,
            )
        };
        let context = Context::from_optional_json(context)?;
        options.run(in_fd, out_fd, |input, output, threads, control| {
            keyring.0.seal_reader(&context, input, output, threads, control)
        })
    })
}

/// Opens the message that a descriptor gives: a file, a pipe, a socket, of any size, in bounded
/// memory, on all cores.
///
/// @param keyring                    The keyring, with a key that the data key is wrapped by.
/// @param in_fd                      Where the message is read from; it has to end with the message.
/// @param out_fd                     Where the plaintext is written to, frame by frame, each after
///                                   it is known to be authentic. That nothing is missing is known
///                                   only when the call succeeds: write to a new file and give it
///                                   its name afterwards, and throw away what is there after a
///                                   failure.
/// @param expected_ctx_json_or_null  NULL, or pairs that have to be in the message's context, as for
///                                   tckms_open().
/// @param options_or_null            NULL for the defaults.
/// @param size                       sizeof(tckms_fd_options); ignored with NULL.
/// @return                           TCKMS_OK, TCKMS_ERR_TRUNCATED, TCKMS_ERR_DESCRIPTOR_FAILED with
///                                   tckms_error_os_errno(), TCKMS_ERR_CANCELED or any status; see
///                                   the chapter on errors.
///
/// Descriptors and threads: as for tckms_seal_fd().
/// Threads: any number at once, each with descriptors of its own.
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
        // SAFETY: "Handles" and "Strings and buffers" in the header; `options_or_null` is NULL or points to `size` bytes.
        let (keyring, expected, options) = unsafe {
            (
                handle(keyring, "keyring")?,
                optional_text(expected_ctx_json_or_null, "expected_ctx_json_or_null")?,
                tckms_fd_options::read(options_or_null, size)?,
            )
        };
        let expected = Context::from_optional_json(expected)?;
        let signed_allowed = options.signed_allowed != 0;
        options.run(in_fd, out_fd, |input, output, threads, control| {
            keyring.0.open_reader(&expected, signed_allowed, input, output, threads, control)
        })
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

    fn run<'a>(
        &self,
        in_fd: c_int,
        out_fd: c_int,
        work: impl FnOnce(Descriptor<'_>, Descriptor<'_>, usize, &JobControl) -> Result<()> + Send + 'a,
    ) -> Result<()> {
        let threads = self.checked_threads()?;
        let control = JobControl::default();
        let total = size_left(in_fd).unwrap_or(u64::MAX);
        let told = Cell::new(None);
        let call = |done, total| {
            told.set(Some((done, total)));
            // SAFETY: the program's own pair (tckms_fd_options in the header), on the caller's thread.
            self.progress.is_none_or(|progress| unsafe { progress(self.userdata, done, total) == 0 })
        };
        let mut callback = |done| call(done, total);
        let progress = self.progress.map(|_| &mut callback as &mut ProgressCallback<'_>);
        // The work is done on a thread of the library's, and the ids of its requests belong to this one.
        let mut last = None;
        let outcome = control.run(progress, || {
            let outcome = work(Descriptor(in_fd, &control), Descriptor(out_fd, &control), threads, &control);
            last = Some(last_request::take());
            outcome
        });
        last.map(last_request::replace);
        if let (Ok(()), Some((done, total))) = (&outcome, told.get())
            && done != total
        {
            call(done, done);
        }
        outcome
    }

    fn checked_threads(&self) -> Result<usize> {
        match self.threads {
            0 => Ok(thread::available_parallelism().map_or(1, usize::from).min(TCKMS_THREADS_MAX as usize)),
            threads if threads <= TCKMS_THREADS_MAX => Ok(threads as usize),
            threads => {
                let message = format!("the number of threads is {threads}, 0 to {TCKMS_THREADS_MAX} are allowed");
                Err(Error::new(Status::OutOfRange, message))
            }
        }
    }
}

/// How much a regular file holds behind its position.
fn size_left(fd: c_int) -> Option<u64> {
    // SAFETY: stat is plain data; both calls take any number for a descriptor.
    unsafe {
        let mut stat = std::mem::zeroed::<libc::stat>();
        if libc::fstat(fd, &mut stat) != 0 || stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return None;
        }
        let position = libc::lseek(fd, 0, libc::SEEK_CUR).max(0);
        u64::try_from(stat.st_size.saturating_sub(position)).ok()
    }
}

/// A descriptor of the host's, which is waited for in short spells so that canceling is noticed.
struct Descriptor<'a>(c_int, &'a JobControl);

impl Descriptor<'_> {
    fn wait(&self, events: libc::c_short) -> io::Result<()> {
        const SPELL_MS: c_int = 100;
        loop {
            if self.1.is_over() {
                return Err(io::Error::other(Stopped));
            }
            let mut poll = libc::pollfd { fd: self.0, events, revents: 0 };
            // SAFETY: one pollfd of our own.
            match unsafe { libc::poll(&mut poll, 1, SPELL_MS) } {
                // A negative number is no descriptor, and `poll` would ignore it forever.
                0 if self.0 >= 0 => {}
                // Whatever is the matter with the descriptor, reading or writing tells it better.
                _ => return Ok(()),
            }
        }
    }

    /// The result of `read` or `write`, or `None` when the descriptor was not ready after all.
    fn outcome(result: isize) -> io::Result<Option<usize>> {
        match usize::try_from(result) {
            Ok(len) => Ok(Some(len)),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                error => Err(error),
            },
        }
    }
}

impl Read for Descriptor<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            self.wait(libc::POLLIN)?;
            // SAFETY: `room` may be written, and the kernel writes no more than its length.
            if let Some(len) = Self::outcome(unsafe { libc::read(self.0, room.as_mut_ptr().cast(), room.len()) })? {
                return Ok(len);
            }
        }
    }
}

impl Write for Descriptor<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.wait(libc::POLLOUT)?;
            // SAFETY: `bytes` may be read, and the kernel reads no more than its length.
            if let Some(len) = Self::outcome(unsafe { libc::write(self.0, bytes.as_ptr().cast(), bytes.len()) })? {
                return Ok(len);
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
