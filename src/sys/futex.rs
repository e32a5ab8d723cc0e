//! Linux's wait for a number to change.

use std::ptr;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps while the number is `expected`, until [`wake`], `timeout` at most, and possibly less.
pub(crate) fn wait(number: &AtomicU32, expected: u32, timeout: Duration) {
    let timeout = libc::timespec {
        // Not by the name of its type, which musl changes.
        tv_sec: timeout.as_secs().min(i32::MAX as u64) as _,
        tv_nsec: timeout.subsec_nanos() as _,
    };
    // Whatever ends the wait, an error included, the caller looks again.
    futex(number, libc::FUTEX_WAIT, expected, &raw const timeout);
}

/// Wakes one thread that waits.
pub(crate) fn wake(number: &AtomicU32) {
    futex(number, libc::FUTEX_WAKE, 1, ptr::null());
}

fn futex(number: &AtomicU32, operation: libc::c_int, value: u32, timeout: *const libc::timespec) {
    let operation = operation | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the number is alive, and the timeout is NULL or a timespec of the caller's.
    unsafe { libc::syscall(libc::SYS_futex, number.as_ptr(), operation, value, timeout) };
}
