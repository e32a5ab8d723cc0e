//! Drives the future of a call on the thread that makes it.
//!
//! A call is one future, whichever thread drives it: its caller's own, or the network thread for a queued one. So the
//! future uses no timer of a runtime. When it waits, it sets with [`wake_at`] the latest time of the next poll, and the
//! driver polls it then.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::sys::parker::Parker;

thread_local! {
    static WAKE_AT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Makes the driver poll the current future of this thread again at `at`, or earlier.
pub(crate) fn wake_at(at: Instant) {
    WAKE_AT.set(Some(WAKE_AT.get().map_or(at, |earlier| earlier.min(at))));
}

/// Polls a future, and returns the latest time of the next poll.
pub(crate) fn poll<F: Future + ?Sized>(
    future: Pin<&mut F>,
    context: &mut Context<'_>,
) -> (Poll<F::Output>, Option<Instant>) {
    // The future of an outer call may be being polled on this thread: a callback can call the library.
    let outer = WAKE_AT.take();
    let outcome = future.poll(context);
    (outcome, WAKE_AT.replace(outer))
}

/// Drives a future to its end. The thread sleeps while the future waits. Callers pin it, so that it is on the stack once.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let parker = Parker::current();
    let waker = Waker::from(parker.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        match poll(future.as_mut(), &mut context) {
            (Poll::Ready(outcome), _) => return outcome,
            (Poll::Pending, Some(at)) => parker.park_timeout(at.saturating_duration_since(Instant::now())),
            (Poll::Pending, None) => parker.park_timeout(Duration::MAX),
        }
    }
}

/// A part of a future whose stack frame exists only while it is polled. Credentials providers make nested calls,
/// possibly on a small stack.
pub(crate) struct OutOfLine<'a, F>(pub Pin<&'a mut F>);

impl<F: Future> Future for OutOfLine<'_, F> {
    type Output = F::Output;

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().poll(context)
    }
}

/// Wakes this thread.
pub(crate) fn thread_waker() -> Waker {
    Parker::current().into()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::thread;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    async fn sleep(duration: Duration) {
        let end = Instant::now() + duration;
        poll_fn(|_| {
            wake_at(end);
            if Instant::now() < end { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    #[test]
    fn a_future_is_polled_again_when_it_said_so_or_is_woken() {
        let begun = Instant::now();
        block_on(sleep(SHORT));
        assert!(begun.elapsed() >= SHORT);
        let mut polls = 0;
        block_on(poll_fn(|context| {
            polls += 1;
            if polls > 1 {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        }));
    }

    #[test]
    fn calls_nest() {
        let begun = Instant::now();
        block_on(async {
            block_on(sleep(SHORT));
            sleep(SHORT).await;
        });
        assert!(begun.elapsed() >= 2 * SHORT && begun.elapsed() < Duration::from_secs(5));
    }
}
