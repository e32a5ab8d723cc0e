//! Prevents a fork while a thread of the library is inside AWS-LC.
//!
//! AWS-LC takes process-wide locks, briefly for every random number. A child that is forked at such a moment inherits
//! the locked lock but not the thread that would release it, and would wait forever. So a fork waits until no thread is
//! inside (`pthread_atfork`), and a thread that enters waits until the fork has ended. Both waits are short: the
//! library's own threads are outside whenever they wait for anything.

use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::cancel::Uncancelable;

/// The longest time that a fork waits. A signal handler may fork on the very thread that is inside.
const FORK_TIMEOUT: Duration = Duration::from_millis(100);
const POLL_INTERVAL: Duration = Duration::from_micros(50);

static INSIDE: AtomicIsize = AtomicIsize::new(0);
static FORKS: AtomicIsize = AtomicIsize::new(0);

/// Runs cryptography that takes such a lock: random numbers, new keys, signatures, RSA. `work` must not call code of the
/// host.
pub(crate) fn with_forks_blocked<T>(work: impl FnOnce() -> T) -> T {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            leave();
        }
    }
    enter();
    let _leave = Leave;
    work()
}

/// Blocks forks until the [`leave`] on the same thread.
pub(crate) fn enter() {
    install_handlers();
    loop {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        if FORKS.load(Ordering::SeqCst) <= 0 {
            return;
        }
        leave();
        thread::sleep(POLL_INTERVAL);
    }
}

pub(crate) fn leave() {
    INSIDE.fetch_sub(1, Ordering::SeqCst);
}

/// Installs the fork handlers. Call it before threads share any state: if two threads called `enter` for the first time
/// at once, one of them would be too late.
pub(crate) fn install_handlers() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if !INSTALLED.load(Ordering::Relaxed) && !INSTALLED.swap(true, Ordering::SeqCst) {
        at_fork(before, after_in_parent, after_in_child);
    }
}

/// Registers functions that run around each `fork` of this process.
fn at_fork(before: extern "C" fn(), in_parent: extern "C" fn(), in_child: extern "C" fn()) {
    // SAFETY: the functions stay where they are, as the library is never unmapped (`-z nodelete`).
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

extern "C" fn before() {
    let _uncancelable = Uncancelable::begin();
    FORKS.fetch_add(1, Ordering::SeqCst);
    let began = Instant::now();
    while INSIDE.load(Ordering::SeqCst) > 0 && began.elapsed() < FORK_TIMEOUT {
        thread::sleep(POLL_INTERVAL);
    }
}

extern "C" fn after_in_parent() {
    FORKS.fetch_sub(1, Ordering::SeqCst);
}

/// Only the forking thread exists in the child, and it is not inside.
extern "C" fn after_in_child() {
    INSIDE.store(0, Ordering::SeqCst);
    FORKS.store(0, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_waits_for_the_threads_inside_and_a_new_one_waits_for_the_fork() {
        enter();
        let forking = thread::spawn(|| {
            before();
            INSIDE.load(Ordering::SeqCst)
        });
        while FORKS.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        leave();
        assert_eq!(forking.join().unwrap(), 0);

        let coming = thread::spawn(|| with_forks_blocked(|| FORKS.load(Ordering::SeqCst)));
        thread::sleep(10 * POLL_INTERVAL);
        assert!(!coming.is_finished());
        after_in_parent();
        assert_eq!(coming.join().unwrap(), 0);
    }
}
