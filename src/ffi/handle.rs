//! Handles: pointers that a program has to objects of the library, from the function that creates
//! one to the one that frees it.

use std::alloc::{Layout, alloc};
use std::ptr;

use super::audit;
use super::guard::guard_infallible;
use crate::error::{Error, Result};
use crate::status::Status;

/// Transfers an object to the program.
pub(super) fn publish<T>(object: T, out: &mut *mut T) -> Result<()> {
    let handle = publish_or_null(object);
    if handle.is_null() {
        return Err(Error::new(Status::OutOfMemory, format!("no memory for an object of {} bytes", size_of::<T>())));
    }
    *out = handle;
    Ok(())
}

/// As [`publish`], for functions that return the handle. NULL when there is no memory: `Box` would
/// abort the process.
pub(super) fn publish_or_null<T>(object: T) -> *mut T {
    const { assert!(size_of::<T>() > 0, "alloc takes no size of 0") };
    // SAFETY: the size is not 0. The block is written before it is used, and `free` turns it back
    // into a box.
    unsafe {
        let handle = alloc(Layout::new::<T>()).cast::<T>();
        if !handle.is_null() {
            handle.write(object);
            audit::made(handle.addr());
        }
        handle
    }
}

/// Takes an object back from the program and drops it. NULL is harmless.
///
/// # Safety
///
/// `handle` is NULL or came from [`publish`] or [`publish_or_null`], is freed once, and no other
/// thread uses it ("Handles" in the header).
pub(super) unsafe fn free<T>(handle: *mut T) {
    guard_infallible((), || {
        if !handle.is_null() {
            audit::freed(handle.addr());
            // SAFETY: the caller's promise.
            drop(unsafe { Box::from_raw(handle) });
        }
    });
}

/// Takes an object back from the program.
///
/// # Safety
///
/// As for [`free`], without NULL.
pub(super) unsafe fn take<T>(handle: *mut T) -> T {
    audit::freed(handle.addr());
    // SAFETY: the caller's promise.
    *unsafe { Box::from_raw(handle) }
}

/// Transfers a boxed object to the program.
pub(super) fn publish_box<T>(object: Option<Box<T>>) -> *mut T {
    let handle = object.map_or(ptr::null_mut(), Box::into_raw);
    audit::made(handle.addr());
    handle
}
