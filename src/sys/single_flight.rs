//! Single flight: one caller does slow work for all callers that need its result.

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::task::Waker;
use std::time::Duration;

use super::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

/// A state, and slow work on it that one caller at a time does while the others wait for the result.
///
/// The state itself records which work is in flight. The pattern is: [`lock`](Self::lock) and check; if
/// the work is in flight, [`wait`](Self::wait) as long as the deadline allows and check again; otherwise
/// mark it as in flight and [`run`](Self::run) it.
pub(crate) struct SingleFlight<S> {
    state: Mutex<S>,
    ended: Condvar,
    /// The wakers of waiting futures. Only changed while the state is locked.
    wakers: Mutex<Vec<Waker>>,
}

impl<S> SingleFlight<S> {
    pub fn new(state: S) -> Self {
        Self { state: Mutex::new(state), ended: Condvar::new(), wakers: Mutex::default() }
    }

    pub fn lock(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless another thread has locked it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, S>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(state)) => Some(state.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits until some work has ended, for at most `timeout`, possibly less. The caller then checks the
    /// state again, and its own deadline before it waits again.
    pub fn wait<'a>(&self, state: MutexGuard<'a, S>, timeout: Duration) -> MutexGuard<'a, S> {
        self.ended.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Wakes a future when some work has ended. The future then checks the state again.
    pub fn wake_at_end(&self, _: &MutexGuard<'_, S>, waker: &Waker) {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    /// Ends work that was not done with [`run`](Self::run): `settle` removes its mark from the state.
    pub fn end<R>(&self, settle: impl FnOnce(&mut S) -> R) -> R {
        let mut state = self.lock();
        let result = settle(&mut state);
        let wakers = mem::take(&mut *self.wakers.lock().unwrap_or_else(PoisonError::into_inner));
        drop(state);
        self.ended.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// Runs `work` without the lock, then `settle` with it, then wakes the waiting callers. `state` is
    /// marked already.
    ///
    /// If `work` panics, `settle` gets `None`, so that it can remove the mark, and the panic continues.
    pub fn run<T, R>(
        &self,
        state: MutexGuard<'_, S>,
        work: impl FnOnce() -> T,
        settle: impl FnOnce(&mut S, Option<T>) -> R,
    ) -> R {
        drop(state);
        let outcome = panic::catch_unwind(AssertUnwindSafe(work));
        let (outcome, panic) = match outcome {
            Ok(outcome) => (Some(outcome), None),
            Err(panic) => (None, Some(panic)),
        };
        let result = self.end(|state| settle(state, outcome));
        match panic {
            None => result,
            Some(panic) => panic::resume_unwind(panic),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct State {
        value: Option<u32>,
        in_flight: bool,
        fetched: u32,
    }

    fn get(flight: &SingleFlight<State>, work: impl FnOnce() -> u32) -> Option<u32> {
        let mut state = flight.lock();
        while state.in_flight {
            state = flight.wait(state, Duration::from_secs(10));
        }
        if state.value.is_some() {
            return state.value;
        }
        state.in_flight = true;
        flight.run(state, work, |state, outcome| {
            state.in_flight = false;
            state.fetched += 1;
            state.value = outcome;
            outcome
        })
    }

    #[test]
    fn one_caller_works_for_all() {
        let flight = SingleFlight::new(State::default());
        let slow = || {
            thread::sleep(Duration::from_millis(50));
            7
        };
        thread::scope(|scope| {
            let callers: Vec<_> = (0..16).map(|_| scope.spawn(|| get(&flight, slow))).collect();
            assert!(callers.into_iter().all(|caller| caller.join().unwrap() == Some(7)));
        });
        assert_eq!(flight.lock().fetched, 1);
    }

    #[test]
    fn a_panic_ends_the_flight_too() {
        let flight = SingleFlight::new(State::default());
        thread::scope(|scope| {
            let panics = scope.spawn(|| get(&flight, || panic::resume_unwind(Box::new("on purpose"))));
            assert!(panics.join().is_err());
        });
        assert_eq!(get(&flight, || 8), Some(8));
    }

    #[test]
    fn a_wait_ends_in_time() {
        let flight = SingleFlight::new(State::default());
        let begun = std::time::Instant::now();
        drop(flight.wait(flight.lock(), Duration::from_millis(30)));
        assert!(begun.elapsed() >= Duration::from_millis(30) && begun.elapsed() < Duration::from_secs(5));
    }
}
