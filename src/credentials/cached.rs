//! Credentials that are renewed in time, once for all threads.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::{Credentials, ExpiringCredentials, Provider};
use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::clock::Moment;
use crate::sys::per_process::PerProcess;

/// Credentials are renewed when less than this is left, or less than a tenth of their lifetime if that is shorter.
const MARGIN_MAX: Duration = Duration::from_secs(300);
/// A fetch that had this long and failed tells of its provider, not of the call that fetched.
const UNHURRIED: Duration = Duration::from_secs(5);
/// After a failure the next renewal waits this long, twice as long after the next one, and so on.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LAST_BACKOFF: Duration = Duration::from_secs(60);
/// As good as for ever, and short enough to be counted by any clock.
const LIFETIME_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A provider with a memory.
///
/// The caller that finds the credentials due renews them on its own thread, while others go on with those that are
/// still good. Nobody waits unless there are none. A forked child asks the provider anew, beginning with what was
/// preloaded: the file that it came from may be out of reach by then.
pub(crate) struct CachedCredentials {
    provider: Box<dyn Provider>,
    preloaded: OnceLock<Known>,
    shared: PerProcess<Shared>,
}

struct Shared {
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    in_flight: bool,
    failure: Option<Failure>,
}

#[derive(Clone)]
struct Known {
    credentials: Arc<Credentials>,
    /// When to renew, and when they are no longer good; `None` for never.
    due: Option<(Moment, Moment)>,
}

struct Failure {
    error: Error,
    count: u32,
    retry_at: Moment,
}

impl CachedCredentials {
    pub fn new(provider: Box<dyn Provider>) -> Self {
        Self { provider, preloaded: OnceLock::new(), shared: PerProcess::new() }
    }

    /// Fetches what needs no network, so that the process may change its root directory afterwards.
    pub fn preload(&self) -> Result<()> {
        let Some(outcome) = self.provider.preload() else { return Ok(()) };
        let mut state = State::default();
        state.settle(outcome, None, false)?;
        if let Some(known) = state.known {
            // Whoever came first has it from the same place.
            let _ = self.preloaded.set(known);
        }
        Ok(())
    }

    fn shared(&self) -> &Shared {
        self.shared.get_or_init(|| Shared::beginning_with(self.preloaded.get().cloned()))
    }

    /// Credentials that are good now. Blocks only when there are none, and then for `timeout` at most.
    pub fn current(&self, timeout: Duration) -> Result<Arc<Credentials>> {
        let deadline = Moment::now() + timeout;
        let shared = self.shared();
        let mut state = shared.lock();
        loop {
            let now = Moment::now();
            match state.usable(now) {
                Some(credentials) if state.in_flight || !state.is_due(now) => return Ok(credentials),
                None if state.in_flight => state = shared.wait(state, deadline)?,
                None if state.is_backing_off(now) => return Err(state.failed()),
                // Half of the time is for the call itself, which these credentials are still good for.
                Some(good) => return self.renew(shared, state, Some(good), deadline.since(now) / 2),
                None => return self.renew(shared, state, None, deadline.since(now)),
            }
        }
    }

    /// After the service refused the token of `refused`: makes the next [`current`](Self::current) renew it. Says no
    /// when that could not help.
    pub fn discard(&self, refused: &Arc<Credentials>) -> bool {
        if !self.provider.can_renew() {
            return false;
        }
        let mut state = self.shared().lock();
        if state.known.as_ref().is_some_and(|known| Arc::ptr_eq(&known.credentials, refused)) {
            state.known = None;
            state.failure = None;
        }
        true
    }

    fn renew(
        &self,
        shared: &Shared,
        mut state: MutexGuard<'_, State>,
        still_good: Option<Arc<Credentials>>,
        timeout: Duration,
    ) -> Result<Arc<Credentials>> {
        state.in_flight = true;
        drop(state);
        // A panic of the provider must not leave the others waiting for ever.
        let guard = InFlightGuard(shared);
        let end = Moment::now() + timeout;
        let outcome = self.provider.fetch(timeout);
        let deadline_cut_short = timeout < UNHURRIED && Moment::now() >= end;
        let mut state = shared.lock();
        let result = match (outcome, still_good) {
            // A call whose own time ran out found out nothing for those who have none either.
            (Err(error), None) if deadline_cut_short => Err(error),
            (outcome, still_good) => state.settle(outcome, still_good, deadline_cut_short),
        };
        drop(state);
        drop(guard);
        result
    }
}

