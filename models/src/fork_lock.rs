//! `src/sys/fork_counter.rs`: no fork happens while another thread is inside the cryptography.
//!
//! In these models, a thread that has to wait gives up instead, because a model in which two threads spin never ends. The models
//! check the threads that do not have to wait.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::sys::fork_counter::{ForkCounter, ThreadState};

/// The counter, and for each thread the locks that the cryptography holds while the thread is inside.
struct World<const THREADS: usize> {
    counter: ForkCounter,
    locks: [UnsafeCell<()>; THREADS],
}

impl<const THREADS: usize> World<THREADS> {
    fn new() -> Arc<Self> {
        let locks = std::array::from_fn(|_| UnsafeCell::new(()));
        Arc::new(Self { counter: ForkCounter::default(), locks })
    }

    /// Starts a new thread.
    fn start(this: &Arc<Self>, work: impl FnOnce(&Self) + 'static) -> thread::JoinHandle<()> {
        let world = Arc::clone(this);
        thread::spawn(move || work(&world))
    }

    /// Enters, enters again, and leaves.
    fn work(&self, own: usize) {
        let state = ThreadState::default();
        if !self.counter.try_enter(&state) {
            return;
        }
        self.locks[own].with_mut(|_| ());
        assert!(self.counter.try_enter(&state), "a thread that is inside never waits");
        self.counter.leave(&state);
        self.locks[own].with_mut(|_| ());
        self.counter.leave(&state);
    }

    /// The work of the fork handlers in the parent. The fork itself copies all locks: loom fails if one of these threads is inside.
    fn fork(&self, state: &ThreadState, others: std::ops::Range<usize>) {
        self.counter.begin_fork(state);
        if !self.counter.are_others_inside(state) {
            self.locks[others].iter().for_each(|lock| lock.with(|_| ()));
        }
        self.counter.end_fork_in_parent(state);
    }

    /// Checks that the next fork waits for no thread, and the next thread for no fork.
    fn expect_nothing_left(&self) {
        let state = ThreadState::default();
        assert!(!self.counter.are_others_inside(&state));
        assert!(self.counter.try_enter(&state));
        self.counter.leave(&state);
    }
}

pub fn no_fork_comes_while_another_thread_is_inside() {
    crate::check(3, || {
        let world = World::<2>::new();
        let workers = [0, 1].map(|own| World::start(&world, move |world| world.work(own)));
        world.fork(&ThreadState::default(), 0..2);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        world.expect_nothing_left();
    });
}

pub fn two_forks_at_once_wait_for_the_same_thread() {
    crate::check(3, || {
        let world = World::<1>::new();
        let forking = World::start(&world, |world| world.fork(&ThreadState::default(), 0..1));
        let working = World::start(&world, |world| world.work(0));
        world.fork(&ThreadState::default(), 0..1);
        forking.join().unwrap();
        working.join().unwrap();
        world.expect_nothing_left();
    });
}

/// A signal handler forks on a thread that is inside. This changes nothing in the parent.
pub fn a_thread_that_is_inside_may_fork_and_waits_for_the_others_only() {
    crate::check(3, || {
        let world = World::<2>::new();
        let working = World::start(&world, |world| world.work(1));
        let state = ThreadState::default();
        assert!(world.counter.try_enter(&state), "no fork is under way");
        world.locks[0].with_mut(|_| ());
        world.fork(&state, 1..2);
        world.locks[0].with_mut(|_| ());
        world.counter.leave(&state);
        working.join().unwrap();
        world.expect_nothing_left();
    });
}

/// The host forks in a callback, which runs outside. Threads of the child enter and leave while the child forks again.
pub fn a_child_counts_its_own_threads() {
    crate::check(3, || {
        let world = World::<2>::new();
        let state = ThreadState::default();
        // A thread of the parent is still inside when the fork's wait ends, and does not exist in the child.
        assert!(world.counter.try_enter(&ThreadState::default()));
        world.counter.begin_fork(&state);
        world.counter.end_fork_in_child(&state);
        let workers = [0, 1].map(|own| World::start(&world, move |world| world.work(own)));
        world.fork(&state, 0..2);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        world.expect_nothing_left();
    });
}
