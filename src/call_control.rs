//! The limits of a call: its deadline, its cancellation, and the number of its retries.
//!
//! A call has many places to wait: for a reply, a connection, a rate limit, a pause before the next
//! attempt, a renewal of credentials that another thread carries out. So its limits are per-thread state
//! of the thread that runs the call, and each of these places reads them here. Calls nest: opening a
//! message sends requests to the key service, and a program's callback may call the library again. The limits of all
//! outer calls apply to the innermost one.
//!
//! The network thread interleaves many queued calls. Each has its own [`Limits`], which are those of
//! the thread while the call's future is polled ([`swap`]).

use std::cell::RefCell;
use std::future::poll_fn;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::block_on::{thread_waker, wake_at};
use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::per_process::PerProcess;

/// The interval at which a wait that cannot be woken checks whether the call was canceled.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Cancels calls from any thread, permanently. Clones cancel the same calls.
#[derive(Clone)]
pub(crate) struct CancelToken(Arc<Shared>);

struct Shared {
    canceled: AtomicBool,
    /// Cancels this one as well.
    parent: Option<CancelToken>,
    /// The wakers of the calls that use this token, one for each call.
    wakers: PerProcess<Mutex<Vec<Waker>>>,
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new(None)
    }
}

impl CancelToken {
    fn new(parent: Option<Self>) -> Self {
        Self(Arc::new(Shared { canceled: AtomicBool::new(false), parent, wakers: PerProcess::new() }))
    }

    /// A token that this one cancels, and that can be canceled alone.
    pub fn child(&self) -> Self {
        Self::new(Some(self.clone()))
    }

    pub fn cancel(&self) {
        self.0.canceled.store(true, Ordering::SeqCst);
        self.wakers().iter().for_each(Waker::wake_by_ref);
    }

    pub fn is_canceled(&self) -> bool {
        self.ancestry().any(|token| token.0.canceled.load(Ordering::SeqCst))
    }

    fn ancestry(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |token| token.0.parent.as_ref())
    }

    fn wakers(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.wakers.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_waker(&self, waker: &Waker) {
        self.ancestry().for_each(|token| token.wakers().push(waker.clone()));
    }

    fn remove_waker(&self, waker: &Waker) {
        for token in self.ancestry() {
            let mut wakers = token.wakers();
            // In a child that was forked within a call, the list does not contain its waker.
            if let Some(place) = wakers.iter().position(|other| other.will_wake(waker)) {
                wakers.swap_remove(place);
            }
        }
    }
}

thread_local! {
    static LIMITS: RefCell<Limits> = const { RefCell::new(Limits::NONE) };
}

/// The end of a call, and its timeout.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    timeout: Duration,
}

/// The limits of the nested calls of a thread, with the token of the outermost one first.
#[derive(Clone)]
pub(crate) struct Limits {
    deadline: Option<Deadline>,
    retries: Option<u32>,
    tokens: Vec<CancelToken>,
}

impl Limits {
    pub const NONE: Self = Self { deadline: None, retries: None, tokens: Vec::new() };
}

/// Exchanges the limits of this thread for others.
pub(crate) fn swap(limits: &mut Limits) {
    LIMITS.with_borrow_mut(|own| mem::swap(own, limits));
}

/// The limits of the running call, for a part of it that runs on another thread.
pub(crate) fn copy() -> Limits {
    LIMITS.with_borrow(Clone::clone)
}

/// Runs a part of a call whose limits come from another thread.
pub(crate) fn with_limits<T>(limits: Limits, part: impl FnOnce() -> T) -> T {
    struct Restore(Limits, Waker);
    impl Drop for Restore {
        fn drop(&mut self) {
            swap(&mut self.0);
            self.0.tokens.iter().for_each(|token| token.remove_waker(&self.1));
        }
    }
    let waker = thread_waker();
    limits.tokens.iter().for_each(|token| token.add_waker(&waker));
    let mut restore = Restore(limits, waker);
    swap(&mut restore.0);
    part()
}