impl Shared {
    fn beginning_with(known: Option<Known>) -> Self {
        Self { state: Mutex::new(State { known, ..State::default() }), settled: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, deadline: Moment) -> Result<MutexGuard<'a, State>> {
        let left = deadline.since(Moment::now());
        if left.is_zero() {
            let message = "another thread is still fetching credentials, and the time allowed for the call is over";
            return Err(Error::new(Status::TimedOut, message).with_retryable(true));
        }
        Ok(self.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// Ends a flight, whatever became of it.
struct InFlightGuard<'a>(&'a Shared);

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight = false;
        self.0.settled.notify_all();
    }
}

impl State {
    fn usable(&self, now: Moment) -> Option<Arc<Credentials>> {
        let known = self.known.as_ref()?;
        known.due.is_none_or(|(_, end)| now < end).then(|| Arc::clone(&known.credentials))
    }

    fn is_due(&self, now: Moment) -> bool {
        let due = self.known.as_ref().and_then(|known| known.due).is_some_and(|(renewal, _)| now >= renewal);
        due && !self.is_backing_off(now)
    }

    fn is_backing_off(&self, now: Moment) -> bool {
        self.failure.as_ref().is_some_and(|failure| now < failure.retry_at)
    }

    /// Why there are no credentials. Those that there were are expired.
    fn failed(&self) -> Error {
        let Some(failure) = &self.failure else {
            return Error::new(Status::NoCredentials, "there are no credentials");
        };
        if self.known.is_none() {
            return failure.error.clone();
        }
        let cause = &failure.error;
        let message = format!("the credentials are expired and could not be renewed: {cause}");
        let error = Error::new(Status::CredentialsExpired, message).with_retryable(cause.is_retryable());
        match cause.service_code() {
            Some(code) => error.with_service(code, cause.request_id()),
            None => error,
        }
    }

    fn settle(
        &mut self,
        outcome: Result<ExpiringCredentials>,
        still_good: Option<Arc<Credentials>>,
        deadline_cut_short: bool,
    ) -> Result<Arc<Credentials>> {
        let now = Moment::now();
        match outcome.and_then(ExpiringCredentials::unexpired) {
            Ok(issued) => {
                let credentials = Arc::clone(&issued.credentials);
                self.known = Some(Known::new(issued, now));
                self.failure = None;
                Ok(credentials)
            }
            Err(error) => {
                // Failures of calls in a hurry do not add up.
                let before = self.failure.as_ref().filter(|_| !deadline_cut_short);
                let count = before.map_or(1, |failure| failure.count.saturating_add(1));
                let backoff = FIRST_BACKOFF.saturating_mul(1 << (count - 1).min(16)).min(LAST_BACKOFF);
                self.failure = Some(Failure { error, count, retry_at: now + backoff });
                still_good.ok_or_else(|| self.failed())
            }
        }
    }
}

impl Known {
    fn new(issued: ExpiringCredentials, now: Moment) -> Self {
        let due = issued.lifetime.map(|lifetime| {
            let lifetime = lifetime.min(LIFETIME_MAX);
            let margin = MARGIN_MAX.min(lifetime / 10);
            (now + (lifetime - margin), now + lifetime)
        });
        Self { credentials: issued.credentials, due }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers after a while, to those who have the time.
    struct Slow(Duration);

    impl Provider for Slow {
        fn name(&self) -> &'static str {
            "slow"
        }

        fn fetch(&self, timeout: Duration) -> Result<ExpiringCredentials> {
            std::thread::sleep(self.0.min(timeout));
            if timeout < self.0 {
                return Err(Error::new(Status::TimedOut, "no reply came"));
            }
            Credentials::new("AKIDexample", "secret", None).map(ExpiringCredentials::from)
        }
    }

    #[test]
    fn a_call_in_a_hurry_does_not_fail_the_others() {
        let refreshing = CachedCredentials::new(Box::new(Slow(Duration::from_millis(200))));
        std::thread::scope(|scope| {
            let hasty = scope.spawn(|| refreshing.current(Duration::from_millis(50)).err().unwrap().status());
            std::thread::sleep(Duration::from_millis(20));
            // It waits for the other's fetch, and then fetches with the time that it has itself.
            refreshing.current(Duration::from_secs(10)).unwrap();
            assert_eq!(hasty.join().unwrap(), Status::TimedOut);
        });
    }
}
