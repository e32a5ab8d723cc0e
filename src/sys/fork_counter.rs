//! Which threads are inside a region that no fork may interrupt, and which forks are under way.
//!
//! A signal handler may fork at any instruction, also on a thread that is inside the region, or in the middle of entering
//! or leaving it. The child then continues that thread, with the counters as they were, and no other thread. So the count
//! of threads carries an epoch, which each fork increments in the child. A thread remembers the epoch in which it was
//! counted, and leaves only that one. What other threads were counted for is forgotten with their epoch.
//!
//! The structures have no constructor that could be `const`: the models in `models/` build them from other atomics.

use super::sync::{AtomicU64, AtomicUsize, Ordering, fence};

/// A value with its epoch in the upper half.
const EPOCH: u64 = 1 << 32;

/// What all threads share.
#[derive(Default)]
pub(crate) struct ForkCounter {
    /// How many threads are inside, with the epoch.
    pub(super) inside: AtomicU64,
    /// How many forks are under way.
    pub(super) forks: AtomicUsize,
}

/// What belongs to one thread. Only that thread changes it, but a signal handler may do so between any two instructions.
#[derive(Default)]
pub(crate) struct ThreadState {
    /// How deep the thread is inside, with the epoch in which it was counted.
    pub(super) depth: AtomicU64,
    /// How many forks this thread is in the middle of: more than one when a handler forks during a fork.
    pub(super) forks: AtomicUsize,
}

