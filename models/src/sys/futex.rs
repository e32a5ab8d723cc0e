//! Replaces `src/sys/futex.rs`: the kernel compares the number and starts to sleep in one step, under a lock that a wake takes too.

use std::time::Duration;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Condvar, Mutex};

struct Kernel {
    lock: Mutex<()>,
    woken: Condvar,
}

loom::lazy_static! {
    static ref KERNEL: Kernel = Kernel { lock: Mutex::new(()), woken: Condvar::new() };
}

pub fn wait(number: &AtomicU32, expected: u32, _never: Duration) {
    let held = KERNEL.lock.lock().unwrap();
    if number.load(Ordering::SeqCst) == expected {
        drop(KERNEL.woken.wait(held).unwrap());
    }
}

pub fn wake(_: &AtomicU32) {
    let _held = KERNEL.lock.lock().unwrap();
    KERNEL.woken.notify_all();
}
