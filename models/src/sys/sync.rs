//! Replaces `src/sys/sync.rs` with loom's types.

pub use loom::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
pub use loom::sync::{Condvar, Mutex, MutexGuard};
pub use std::sync::{PoisonError, TryLockError};

/// The guarantees of `once_cell::race::OnceBox`: the first value that is set stays, and the value that loses the race is dropped.
pub struct OnceBox<T> {
    pointer: AtomicPtr<T>,
}

impl<T> OnceBox<T> {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self { pointer: AtomicPtr::new(std::ptr::null_mut()) }
    }

    pub fn get(&self) -> Option<&T> {
        // SAFETY: a pointer that was set remains until the box is dropped.
        unsafe { self.pointer.load(Ordering::Acquire).as_ref() }
    }

    pub fn get_or_init(&self, make: impl FnOnce() -> Box<T>) -> &T {
        match self.get_or_try_init(|| Ok::<_, std::convert::Infallible>(make())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    pub fn get_or_try_init<E>(&self, make: impl FnOnce() -> Result<Box<T>, E>) -> Result<&T, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        let made = Box::into_raw(make()?);
        let null = std::ptr::null_mut();
        let value = match self.pointer.compare_exchange(null, made, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => made,
            Err(other) => {
                // SAFETY: it was never shared.
                drop(unsafe { Box::from_raw(made) });
                other
            }
        };
        // SAFETY: as in `get`.
        Ok(unsafe { &*value })
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        let value = self.pointer.load(Ordering::Acquire);
        if !value.is_null() {
            // SAFETY: it came from a box, and no borrow is left.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}
