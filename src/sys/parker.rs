//! Puts a thread to sleep until another one wakes it.
//!
//! `std::thread::park` does the same, but the standard library allocates a handle for each thread that sleeps, outside of
//! any allocator of ours, and ends the process where there is no memory for it.

use std::sync::Arc;
use std::task::Wake;
use std::time::Duration;

/// The one place where a thread sleeps. A wake-up that comes early makes the next sleep end at once.
///
/// It has no lock: a signal handler may fork while the thread sleeps, and the child goes on here.
pub(crate) struct Parker(State);

impl Parker {
    /// That of this thread.
    pub fn current() -> Arc<Self> {
        thread_local! {
            static OWN: Arc<Parker> = Arc::new(Parker::new());
        }
        // A thread that ends has none any more.
        OWN.try_with(Arc::clone).unwrap_or_else(|_| Arc::new(Self::new()))
    }

    pub fn new() -> Self {
        Self(State::new())
    }

    /// Sleeps until [`unpark`](Self::unpark), `timeout` at most, and possibly less. Only the thread itself calls it.
    pub fn park_timeout(&self, timeout: Duration) {
        self.0.park_timeout(timeout);
    }

    pub fn unpark(&self) {
        self.0.unpark();
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unpark();
    }
}

#[cfg(not(target_os = "linux"))]
use portable::State;
#[cfg(target_os = "linux")]
use waiting::State;

#[cfg(target_os = "linux")]
mod waiting {
    use std::time::Duration;

    use crate::sys::futex;
    use crate::sys::sync::{AtomicU32, Ordering};

    const EMPTY: u32 = 0;
    const WOKEN: u32 = 1;
    /// One less than [`EMPTY`].
    const ASLEEP: u32 = u32::MAX;

    pub(super) struct State(AtomicU32);

    impl State {
        pub fn new() -> Self {
            Self(AtomicU32::new(EMPTY))
        }

        pub fn park_timeout(&self, timeout: Duration) {
            if self.0.fetch_sub(1, Ordering::Acquire) == WOKEN {
                return;
            }
            futex::wait(&self.0, ASLEEP, timeout);
            self.0.swap(EMPTY, Ordering::Acquire);
        }

        pub fn unpark(&self) {
            if self.0.swap(WOKEN, Ordering::Release) == ASLEEP {
                futex::wake(&self.0);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::thread::{self, Thread};
    use std::time::Duration;

    pub(super) struct State(Thread);

    impl State {
        pub fn new() -> Self {
            Self(thread::current())
        }

        pub fn park_timeout(&self, timeout: Duration) {
            thread::park_timeout(timeout);
        }

        pub fn unpark(&self) {
            self.0.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn a_sleep_ends_in_time() {
        let begun = Instant::now();
        Parker::current().park_timeout(Duration::from_millis(30));
        assert!(begun.elapsed() < LONG / 2);
    }

    #[test]
    fn a_wake_up_ends_the_sleep_whether_it_comes_before_or_during_it() {
        let parker = Parker::current();
        parker.unpark();
        let begun = Instant::now();
        parker.park_timeout(LONG);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(30));
                parker.unpark();
            });
            Parker::current().park_timeout(LONG);
        });
        assert!(begun.elapsed() < LONG / 2);
    }

    #[test]
    fn each_thread_has_its_own() {
        assert!(Arc::ptr_eq(&Parker::current(), &Parker::current()));
        assert!(!Arc::ptr_eq(&Parker::current(), &thread::spawn(Parker::current).join().unwrap()));
    }
}
