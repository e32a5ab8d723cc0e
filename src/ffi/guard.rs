//! The guard around each function: no panic unwinds into C, nothing is printed, and the error is
//! stored for the thread.

use std::any::Any;
use std::thread;

use super::audit;
use super::last_error::{self, RequestScope};
use super::overlap;
use crate::error::{Error, Result};
use crate::host;
use crate::status::Status;
use crate::sys::wipe;

/// Runs the body of a function that returns a status.
///
/// An error or a panic becomes the status, with its detail kept as the thread's last error.
pub(super) fn guard(body: impl FnOnce() -> Result<()>) -> Status {
    let mut body = Some(body);
    guarded(&mut || body.take().map_or(Ok(()), |body| body()))
}

/// As [`guard`], for a function that can send a request: stores its ids for the thread.
pub(super) fn guard_request(body: impl FnOnce() -> Result<()>) -> Status {
    let mut body = Some(body);
    guarded_request(&mut || body.take().map_or(Ok(()), |body| body()))
}

/// Runs the body of a function that cannot fail. After a panic, which is a fault of this library, it
/// returns `otherwise`.
pub(super) fn guard_infallible<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    let (mut body, mut result) = (Some(body), None);
    let _ = catch(&mut || result = body.take().map(|body| body()));
    result.unwrap_or(otherwise)
}

/// One function for all bodies: it is about a kilobyte of code, and there are two hundred of them.
#[inline(never)]
fn guarded(body: &mut dyn FnMut() -> Result<()>) -> Status {
    let mut outcome = Ok(());
    let error = match catch(&mut || outcome = body()) {
        Ok(()) => outcome.err(),
        Err(panic) => Some(internal(&*panic)),
    };
    let Some(error) = error else { return Status::Ok };
    last_error::store_error(&error);
    error.status()
}

#[inline(never)]
fn guarded_request(body: &mut dyn FnMut() -> Result<()>) -> Status {
    let status = guarded(&mut || {
        let _scope = RequestScope::begin();
        body()
    });
    // The last copy of a secret may have left a part of it there.
    wipe::wipe_vector_registers();
    status
}

#[inline(never)]
fn catch(body: &mut dyn FnMut()) -> thread::Result<()> {
    host::catch(|| {
        let _frame = CallFrame::enter();
        body();
    })
}

/// A running function on this thread, with its handles, and the arguments of the outer function if a
/// callback called it.
struct CallFrame {
    handles: usize,
    outer: Option<Box<overlap::Arguments>>,
}

impl CallFrame {
    fn enter() -> Self {
        Self { handles: audit::enter(), outer: overlap::enter() }
    }
}

impl Drop for CallFrame {
    fn drop(&mut self) {
        audit::leave(self.handles);
        overlap::leave(self.outer.take());
    }
}

fn internal(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a panic without text");
    Error::new(Status::Internal, format!("a fault inside the library, please report it: {text}"))
}

/// Panics, so that a test can see the guard hold. Only in the library that the tests build.
#[cfg(feature = "test-hooks")]
#[unsafe(no_mangle)]
pub extern "C" fn tckms_test_panic() -> Status {
    guard(|| panic!("tckms_test_panic was called"))
}
