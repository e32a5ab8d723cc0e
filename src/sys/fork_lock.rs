//! Prevents a fork while a thread of the library is inside AWS-LC.
//!
//! AWS-LC takes process-wide locks, briefly for every random number. A child that is forked at such a moment inherits the
//! locked lock but not the thread that would release it, and would wait forever. So a fork waits until no other thread is
//! inside (`pthread_atfork`), and a thread that wants to enter waits until the fork is over. Both waits are short: the
//! library's own threads are outside whenever they wait for anything.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::cancel::Uncancelable;
use super::fork_counter::{ForkCounter, ThreadState};
use super::{memory_reserve, signals};

/// The longest time that a fork waits.
const FORK_TIMEOUT: Duration = Duration::from_millis(100);
const POLL_INTERVAL: Duration = Duration::from_micros(50);

static COUNTER: ForkCounter = ForkCounter { inside: AtomicU64::new(0), forks: AtomicUsize::new(0) };

thread_local! {
    static THREAD: ThreadState = const { ThreadState { depth: AtomicU64::new(0), forks: AtomicUsize::new(0) } };
}

/// Runs cryptography that takes such a lock: random numbers, new keys, signatures, RSA. `work` must not call code of the
/// host.
///
/// Signals wait meanwhile: a handler that forks inside AWS-LC would make its child end, as AWS-LC refuses to complete a
/// random number that the parent gets too.
pub(crate) fn with_forks_blocked<T>(work: impl FnOnce() -> T) -> T {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            leave();
        }
    }
    signals::with_signals_blocked(|| {
        enter();
        let _leave = Leave;
        work()
    })
}

/// Blocks forks until the [`leave`] on the same thread.
pub(crate) fn enter() {
    install_handlers();
    while !THREAD.with(|thread| COUNTER.try_enter(thread)) {
        thread::sleep(POLL_INTERVAL);
    }
}

pub(crate) fn leave() {
    THREAD.with(|thread| COUNTER.leave(thread));
}

/// Installs the fork handlers. To be called before threads share anything: when the first `enter` of two threads coincide,
/// one of them would be too late.
pub(crate) fn install_handlers() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if !INSTALLED.load(Ordering::Relaxed) && !INSTALLED.swap(true, Ordering::SeqCst) {
        // libc has no memory for it: the next call tries again.
        INSTALLED.store(at_fork(before, after_in_parent, after_in_child), Ordering::SeqCst);
    }
}

/// Registers functions that run around each `fork` of this process. Says whether that worked.
fn at_fork(before: extern "C" fn(), in_parent: extern "C" fn(), in_child: extern "C" fn()) -> bool {
    if cfg!(miri) {
        // It knows no fork.
        return true;
    }
    // SAFETY: the functions stay where they are, as the library is never unmapped (`-z nodelete`).
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) == 0 }
}

extern "C" fn before() {
    let _uncancelable = Uncancelable::begin();
    THREAD.with(|thread| {
        // A signal handler that forks must find both counters changed, or neither.
        signals::with_signals_blocked(|| COUNTER.begin_fork(thread));
        let began = Instant::now();
        while COUNTER.are_others_inside(thread) && began.elapsed() < FORK_TIMEOUT {
            thread::sleep(POLL_INTERVAL);
        }
    });
}

extern "C" fn after_in_parent() {
    signals::with_signals_blocked(|| THREAD.with(|thread| COUNTER.end_fork_in_parent(thread)));
}

extern "C" fn after_in_child() {
    signals::with_signals_blocked(|| {
        THREAD.with(|thread| COUNTER.end_fork_in_child(thread));
        memory_reserve::release_after_fork();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_waits_for_the_threads_inside_and_a_new_one_waits_for_the_fork() {
        let own_forks = || THREAD.with(|thread| thread.forks.load(Ordering::SeqCst));
        enter();
        let (forked, is_forked) = std::sync::mpsc::channel();
        let (end, is_over) = std::sync::mpsc::channel();
        let forking = thread::spawn(move || {
            before();
            let others = THREAD.with(|thread| COUNTER.are_others_inside(thread));
            forked.send(others).unwrap();
            is_over.recv().unwrap();
            after_in_parent();
        });
        while COUNTER.forks.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        assert_eq!(own_forks(), 0);
        leave();
        assert!(!is_forked.recv().unwrap());

        let coming = thread::spawn(|| with_forks_blocked(|| COUNTER.forks.load(Ordering::SeqCst)));
        thread::sleep(10 * POLL_INTERVAL);
        assert!(!coming.is_finished());
        end.send(()).unwrap();
        assert_eq!(coming.join().unwrap(), 0);
        forking.join().unwrap();
    }
}
