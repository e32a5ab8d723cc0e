//! The times at which the queued calls of a network thread want to be polled again.
//!
//! A timer of the runtime would cost each call a system call: the runtime wakes itself whenever its next timer becomes an
//! earlier one. Here one timer of the runtime serves all calls, and is set again only when it has fired or an earlier time
//! is wanted. Deadlines of calls that end are forgotten long before they come.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A time, and a number that makes keys with equal times unique.
pub(super) type Key = (Instant, u64);

#[derive(Default)]
pub(super) struct Timers {
    wakers: RefCell<BTreeMap<Key, Waker>>,
    next_number: Cell<u64>,
    /// When the runtime's timer fires.
    armed: Cell<Option<Instant>>,
    earlier: Arc<Notify>,
}

impl Timers {
    /// The future that fires them, as long as it is polled, at the latest `interval` after each other. `fire` calls
    /// [`fire`](Self::fire) of these timers.
    pub fn firing(
        &self,
        interval: Duration,
        fire: fn(Instant) -> Option<Instant>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let earlier = Arc::clone(&self.earlier);
        async move {
            loop {
                let changed = earlier.notified();
                let now = Instant::now();
                match fire(now) {
                    Some(next) => drop(tokio::time::timeout_at(next.min(now + interval).into(), changed).await),
                    None => changed.await,
                }
            }
        }
    }

    /// Wakes the calls whose time has come. Returns when the next one comes.
    pub fn fire(&self, now: Instant) -> Option<Instant> {
        let mut due = Vec::new();
        let mut wakers = self.wakers.borrow_mut();
        while let Some(entry) = wakers.first_entry().filter(|entry| entry.key().0 <= now) {
            due.push(entry.remove());
        }
        let next = wakers.first_key_value().map(|((at, _), _)| *at);
        self.armed.set(next);
        drop(wakers);
        due.into_iter().for_each(Waker::wake);
        next
    }

    /// Wakes a call at `at`, and perhaps earlier. `key` is that of the call.
    pub fn set(&self, key: &mut Option<Key>, at: Instant, waker: &Waker) {
        let mut wakers = self.wakers.borrow_mut();
        if let Some(known) = key.as_ref() {
            if known.0 <= at && wakers.contains_key(known) {
                return;
            }
            wakers.remove(known);
        }
        let new = (at, self.next_number.replace(self.next_number.get() + 1));
        wakers.insert(new, waker.clone());
        *key = Some(new);
        if self.armed.get().is_none_or(|armed| at < armed) {
            self.armed.set(Some(at));
            self.earlier.notify_one();
        }
    }

    pub fn remove(&self, key: &Key) {
        self.wakers.borrow_mut().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_due_is_woken_and_what_was_removed_is_not() {
        let timers = Timers::default();
        let now = Instant::now();
        let mut keys = [None; 3];
        for (key, steps) in keys.iter_mut().zip([1, 2, 3]) {
            timers.set(key, now + steps * STEP, Waker::noop());
        }
        timers.remove(&keys[1].unwrap());
        assert_eq!(timers.fire(now), Some(now + STEP));
        assert_eq!(timers.fire(now + 2 * STEP), Some(now + 3 * STEP));
        assert_eq!(timers.fire(now + 3 * STEP), None);
    }

    #[test]
    fn a_call_has_one_time_which_only_becomes_earlier() {
        let timers = Timers::default();
        let now = Instant::now();
        let mut key = None;
        timers.set(&mut key, now + 2 * STEP, Waker::noop());
        timers.set(&mut key, now + 3 * STEP, Waker::noop());
        assert_eq!(timers.fire(now), Some(now + 2 * STEP));
        timers.set(&mut key, now + STEP, Waker::noop());
        assert_eq!(timers.fire(now), Some(now + STEP));
        assert_eq!(timers.fire(now + 2 * STEP), None);
        timers.set(&mut key, now + 3 * STEP, Waker::noop());
        assert_eq!(timers.fire(now + 2 * STEP), Some(now + 3 * STEP));
    }
}