/// The place of a token among the limits of a call.
struct TokenGuard(Waker);

impl TokenGuard {
    fn new(token: &CancelToken, waker: Waker) -> Self {
        token.add_waker(&waker);
        LIMITS.with_borrow_mut(|limits| limits.tokens.push(token.clone()));
        Self(waker)
    }
}

impl Drop for TokenGuard {
    fn drop(&mut self) {
        if let Some(token) = LIMITS.with_borrow_mut(|limits| limits.tokens.pop()) {
            token.remove_waker(&self.0);
        }
    }
}

/// Runs a call that `token` cancels.
pub(crate) fn with_token<T>(token: &CancelToken, call: impl FnOnce() -> T) -> T {
    let _guard = TokenGuard::new(token, thread_waker());
    call()
}

/// The same for the future of a call.
pub(crate) async fn under_token<T>(token: &CancelToken, call: impl Future<Output = T>) -> T {
    let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
    let _guard = TokenGuard::new(token, waker);
    call.await
}

/// The deadline of a call. It puts back that of the outer one.
struct DeadlineGuard(Option<Deadline>);

impl DeadlineGuard {
    fn new(timeout: Duration) -> Self {
        let ours = Instant::now().checked_add(timeout).map(|at| Deadline { at, timeout });
        Self(LIMITS.with_borrow_mut(|limits| {
            let earliest = [limits.deadline, ours].into_iter().flatten().min_by_key(|deadline| deadline.at);
            mem::replace(&mut limits.deadline, earliest)
        }))
    }
}

impl Drop for DeadlineGuard {
    fn drop(&mut self) {
        LIMITS.with_borrow_mut(|limits| limits.deadline = self.0);
    }
}

/// Runs a call that takes at most `timeout`.
pub(crate) fn with_timeout<T>(timeout: Duration, call: impl FnOnce() -> T) -> T {
    let _guard = DeadlineGuard::new(timeout);
    call()
}

/// The same for the future of a call.
pub(crate) async fn under_timeout<T>(timeout: Duration, call: impl Future<Output = T>) -> T {
    let _guard = DeadlineGuard::new(timeout);
    call.await
}

/// Runs a call whose requests may be repeated `retries` times, all of them together.
pub(crate) fn with_retries<T>(retries: u32, call: impl FnOnce() -> T) -> T {
    struct Restore(Option<u32>, u32);
    impl Drop for Restore {
        fn drop(&mut self) {
            LIMITS.with_borrow_mut(|limits| {
                let used = self.1 - limits.retries.unwrap_or(0).min(self.1);
                limits.retries = self.0.map(|before| before.saturating_sub(used));
            });
        }
    }
    let _restore = LIMITS.with_borrow_mut(|limits| {
        let allowed = limits.retries.unwrap_or(retries).min(retries);
        Restore(limits.retries.replace(allowed), allowed)
    });
    call()
}

/// Takes one of the remaining retries of the call; returns false if there is none.
pub(crate) fn take_retry() -> bool {
    LIMITS.with_borrow_mut(|limits| match &mut limits.retries {
        None => true,
        Some(0) => false,
        Some(left) => {
            *left -= 1;
            true
        }
    })
}

/// The remaining time of the call, at most `timeout`.
pub(crate) fn time_left(timeout: Duration) -> Duration {
    let deadline = LIMITS.with_borrow(|limits| limits.deadline);
    deadline.map_or(timeout, |deadline| deadline.at.saturating_duration_since(Instant::now()).min(timeout))
}

/// The timeout of an outer call that ends before `end`, if any.
pub(crate) fn timeout_that_ends_before(end: Instant) -> Option<Duration> {
    let deadline = LIMITS.with_borrow(|limits| limits.deadline);
    deadline.filter(|deadline| deadline.at < end).map(|deadline| deadline.timeout)
}