impl ForkCounter {
    /// Counts the thread in, unless another thread forks: then the caller waits and tries again.
    ///
    /// A thread that is inside already never waits, as the fork would wait for it.
    pub fn try_enter(&self, thread: &ThreadState) -> bool {
        if low(thread.depth.load(Ordering::Relaxed)) > 0 {
            thread.depth.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let counted = self.inside.fetch_add(1, Ordering::SeqCst);
        thread.depth.store(epoch(counted) | 1, Ordering::Relaxed);
        // With the fence of `begin_fork`: either the fork sees this thread, or this thread sees the fork.
        fence(Ordering::SeqCst);
        if self.forks.load(Ordering::SeqCst) <= thread.forks.load(Ordering::Relaxed) {
            return true;
        }
        self.leave(thread);
        false
    }

    pub fn leave(&self, thread: &ThreadState) {
        // One instruction: a fork comes before it or after it.
        let before = thread.depth.fetch_sub(1, Ordering::Relaxed);
        if low(before) == 1 {
            let same_epoch = |inside| (epoch(inside) == epoch(before)).then(|| inside - 1);
            // In another epoch nothing was counted for this thread.
            let _ = self.inside.fetch_update(Ordering::SeqCst, Ordering::SeqCst, same_epoch);
        }
    }

    /// From here on no other thread enters.
    pub fn begin_fork(&self, thread: &ThreadState) {
        thread.forks.fetch_add(1, Ordering::Relaxed);
        self.forks.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Whether a thread is inside that is not the one that asks.
    pub fn are_others_inside(&self, thread: &ThreadState) -> bool {
        let (inside, own) = (self.inside.load(Ordering::SeqCst), thread.depth.load(Ordering::Relaxed));
        let is_counted = low(own) > 0 && epoch(own) == epoch(inside);
        low(inside) > u64::from(is_counted)
    }

    pub fn end_fork_in_parent(&self, thread: &ThreadState) {
        self.forks.fetch_sub(1, Ordering::SeqCst);
        thread.forks.fetch_sub(1, Ordering::Relaxed);
    }

    /// Only the forking thread exists in the child. It may be inside, and in the middle of another fork.
    pub fn end_fork_in_child(&self, thread: &ThreadState) {
        let epoch = epoch(self.inside.load(Ordering::SeqCst)).wrapping_add(EPOCH);
        let depth = low(thread.depth.load(Ordering::Relaxed));
        thread.depth.store(epoch | depth, Ordering::Relaxed);
        self.inside.store(epoch | depth.min(1), Ordering::SeqCst);
        let forks = thread.forks.fetch_sub(1, Ordering::Relaxed) - 1;
        self.forks.store(forks, Ordering::SeqCst);
    }
}

fn epoch(value: u64) -> u64 {
    value & !(EPOCH - 1)
}

fn low(value: u64) -> u64 {
    value & (EPOCH - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads inside and forks under way.
    fn numbers(counter: &ForkCounter) -> (u64, usize) {
        (low(counter.inside.load(Ordering::SeqCst)), counter.forks.load(Ordering::SeqCst))
    }

    /// What a handler that forks leaves in the child.
    fn fork_in_child(counter: &ForkCounter, thread: &ThreadState) {
        counter.begin_fork(thread);
        counter.end_fork_in_child(thread);
    }

    #[test]
    fn a_thread_that_forks_inside_is_still_inside_in_the_child_and_counted_once() {
        let (counter, thread, other) = <(ForkCounter, ThreadState, ThreadState)>::default();
        assert!(counter.try_enter(&thread) && counter.try_enter(&other) && counter.try_enter(&thread));
        counter.begin_fork(&thread);
        assert!(counter.are_others_inside(&thread));
        counter.leave(&other);
        assert!(!counter.are_others_inside(&thread));
        counter.end_fork_in_child(&thread);
        assert_eq!(numbers(&counter), (1, 0));
        counter.leave(&thread);
        assert_eq!(numbers(&counter), (1, 0));
        counter.leave(&thread);
        assert_eq!(numbers(&counter), (0, 0));
        assert!(counter.try_enter(&thread));
        assert_eq!(numbers(&counter), (1, 0));
    }

    #[test]
    fn in_the_parent_nothing_changes() {
        let (counter, thread) = <(ForkCounter, ThreadState)>::default();
        assert!(counter.try_enter(&thread));
        counter.begin_fork(&thread);
        assert!(!counter.are_others_inside(&thread));
        counter.end_fork_in_parent(&thread);
        assert_eq!(numbers(&counter), (1, 0));
        counter.leave(&thread);
        assert_eq!(numbers(&counter), (0, 0));
    }

    #[test]
    fn the_childs_other_threads_are_forgotten_and_a_fork_of_the_child_waits_for_its_own() {
        let (counter, thread, gone, new) = <(ForkCounter, ThreadState, ThreadState, ThreadState)>::default();
        assert!(counter.try_enter(&gone));
        fork_in_child(&counter, &thread);
        assert_eq!(numbers(&counter), (0, 0));
        assert!(counter.try_enter(&new));
        counter.begin_fork(&thread);
        assert!(counter.are_others_inside(&thread));
    }

    /// A handler that forks comes while the thread waits in the handler of another fork. The child carries that one out.
    #[test]
    fn a_fork_during_a_fork_is_counted_for_itself() {
        let (counter, thread, other) = <(ForkCounter, ThreadState, ThreadState)>::default();
        counter.begin_fork(&thread);
        fork_in_child(&counter, &thread);
        assert_eq!(numbers(&counter), (0, 1));
        assert!(!counter.try_enter(&other) && counter.try_enter(&thread));
        counter.leave(&thread);
        counter.end_fork_in_parent(&thread);
        assert_eq!(numbers(&counter), (0, 0));
        assert!(counter.try_enter(&other));
    }

    /// A handler that forks between any two steps of entering and leaving. The child never counts below zero, and at the
    /// end it counts nothing.
    #[test]
    fn a_fork_may_come_between_any_two_steps() {
        let (counter, thread) = <(ForkCounter, ThreadState)>::default();
        // Counted, but not yet remembered.
        let counted = counter.inside.fetch_add(1, Ordering::SeqCst);
        fork_in_child(&counter, &thread);
        thread.depth.store(epoch(counted) | 1, Ordering::Relaxed);
        counter.leave(&thread);
        assert_eq!(numbers(&counter), (0, 0));
        // No longer remembered, but still counted.
        assert!(counter.try_enter(&thread));
        let before = thread.depth.fetch_sub(1, Ordering::Relaxed);
        fork_in_child(&counter, &thread);
        assert_ne!(epoch(before), epoch(counter.inside.load(Ordering::SeqCst)));
        assert_eq!(numbers(&counter), (0, 0));
        assert!(counter.try_enter(&thread));
        counter.leave(&thread);
        assert_eq!(numbers(&counter), (0, 0));
    }
}
