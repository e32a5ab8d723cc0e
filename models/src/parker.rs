//! `src/sys/parker.rs`: no wake-up is lost.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use std::time::Duration;

use crate::sys::parker::Parker;

struct Call {
    parker: Parker,
    answered: AtomicBool,
    canceled: AtomicBool,
}

impl Call {
    fn new() -> Arc<Self> {
        let (answered, canceled) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { parker: Parker::new(), answered, canceled })
    }

    fn tell(call: &Arc<Self>, flag: fn(&Self) -> &AtomicBool) -> thread::JoinHandle<()> {
        let call = Arc::clone(call);
        thread::spawn(move || {
            flag(&call).store(true, Ordering::Release);
            call.parker.unpark();
        })
    }

    /// As a caller waits for its reply: it looks, and sleeps without a time limit.
    fn wait(&self, flag: fn(&Self) -> &AtomicBool) {
        while !flag(self).load(Ordering::Acquire) {
            self.parker.park_timeout(Duration::MAX);
        }
    }
}

/// The network thread answers while the call is canceled by another thread. Either alone wakes the caller.
pub fn an_answer_and_a_cancellation_both_wake_the_caller() {
    crate::check(3, || {
        let call = Call::new();
        let telling = [Call::tell(&call, |call| &call.answered), Call::tell(&call, |call| &call.canceled)];
        call.wait(|call| &call.answered);
        call.wait(|call| &call.canceled);
        telling.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// What is left of an earlier wait does not make the next one last.
pub fn one_wait_follows_another() {
    crate::check(3, || {
        let call = Call::new();
        let first = Call::tell(&call, |call| &call.answered);
        call.wait(|call| &call.answered);
        let second = Call::tell(&call, |call| &call.canceled);
        call.wait(|call| &call.canceled);
        first.join().unwrap();
        second.join().unwrap();
    });
}
