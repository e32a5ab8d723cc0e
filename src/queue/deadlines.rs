//! A thread that ends calls in time, however long a callback of the host keeps their worker.
//!
//! There is none before a call is submitted that workers carry out.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::queue::workers::unavailable;
use crate::sys::signals;
use crate::sys::threads::{self, JoinHandle};

/// How long a worker has after a deadline to end the call itself, with an error that says what it waited for.
pub(super) const DEADLINE_GRACE: Duration = Duration::from_millis(40);
/// The shortest time between two looks at all calls.
const PERIOD_MIN: Duration = Duration::from_millis(10);

/// Has calls with deadlines.
pub(super) trait Expiring: Send + Sync {
    /// Ends the calls whose time had passed at `now`, and returns when the next one's has.
    fn expire(&self, now: Instant) -> Option<Instant>;
}

#[derive(Default)]
pub(super) struct DeadlineThread(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: Option<Instant>,
    thread: Option<JoinHandle<()>>,
    is_ending: bool,
}

impl DeadlineThread {
    /// Has `calls` expire at `time`, or soon after.
    pub fn expire_at(&self, time: Instant, calls: Weak<dyn Expiring>) -> Result<()> {
        let mut state = self.0.lock();
        if state.thread.is_none() && !state.is_ending {
            let shared = Arc::clone(&self.0);
            let started = signals::with_signals_blocked(|| threads::spawn(c"tckms-queue", move || shared.run(&calls)));
            let thread =
                started.map_err(|error| unavailable(&error.to_string()).with_os_errno(error.raw_os_error()))?;
            state.thread = Some(thread);
        }
        if state.next.is_none_or(|next| time < next) {
            state.next = Some(time);
            self.0.changed.notify_one();
        }
        Ok(())
    }

    pub fn end(&self) {
        let mut state = self.0.lock();
        state.is_ending = true;
        let thread = state.thread.take();
        drop(state);
        self.0.changed.notify_one();
        drop(thread.map(JoinHandle::join));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, calls: &Weak<dyn Expiring>) {
        let mut state = self.lock();
        while !state.is_ending {
            let now = Instant::now();
            match state.next {
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(next) if now < next => {
                    let (woken, _) =
                        self.changed.wait_timeout(state, next - now).unwrap_or_else(PoisonError::into_inner);
                    state = woken;
                }
                Some(_) => {
                    state.next = None;
                    drop(state);
                    let next = calls.upgrade().and_then(|calls| calls.expire(now));
                    state = self.lock();
                    let next = next.map(|next| next.max(now + PERIOD_MIN));
                    state.next = [state.next, next].into_iter().flatten().min();
                }
            }
        }
    }
}
