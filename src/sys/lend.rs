//! Values that are lent to a thread, and taken back where that thread will never run again.
//!
//! A queued call works with its client and its inputs on a network thread. If the host closes all descriptors, that thread stops
//! for good in the middle of its calls, and in a forked child it does not exist. What its calls own is then never dropped. So a
//! call only borrows what has to be freed and wiped, and the queue owns it.

use std::ops::Deref;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// The proof that a thread runs no code any more: it sleeps until the process ends, or belongs to another process.
pub(crate) struct NeverRunsAgain(());

impl NeverRunsAgain {
    pub(super) const fn new() -> Self {
        Self(())
    }
}

struct Loan<T> {
    /// Set before the borrower's reference is dropped.
    is_returned: AtomicBool,
    value: T,
}

/// The owner of a lent value.
pub(crate) struct Lender<T>(AtomicPtr<Loan<T>>);

/// The reference of the borrower.
pub(crate) struct Lent<T>(Arc<Loan<T>>);

impl<T> Lender<T> {
    pub fn lend(value: T) -> (Self, Lent<T>) {
        let loan = Arc::new(Loan { is_returned: AtomicBool::new(false), value });
        (Self(AtomicPtr::new(Arc::into_raw(Arc::clone(&loan)).cast_mut())), Lent(loan))
    }

    /// Takes the value back from a borrower that runs on such a thread only. The result owns it alone, and `self` no longer does.
    pub fn take_back(&self, _: &NeverRunsAgain) -> Self {
        let loan = self.0.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: the pointer comes from `Arc::into_raw`, and its reference is this one's. The borrower has a second one if it did not
        // begin to drop it, and neither uses nor drops it any more.
        unsafe {
            if !loan.is_null() && !(*loan).is_returned.swap(true, Ordering::AcqRel) {
                Arc::decrement_strong_count(loan);
            }
        }
        Self(AtomicPtr::new(loan))
    }
}

impl<T> Drop for Lender<T> {
    fn drop(&mut self) {
        let loan = *self.0.get_mut();
        if !loan.is_null() {
            // SAFETY: the pointer comes from `Arc::into_raw`, and its reference is this one's.
            drop(unsafe { Arc::from_raw(loan) });
        }
    }
}

// SAFETY: a lender shares and drops the value like an `Arc`.
unsafe impl<T: Send + Sync> Send for Lender<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Lender<T> {}

impl<T> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        self.0.is_returned.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counted(Arc<()>);

    fn lend() -> (Arc<()>, Lender<Counted>, Lent<Counted>) {
        let count = Arc::new(());
        let (lender, lent) = Lender::lend(Counted(Arc::clone(&count)));
        assert_eq!(Arc::strong_count(&lent.0.value.0), 2);
        (count, lender, lent)
    }

    #[test]
    fn a_value_lives_until_both_have_dropped_it() {
        let (count, lender, lent) = lend();
        drop(lender);
        assert_eq!(Arc::strong_count(&count), 2);
        drop(lent);
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn a_value_is_taken_back_from_a_thread_that_never_runs_again() {
        let (count, lender, lent) = lend();
        std::mem::forget(lent);
        let owner = lender.take_back(&NeverRunsAgain::new());
        drop(lender);
        assert_eq!(Arc::strong_count(&count), 2);
        drop(owner);
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn what_was_returned_is_not_taken_back_twice() {
        let (count, lender, lent) = lend();
        drop(lent);
        drop(lender.take_back(&NeverRunsAgain::new()));
        drop(lender.take_back(&NeverRunsAgain::new()));
        assert_eq!(Arc::strong_count(&count), 1);
    }
}
