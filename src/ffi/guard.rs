//! Nothing unwinds into C, nothing is printed, and what went wrong is kept for the thread that asks.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::audit;
use super::last_error::{self, RequestScope};
use super::overlap;
use crate::error::{Error, Result};
use crate::http::thread as http_thread;
use crate::status::Status;
use crate::sys::{cancel, threads};

thread_local! {
    /// How many of our functions are running on this thread: a callback may call the library again.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs the body of a function that returns a status.
///
/// An error or a panic becomes the status, with its detail kept as the thread's last error.
pub(super) fn guard(body: impl FnOnce() -> Result<()>) -> Status {
    let outcome = catch(body).unwrap_or_else(|panic| Err(internal(&*panic)));
    match outcome {
        Ok(()) => Status::Ok,
        Err(error) => {
            let status = error.status();
            last_error::store_error(&error);
            status
        }
    }
}

/// As [`guard`], for a function that can send a request: its ids are kept for the thread.
pub(super) fn guard_request(body: impl FnOnce() -> Result<()>) -> Status {
    guard(|| {
        let _scope = RequestScope::begin();
        body()
    })
}

/// Runs the body of a function that cannot fail. What it returns after a panic, which is a fault of this library, is
/// `otherwise`.
pub(super) fn guard_infallible<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch(body).unwrap_or(otherwise)
}

fn catch<T>(body: impl FnOnce() -> T) -> thread::Result<T> {
    let _uncancelable = cancel::Uncancelable::begin();
    quiet_panics();
    threads::keep_handle_reachable();
    let _inside = Inside::enter();
    panic::catch_unwind(AssertUnwindSafe(body))
}

/// One function of ours on this thread, with the handles that it was given, and the arguments of the function that a
/// callback called it from.
struct Inside {
    handles: usize,
    outer: overlap::Arguments,
}

impl Inside {
    fn enter() -> Self {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Self { handles: audit::enter(), outer: overlap::enter() }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        audit::leave(self.handles);
        DEPTH.with(|depth| depth.set(depth.get() - 1));
        overlap::leave(std::mem::take(&mut self.outer));
    }
}

fn internal(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a panic without text");
    Error::new(Status::Internal, format!("a fault inside the library, please report it: {text}"))
}

/// Puts a hook before the one that prints, once. It is silent for panics inside our functions and on threads of ours,
/// and leaves all others to the hook before: statically linked Rust code of the host shares the hook with us.
fn quiet_panics() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if INSTALLED.swap(true, Ordering::AcqRel) {
        return;
    }
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        http_thread::stop_if_network_thread();
        let ours = DEPTH.try_with(Cell::get).unwrap_or(0) > 0;
        if !ours && !threads::is_ours() {
            previous(info);
        }
    }));
}

/// Panics, so that a test can see the guard hold. Only in the library that the tests build.
#[cfg(feature = "test-hooks")]
#[unsafe(no_mangle)]
pub extern "C" fn tckms_test_panic() -> Status {
    guard(|| panic!("tckms_test_panic was called"))
}
