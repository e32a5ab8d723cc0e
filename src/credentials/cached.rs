//! Credentials that are renewed before they expire, once for all threads.

use std::future::poll_fn;
use std::sync::{Arc, MutexGuard};
use std::task::Poll;
use std::time::{Duration, Instant};

use once_cell::race::OnceBox;

use super::{Credentials, ExpiringCredentials, Provider};
use crate::block_on;
use crate::call_control::{self, CHECK_INTERVAL};
use crate::call_scope::{self, blocking};
use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::clock::Moment;
use crate::sys::per_process::PerProcess;
use crate::sys::single_flight::SingleFlight;

/// Credentials are renewed when less than this is left, or less than a tenth of their lifetime if that is shorter.
const MARGIN_MAX: Duration = Duration::from_secs(300);
/// A fetch that fails after this time fails because of its provider, not because of the deadline of the call.
const AMPLE_TIME: Duration = Duration::from_secs(5);
/// After a failure the next renewal waits this long, twice as long after the next one, and so on.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LAST_BACKOFF: Duration = Duration::from_secs(60);
/// Longer than any process runs, and short enough to be added to any clock.
const LIFETIME_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The cached credentials of a provider.
///
/// The caller that finds the credentials due renews them, while others continue with those that are still valid.
/// Callers wait only if there are none. A forked child calls the provider itself, and starts with the preloaded
/// credentials, because their file may no longer be reachable.
pub(crate) struct CachedCredentials {
    provider: Box<dyn Provider>,
    /// Without a lock that a fork could copy.
    preloaded: OnceBox<Known>,
    live: PerProcess<SingleFlight<State>>,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    in_flight: bool,
    /// The calls that have a fetch done, by a worker or themselves.
    booked: usize,
    /// The last renewal, if it failed.
    failure: Option<Failure>,
    /// The last renewal of credentials that the service refused, if the new ones have not been accepted since.
    refusal: Option<Refusal>,
}

#[derive(Clone)]
struct Known {
    credentials: Arc<Credentials>,
    /// When to renew, and when they expire; `None` for never.
    due: Option<(Moment, Moment)>,
}

struct Failure {
    error: Error,
    backoff: Backoff,
}

struct Refusal {
    outcome: RefusalOutcome,
    backoff: Backoff,
}

enum RefusalOutcome {
    /// The provider returned other credentials.
    Replaced,
    /// The provider returned the same credentials again.
    Unchanged,
    Failed(Error),
}

/// A wait that doubles each time.
#[derive(Clone, Copy)]
struct Backoff {
    count: u32,
    until: Moment,
}

impl CachedCredentials {
    pub fn new(provider: Box<dyn Provider>) -> Self {
        Self { provider, preloaded: OnceBox::new(), live: PerProcess::new() }
    }

    /// Fetches what needs no network, so that the process may change its root directory afterwards.
    pub fn preload(&self) -> Result<()> {
        let Some(outcome) = self.provider.preload() else { return Ok(()) };
        let mut state = State::default();
        state.settle(outcome, None, false)?;
        if let Some(known) = state.known {
            // Another thread may have set it, from the same source.
            let _ = self.preloaded.set(Box::new(known));
        }
        Ok(())
    }

    /// Valid credentials. The provider is called on this thread, or on a worker for a queued call.
    pub async fn current(self: &Arc<Self>, timeout: Duration) -> Result<Arc<Credentials>> {
        let deadline = Moment::now() + timeout;
        let is_good = |state: &State, now| state.usable(now).filter(|_| state.in_flight || !state.is_due(now));
        if let Some(good) = self.once_no_worker_fetches(deadline, is_good).await? {
            return Ok(good);
        }
        let booking = Booking::new(self);
        blocking(move || booking.0.current_blocking(deadline.since(Moment::now()))).await?
    }

    /// What `find` finds, or `None` as soon as no worker fetches. Many queued calls that wait for one fetch would otherwise occupy
    /// all workers.
    async fn once_no_worker_fetches<T>(
        &self,
        deadline: Moment,
        find: impl Fn(&State, Moment) -> Option<T>,
    ) -> Result<Option<T>> {
        let flight = self.flight();
        poll_fn(|context| {
            let (state, now) = (flight.lock(), Moment::now());
            if let Some(found) = find(&state, now) {
                return Poll::Ready(Ok(Some(found)));
            }
            if !call_scope::has_workers() || !(state.in_flight || state.booked > 0) {
                return Poll::Ready(Ok(None));
            }
            if let Err(error) = still_waits(deadline) {
                return Poll::Ready(Err(error));
            }
            flight.wake_at_end(&state, context.waker());
            block_on::wake_at(Instant::now() + deadline.since(now));
            Poll::Pending
        })
        .await
    }