pub(crate) fn is_canceled() -> bool {
    LIMITS.with_borrow(|limits| limits.tokens.iter().any(CancelToken::is_canceled))
}

/// Fails if the call was canceled or its timeout has expired.
pub(crate) fn check() -> Result<()> {
    if is_canceled() {
        return Err(canceled());
    }
    if time_left(Duration::MAX).is_zero() {
        return Err(timed_out());
    }
    Ok(())
}

/// Waits until the call is canceled or its timeout expires, and returns which.
pub(crate) async fn until_over() -> Error {
    poll_fn(|_| match check() {
        Err(error) => Poll::Ready(error),
        Ok(()) => {
            wake_at_deadline();
            Poll::Pending
        }
    })
    .await
}

/// Makes the driver poll the future of the call when its timeout expires.
pub(crate) fn wake_at_deadline() {
    if let Some(deadline) = LIMITS.with_borrow(|limits| limits.deadline) {
        wake_at(deadline.at);
    }
}

/// Sleeps for `duration`, or until the call is canceled, which is an error.
pub(crate) async fn sleep(duration: Duration) -> Result<()> {
    let end = Instant::now() + duration;
    poll_fn(|_| {
        if is_canceled() {
            return Poll::Ready(Err(canceled()));
        }
        if Instant::now() >= end {
            return Poll::Ready(Ok(()));
        }
        wake_at(end);
        Poll::Pending
    })
    .await
}

pub(crate) fn timed_out() -> Error {
    Error::new(Status::TimedOut, "the timeout of the call has expired")
}

pub(crate) fn canceled() -> Error {
    Error::new(Status::Canceled, "the call was canceled")
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::block_on::block_on;

    const LONG: Duration = Duration::from_secs(10);

    fn canceled_after(canceled: &CancelToken, watched: &CancelToken) -> Duration {
        let begun = Instant::now();
        thread::scope(|scope| {
            let sleeping = scope.spawn(|| block_on(under_token(watched, sleep(LONG))));
            thread::sleep(Duration::from_millis(30));
            canceled.cancel();
            assert_eq!(sleeping.join().unwrap().err().unwrap().status(), Status::Canceled);
        });
        begun.elapsed()
    }

    #[test]
    fn a_token_wakes_the_calls_that_it_cancels_and_those_of_its_children() {
        let token = CancelToken::default();
        assert!(canceled_after(&token, &token.clone()) < LONG / 10);
        let token = CancelToken::default();
        let child = token.child();
        assert!(canceled_after(&token, &child) < LONG / 10);
        assert!(token.wakers().is_empty() && child.wakers().is_empty());
    }

    #[test]
    fn a_child_does_not_cancel_its_parent() {
        let token = CancelToken::default();
        token.child().cancel();
        with_token(&token, || check().unwrap());
    }

    #[test]
    fn a_call_that_begins_after_it_was_canceled_does_not_wait() {
        let token = CancelToken::default();
        token.cancel();
        let begun = Instant::now();
        assert!(block_on(under_token(&token, sleep(LONG))).is_err());
        assert!(begun.elapsed() < LONG / 10);
        assert!(!is_canceled());
    }

    #[test]
    fn an_inner_call_is_under_the_limits_of_the_outer_one() {
        with_timeout(LONG, || {
            with_timeout(2 * LONG, || assert!(time_left(3 * LONG) <= LONG));
            with_timeout(Duration::ZERO, || assert_eq!(check().err().unwrap().status(), Status::TimedOut));
            assert!(time_left(3 * LONG) > LONG / 2);
        });
        assert_eq!(time_left(LONG), LONG);
    }

    #[test]
    fn repetitions_are_counted_over_all_requests_of_a_call() {
        with_retries(3, || {
            assert!(take_retry());
            with_retries(10, || assert!(take_retry() && take_retry() && !take_retry()));
            assert!(!take_retry());
        });
        assert!(take_retry());
    }
}
