//! In a debug build the library checks the header's rules for handles. It ends the process with a message on stderr when a
//! program frees a handle while a call uses it, frees it twice, uses it afterwards, or changes it from two threads at once.

pub(super) use checks::{enter, freed, leave, made, used};

#[cfg(debug_assertions)]
mod checks {
    use std::cell::RefCell;
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use crate::sys::per_process::PerProcess;

    #[derive(Default)]
    struct Handles {
        /// How many calls use each handle, with all threads together.
        uses: BTreeMap<usize, usize>,
        /// Handles that were freed and whose memory was not used for another handle since.
        freed: BTreeSet<usize>,
    }

    /// A forked child begins with the uses of the thread that forked: the calls of other threads do not go on in it, and one
    /// of them may have held the lock. What was freed before is not known to it.
    static HANDLES: PerProcess<Mutex<Handles>> = PerProcess::new();

    thread_local! {
        /// The handles that the calls of this thread use, in the order in which they were given.
        static IN_USE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    }

    pub fn made(handle: usize) {
        lock().freed.remove(&handle);
    }

    /// The running call of this thread uses a handle until [`leave`].
    pub fn used(handle: usize, exclusively: bool) {
        if handle == 0 {
            return;
        }
        let mut handles = lock();
        if handles.freed.contains(&handle) {
            misuse("a handle is used after it was freed");
        }
        let own = own_uses().into_iter().filter(|other| *other == handle).count();
        let count = handles.uses.entry(handle).or_default();
        if exclusively && *count > own {
            misuse("a handle is changed while another thread uses it");
        }
        if IN_USE.try_with(|list| list.borrow_mut().push(handle)).is_ok() {
            *count += 1;
        }
    }

    pub fn freed(handle: usize) {
        let mut handles = lock();
        if handles.uses.get(&handle).is_some_and(|count| *count > 0) {
            misuse("a handle is freed while a call uses it");
        }
        if !handles.freed.insert(handle) {
            misuse("a handle is freed twice");
        }
    }

    /// Where a call begins in the thread's list.
    pub fn enter() -> usize {
        IN_USE.try_with(|list| list.borrow().len()).unwrap_or(0)
    }

    /// The call that began at `mark` is over.
    pub fn leave(mark: usize) {
        let ended = IN_USE.try_with(|list| list.borrow_mut().split_off(mark)).unwrap_or_default();
        if ended.is_empty() {
            return;
        }
        let mut handles = lock();
        for handle in ended {
            let count = handles.uses.entry(handle).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                handles.uses.remove(&handle);
            }
        }
    }

    fn lock() -> MutexGuard<'static, Handles> {
        HANDLES.get_or_init(|| Mutex::new(Handles::of_this_thread())).lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl Handles {
        fn of_this_thread() -> Self {
            let mut handles = Self::default();
            for handle in own_uses() {
                *handles.uses.entry(handle).or_default() += 1;
            }
            handles
        }
    }

    fn own_uses() -> Vec<usize> {
        IN_USE.try_with(|list| list.borrow().clone()).unwrap_or_default()
    }

    fn misuse(what: &str) -> ! {
        // Without the panic hook, whose locks a forked child may find locked.
        #[cfg(test)]
        std::panic::resume_unwind(Box::new(what.to_owned()));
        #[cfg(not(test))]
        {
            eprintln!("libtckms (debug build): {what}; see HANDLES in tckms.h");
            std::process::abort();
        }
    }
}

/// A release build checks nothing: the checks cost a lock for each call.
#[cfg(not(debug_assertions))]
mod checks {
    pub fn made(_: usize) {}
    pub fn used(_: usize, _: bool) {}
    pub fn freed(_: usize) {}
    pub fn enter() -> usize {
        0
    }
    pub fn leave(_: usize) {}
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// The error that the checks report for this program, if any. The numbers represent addresses.
    fn misuse_of(program: impl FnOnce() + std::panic::UnwindSafe) -> Option<String> {
        let mark = enter();
        let panic = catch_unwind(program).err();
        leave(mark);
        panic.map(|panic| panic.downcast_ref::<String>().unwrap().clone())
    }

    #[test]
    fn what_the_header_allows_is_not_reported() {
        let ordinary = || {
            made(0x10);
            used(0x10, false);
            used(0x10, true);
            thread::spawn(|| misuse_of(|| used(0x10 + 1, true))).join().unwrap();
            leave(0);
            freed(0x10);
            made(0x10);
            used(0x10, false);
        };
        assert_eq!(misuse_of(ordinary), None);
    }

    #[test]
    fn a_handle_is_freed_once_and_after_the_last_call() {
        let twice = || {
            made(0x20);
            freed(0x20);
            freed(0x20);
        };
        assert_eq!(misuse_of(twice).unwrap(), "a handle is freed twice");
        let early = || {
            made(0x30);
            used(0x30, false);
            thread::spawn(|| freed(0x30)).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        };
        assert_eq!(misuse_of(early).unwrap(), "a handle is freed while a call uses it");
        let late = || {
            made(0x40);
            freed(0x40);
            used(0x40, false);
        };
        assert_eq!(misuse_of(late).unwrap(), "a handle is used after it was freed");
    }

    /// The parent's lock is held most of the time, by threads that the children do not have.
    #[test]
    fn a_forked_child_is_checked_too() {
        static OVER: AtomicBool = AtomicBool::new(false);
        let busy: Vec<_> = (0..4)
            .map(|number| {
                thread::spawn(move || {
                    while !OVER.load(Ordering::Relaxed) {
                        made(0x1000 + number);
                    }
                })
            })
            .collect();
        for _ in 0..50 {
            // SAFETY: the child calls nothing but the checks, and _exit().
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: SIGALRM ends a child that waits for the lock.
                unsafe { libc::alarm(20) };
                let misuse = misuse_of(|| {
                    made(0x60);
                    used(0x60, true);
                    leave(0);
                    freed(0x60);
                    freed(0x60);
                });
                // SAFETY: nothing of the parent's is run.
                unsafe { libc::_exit(i32::from(misuse.is_none())) };
            }
            let (mut status, begun) = (0, Instant::now());
            // SAFETY: the status is of this function.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0);
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
        OVER.store(true, Ordering::Relaxed);
        busy.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn a_handle_is_changed_by_one_thread_at_a_time() {
        let both = || {
            made(0x50);
            used(0x50, false);
            thread::spawn(|| used(0x50, true)).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        };
        assert_eq!(misuse_of(both).unwrap(), "a handle is changed while another thread uses it");
    }
}
