//! Keeps a fork from coming while a thread of the library is inside the cryptography.
//!
//! AWS-LC takes locks of the whole process, for a moment with every random number. A child that was forked in such a moment
//! has the lock without the thread that would give it back, and would wait for ever. So a fork waits until nobody is
//! inside (`pthread_atfork`), and who wants to go in waits until the fork is over. Both are short: the library's own
//! threads are outside whenever they wait for anything.

use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::process;

/// How long a fork waits at most: a signal handler may fork on the very thread that is inside.
const PATIENCE: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_micros(50);

static INSIDE: AtomicIsize = AtomicIsize::new(0);
static FORKS: AtomicIsize = AtomicIsize::new(0);

/// Runs cryptography that takes such a lock: random numbers, new keys, signatures, RSA. `work` calls nobody outside the
/// library.
pub(crate) fn inside<T>(work: impl FnOnce() -> T) -> T {
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

/// Begins a stretch of work whose end is a [`leave`] on the same thread.
pub(crate) fn enter() {
    watch_forks();
    loop {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        if FORKS.load(Ordering::SeqCst) <= 0 {
            return;
        }
        leave();
        thread::sleep(LOOK_EVERY);
    }
}

pub(crate) fn leave() {
    INSIDE.fetch_sub(1, Ordering::SeqCst);
}

/// Has to be called before threads share anything: the first `enter` of two threads at once would be too late for one.
pub(crate) fn watch_forks() {
    static WATCHED: AtomicBool = AtomicBool::new(false);
    if !WATCHED.load(Ordering::Relaxed) && !WATCHED.swap(true, Ordering::SeqCst) {
        process::at_fork(before, after_in_parent, after_in_child);
    }
}

extern "C" fn before() {
    let _uncancelable = process::Uncancelable::begin();
    FORKS.fetch_add(1, Ordering::SeqCst);
    let began = Instant::now();
    while INSIDE.load(Ordering::SeqCst) > 0 && began.elapsed() < PATIENCE {
        thread::sleep(LOOK_EVERY);
    }
}

extern "C" fn after_in_parent() {
    FORKS.fetch_sub(1, Ordering::SeqCst);
}

/// Only the forking thread is here, and it is inside nothing.
extern "C" fn after_in_child() {
    INSIDE.store(0, Ordering::SeqCst);
    FORKS.store(0, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_waits_for_who_is_inside_and_who_comes_waits_for_the_fork() {
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

        let coming = thread::spawn(|| inside(|| FORKS.load(Ordering::SeqCst)));
        thread::sleep(10 * LOOK_EVERY);
        assert!(!coming.is_finished());
        after_in_parent();
        assert_eq!(coming.join().unwrap(), 0);
    }
}
