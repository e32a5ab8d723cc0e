//! `src/sys/parker.rs`: no wake-up is lost.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use std::time::Duration;

use crate::sys::parker::Parker;

struct Call {
    parker: Parker,
    replied: AtomicBool,
    canceled: AtomicBool,
}

impl Call {
    fn new() -> Arc<Self> {
        let (replied, canceled) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { parker: Parker::new(), replied, canceled })
    }

    fn set_and_wake(call: &Arc<Self>, flag: fn(&Self) -> &AtomicBool) -> thread::JoinHandle<()> {
        let call = Arc::clone(call);
        thread::spawn(move || {
            flag(&call).store(true, Ordering::Release);
            call.parker.unpark();
        })
    }

    /// Waits as a caller waits for its reply: it checks, and sleeps without a time limit.
    fn wait(&self, flag: fn(&Self) -> &AtomicBool) {
        while !flag(self).load(Ordering::Acquire) {
            self.parker.park_timeout(Duration::MAX);
        }
    }
}

/// The network thread delivers the reply while another thread cancels the call. Either of the two wakes the caller.
pub fn a_reply_and_a_cancellation_both_wake_the_caller() {
    crate::check(3, || {
        let call = Call::new();
        let wakers =
            [Call::set_and_wake(&call, |call| &call.replied), Call::set_and_wake(&call, |call| &call.canceled)];
        call.wait(|call| &call.replied);
        call.wait(|call| &call.canceled);
        wakers.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// State that is left from an earlier wait does not prolong the next one.
pub fn one_wait_follows_another() {
    crate::check(3, || {
        let call = Call::new();
        let first = Call::set_and_wake(&call, |call| &call.replied);
        call.wait(|call| &call.replied);
        let second = Call::set_and_wake(&call, |call| &call.canceled);
        call.wait(|call| &call.canceled);
        first.join().unwrap();
        second.join().unwrap();
    });
}
