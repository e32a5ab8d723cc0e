//! Queued calls, as a program with an event loop makes them: one thread submits them and takes their completions.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

use super::LibTckms;
use crate::account::KEY_ID;
use crate::c_abi::{Handle, OK, Status};
use crate::caller::Caller;
use crate::error::Result;

/// `TCKMS_ERR_AGAIN`: no completion is ready.
const AGAIN: Status = 821;
const TIMEOUT_MS: i64 = 60_000;

/// The functions of `tckms.h` for queues.
struct QueueApi {
    queue_new: unsafe extern "C" fn(*const c_void, usize, *mut Handle) -> Status,
    queue_free: unsafe extern "C" fn(Handle),
    queue_fd: unsafe extern "C" fn(Handle, *mut c_int) -> Status,
    queue_next: unsafe extern "C" fn(Handle, *mut Handle) -> Status,
    #[allow(clippy::type_complexity)]
    submit_encrypt: unsafe extern "C" fn(
        Handle,
        Handle,
        *const c_char,
        *const c_void,
        usize,
        *const c_char,
        i64,
        *mut c_void,
        *mut u64,
    ) -> Status,
    completion_status: unsafe extern "C" fn(Handle) -> Status,
    completion_free: unsafe extern "C" fn(Handle),
}

/// Submits Encrypt calls, so that `in_flight` of them are in flight.
pub struct QueuedEncrypts {
    library: LibTckms,
    api: QueueApi,
    queue: Handle,
    descriptor: c_int,
    in_flight: usize,
}

// SAFETY: tckms.h says of tckms_queue: "Any number of threads may use a queue at once".
unsafe impl Sync for QueuedEncrypts {}

impl QueuedEncrypts {
    pub fn new(endpoint: &str, library: &Path, ca_file: Option<&Path>, len: usize, in_flight: usize) -> Result<Self> {
        let library = LibTckms::with_connections(library, endpoint, ca_file, len, in_flight)?;
        let from = &library.api._library;
        // SAFETY: the types are those of tckms.h.
        let api = unsafe {
            QueueApi {
                queue_new: *from.get("tckms_queue_new")?,
                queue_free: *from.get("tckms_queue_free")?,
                queue_fd: *from.get("tckms_queue_fd")?,
                queue_next: *from.get("tckms_queue_next")?,
                submit_encrypt: *from.get("tckms_submit_encrypt")?,
                completion_status: *from.get("tckms_completion_status")?,
                completion_free: *from.get("tckms_completion_free")?,
            }
        };
        let (mut queue, mut descriptor) = (ptr::null_mut(), -1);
        // SAFETY: both outputs are valid, and NULL stands for the default options.
        unsafe {
            library.api.check((api.queue_new)(ptr::null(), 0, &mut queue))?;
            library.api.check((api.queue_fd)(queue, &mut descriptor))?;
        }
        Ok(Self { library, api, queue, descriptor, in_flight })
    }

    fn submit(&self) -> Result<()> {
        let (key_id, plaintext): (&CStr, &[u8]) = (KEY_ID, &self.library.plaintext);
        // SAFETY: the queue and the client live as long as self; the inputs are copied.
        self.library.api.check(unsafe {
            (self.api.submit_encrypt)(
                self.queue,
                self.library.client,
                key_id.as_ptr(),
                plaintext.as_ptr().cast(),
                plaintext.len(),
                ptr::null(),
                TIMEOUT_MS,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        })
    }

    /// Takes a completion, if there is one.
    fn take(&self) -> Result<bool> {
        let mut completion = ptr::null_mut();
        // SAFETY: the queue lives as long as self, and the completion is freed once.
        unsafe {
            match (self.api.queue_next)(self.queue, &mut completion) {
                AGAIN => return Ok(false),
                status => self.library.api.check(status)?,
            }
            let status = (self.api.completion_status)(completion);
            (self.api.completion_free)(completion);
            if status == OK { Ok(true) } else { Err(format!("a queued call failed with status {status}").into()) }
        }
    }

    fn wait(&self) {
        let mut polled = libc::pollfd { fd: self.descriptor, events: libc::POLLIN, revents: 0 };
        // SAFETY: the array has one element, and it is valid.
        unsafe { libc::poll(&mut polled, 1, -1) };
    }
}

impl Caller for QueuedEncrypts {
    fn call(&self) -> Result<()> {
        self.calls(1)
    }

    fn calls(&self, count: usize) -> Result<()> {
        let mut submitted = self.in_flight.min(count);
        (0..submitted).try_for_each(|_| self.submit())?;
        let mut done = 0;
        while done < count {
            self.wait();
            while self.take()? {
                done += 1;
                if submitted < count {
                    self.submit()?;
                    submitted += 1;
                }
            }
        }
        Ok(())
    }
}

impl Drop for QueuedEncrypts {
    fn drop(&mut self) {
        // SAFETY: the queue is from queue_new, and nothing uses it after this.
        unsafe { (self.api.queue_free)(self.queue) }
    }
}
