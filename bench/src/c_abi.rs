//! The types of `tckms.h` that every measurement uses, and the errors of failed calls.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use libloading::Library;

use crate::error::Result;

pub type Handle = *mut c_void;
pub type Status = c_int;
pub const OK: Status = 0;

#[repr(C)]
pub struct Buffer {
    pub data: *mut u8,
    pub len: usize,
}

impl Buffer {
    pub const EMPTY: Self = Self { data: ptr::null_mut(), len: 0 };
}

/// The functions that return the error of a failed call.
pub struct Errors {
    last_error: unsafe extern "C" fn() -> Handle,
    error_message: unsafe extern "C" fn(Handle) -> *const c_char,
}

impl Errors {
    /// # Safety
    ///
    /// `library` must be libtckms, and must stay loaded as long as the value is used.
    pub unsafe fn load(library: &Library) -> Result<Self> {
        // SAFETY: the types above are those of tckms.h.
        unsafe {
            Ok(Self {
                last_error: *library.get("tckms_last_error")?,
                error_message: *library.get("tckms_error_message")?,
            })
        }
    }

    /// Turns the status of this thread's last call into a result.
    pub fn check(&self, status: Status) -> Result<()> {
        if status == OK {
            return Ok(());
        }
        // SAFETY: error_message accepts what last_error returns, also NULL, and its text is valid until the thread's next call.
        let message = unsafe { (self.error_message)((self.last_error)()) };
        if message.is_null() {
            return Err(format!("libtckms: status {status}").into());
        }
        // SAFETY: the text ends with a NUL byte.
        Err(format!("libtckms: {}", unsafe { CStr::from_ptr(message) }.to_string_lossy()).into())
    }
}