    /// Valid credentials. Blocks only if there are none, for `timeout` at most.
    fn current_blocking(&self, timeout: Duration) -> Result<Arc<Credentials>> {
        let deadline = Moment::now() + timeout;
        let flight = self.flight();
        let mut state = flight.lock();
        loop {
            let now = Moment::now();
            match state.usable(now) {
                Some(credentials) if state.in_flight || !state.is_due(now) => return Ok(credentials),
                None if state.in_flight => state = wait(flight, state, deadline)?,
                None if state.is_backing_off(now) => return Err(state.failed()),
                // Half of the time remains for the call itself, for which these credentials are still valid.
                Some(good) => return self.renew(flight, state, Some(good), deadline.since(now) / 2),
                None => return self.renew(flight, state, None, deadline.since(now)),
            }
        }
    }

    /// After the service refused `refused`: gets other credentials, which the next [`current`](Self::current) returns.
    ///
    /// Returns false if there are none. The provider is then not called again during a back-off, unless it only
    /// reads files, so that a service that keeps refusing does not double the requests. An error is the
    /// provider's.
    pub async fn replace(self: &Arc<Self>, refused: &Arc<Credentials>, timeout: Duration) -> Result<bool> {
        if !self.provider.can_renew() {
            return Ok(false);
        }
        let deadline = Moment::now() + timeout;
        let is_replaced = |state: &State, _| (!state.knows(refused)).then_some(());
        if self.once_no_worker_fetches(deadline, is_replaced).await?.is_some() {
            return Ok(true);
        }
        let (booking, refused) = (Booking::new(self), Arc::clone(refused));
        blocking(move || booking.0.replace_blocking(&refused, deadline.since(Moment::now()))).await?
    }

    fn replace_blocking(&self, refused: &Arc<Credentials>, timeout: Duration) -> Result<bool> {
        let deadline = Moment::now() + timeout;
        let flight = self.flight();
        let mut state = flight.lock();
        loop {
            if !state.knows(refused) {
                return Ok(true);
            }
            if !state.in_flight {
                break;
            }
            state = wait(flight, state, deadline)?;
        }
        if refused.were_accepted() {
            state.forget_replacement();
        }
        match &state.refusal {
            Some(refusal) if refusal.backoff.is_running() && !self.provider.is_local() => refusal.outcome(),
            _ => self.renew_refused(flight, state, refused, deadline.since(Moment::now())),
        }
    }

    fn flight(&self) -> &SingleFlight<State> {
        self.live.get_or_init(|| SingleFlight::new(State { known: self.preloaded.get().cloned(), ..State::default() }))
    }

    fn renew(
        &self,
        flight: &SingleFlight<State>,
        state: MutexGuard<'_, State>,
        still_good: Option<Arc<Credentials>>,
        timeout: Duration,
    ) -> Result<Arc<Credentials>> {
        self.fetch(flight, state, timeout, |state, outcome, deadline_cut_short| match (outcome, still_good) {
            // A failure because of this call's deadline does not concern the other callers.
            (Err(error), None) if deadline_cut_short => Err(error),
            (Err(error), _) if call_control::is_canceled() => Err(error),
            (outcome, still_good) => state.settle(outcome, still_good, deadline_cut_short),
        })
    }

    fn renew_refused(
        &self,
        flight: &SingleFlight<State>,
        state: MutexGuard<'_, State>,
        refused: &Arc<Credentials>,
        timeout: Duration,
    ) -> Result<bool> {
        self.fetch(flight, state, timeout, |state, outcome, deadline_cut_short| match outcome {
            Err(error) if deadline_cut_short || call_control::is_canceled() => Err(error),
            outcome => state.settle_refused(outcome, refused),
        })
    }

    /// Runs the one fetch of this process. `settle` receives its outcome and whether the deadline cut it short.
    fn fetch<T>(
        &self,
        flight: &SingleFlight<State>,
        mut state: MutexGuard<'_, State>,
        timeout: Duration,
        settle: impl FnOnce(&mut State, Result<ExpiringCredentials>, bool) -> Result<T>,
    ) -> Result<T> {
        state.in_flight = true;
        let end = Moment::now() + timeout;
        flight.run(
            state,
            || self.provider.fetch(timeout),
            |state, outcome| {
                state.in_flight = false;
                let deadline_cut_short = timeout < AMPLE_TIME && Moment::now() >= end;
                settle(state, outcome.unwrap_or_else(|| Err(panicked())), deadline_cut_short)
            },
        )
    }
}

/// Waits for a fetch of another thread, until the deadline.
fn wait<'a>(
    flight: &SingleFlight<State>,
    state: MutexGuard<'a, State>,
    deadline: Moment,
) -> Result<MutexGuard<'a, State>> {
    Ok(flight.wait(state, still_waits(deadline)?.min(CHECK_INTERVAL)))
}

/// The time left for a fetch of another thread.
fn still_waits(deadline: Moment) -> Result<Duration> {
    let left = deadline.since(Moment::now());
    if left.is_zero() {
        let message = "another thread is still fetching credentials, and the timeout of the call has expired";
        return Err(Error::new(Status::TimedOut, message));
    }
    if call_control::is_canceled() {
        return Err(call_control::canceled());
    }
    Ok(left)
}

/// Says that a worker fetches, or will when it is free.
struct Booking(Arc<CachedCredentials>);

impl Booking {
    fn new(credentials: &Arc<CachedCredentials>) -> Self {
        credentials.flight().lock().booked += 1;
        Self(Arc::clone(credentials))
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.0.flight().end(|state| state.booked -= 1);
    }
}

/// Never returned to a caller: the panic continues.
fn panicked() -> Error {
    Error::new(Status::Internal, "a provider of credentials panicked")
}

impl State {
    fn knows(&self, credentials: &Arc<Credentials>) -> bool {
        self.known.as_ref().is_some_and(|known| Arc::ptr_eq(&known.credentials, credentials))
    }

    fn usable(&self, now: Moment) -> Option<Arc<Credentials>> {
        let known = self.known.as_ref()?;
        known.due.is_none_or(|(_, end)| now < end).then(|| Arc::clone(&known.credentials))
    }

    fn is_due(&self, now: Moment) -> bool {
        let due = self.known.as_ref().and_then(|known| known.due).is_some_and(|(renewal, _)| now >= renewal);
        due && !self.is_backing_off(now)
    }

    fn is_backing_off(&self, now: Moment) -> bool {
        self.failure.as_ref().is_some_and(|failure| now < failure.backoff.until)
    }

    /// The error that there are no valid credentials: the provider returned none, or they have expired.
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
        match outcome.and_then(ExpiringCredentials::unexpired) {
            Ok(issued) => Ok(self.learn(issued)),
            Err(error) => {
                // A fetch cut short by the caller's deadline does not increase the back-off.
                let before = self.failure.as_ref().filter(|_| !deadline_cut_short).map(|failure| failure.backoff);
                self.failure = Some(Failure { error, backoff: Backoff::after(before) });
                still_good.ok_or_else(|| self.failed())
            }
        }
    }

    fn settle_refused(&mut self, outcome: Result<ExpiringCredentials>, refused: &Arc<Credentials>) -> Result<bool> {
        let outcome = match outcome.and_then(ExpiringCredentials::unexpired).map(|issued| self.learn(issued)) {
            Ok(credentials) if Arc::ptr_eq(&credentials, refused) => RefusalOutcome::Unchanged,
            Ok(_) => RefusalOutcome::Replaced,
            Err(error) => RefusalOutcome::Failed(error),
        };
        let before = self.refusal.as_ref().map(|refusal| refusal.backoff);
        let refusal = self.refusal.insert(Refusal { outcome, backoff: Backoff::after(before) });
        match refusal.outcome {
            RefusalOutcome::Replaced => Ok(true),
            _ => refusal.outcome(),
        }
    }

    fn learn(&mut self, issued: ExpiringCredentials) -> Arc<Credentials> {
        let mut known = Known::new(issued, Moment::now());
        // Equal credentials keep the same object, with its signing key and its acceptance flag.
        if let Some(old) = self.known.as_ref().filter(|old| old.credentials.are_same_as(&known.credentials)) {
            known.credentials = Arc::clone(&old.credentials);
        }
        self.failure = None;
        Arc::clone(&self.known.insert(known).credentials)
    }

    /// Once the service has accepted the replacement, the next refusal is handled without back-off.
    fn forget_replacement(&mut self) {
        if self.refusal.as_ref().is_some_and(|refusal| matches!(refusal.outcome, RefusalOutcome::Replaced)) {
            self.refusal = None;
        }
    }
}

impl Refusal {
    /// The result of a refusal during the back-off.
    fn outcome(&self) -> Result<bool> {
        match &self.outcome {
            RefusalOutcome::Replaced | RefusalOutcome::Unchanged => Ok(false),
            RefusalOutcome::Failed(error) => Err(error.clone()),
        }
    }
}

impl Backoff {
    fn after(before: Option<Self>) -> Self {
        let now = Moment::now();
        // A back-off that ended long ago does not count.
        let before = before.filter(|before| now.since(before.until) < LAST_BACKOFF);
        let count = before.map_or(1, |before| before.count.saturating_add(1));
        let pause = FIRST_BACKOFF.saturating_mul(1 << (count - 1).min(16)).min(LAST_BACKOFF);
        Self { count, until: now + pause }
    }

    fn is_running(&self) -> bool {
        Moment::now() < self.until
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

    /// Takes a while, and fails if the timeout is shorter.
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
    fn a_fetch_cut_short_by_its_deadline_does_not_fail_the_others() {
        let cached = CachedCredentials::new(Box::new(Slow(Duration::from_millis(200))));
        std::thread::scope(|scope| {
            let short = scope.spawn(|| cached.current_blocking(Duration::from_millis(50)).err().unwrap().status());
            std::thread::sleep(Duration::from_millis(20));
            // It waits for the fetch of the other thread, and then fetches within its own timeout.
            cached.current_blocking(Duration::from_secs(10)).unwrap();
            assert_eq!(short.join().unwrap(), Status::TimedOut);
        });
    }
}
