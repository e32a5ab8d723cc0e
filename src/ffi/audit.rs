//! In a debug build the library checks the header's rules for handles. It ends the process with a
//! message on stderr when a //! program frees a handle while a call uses it, frees it twice, uses
//! it afterwards, or changes it from two threads at once.

pub(super) use checks::{enter, freed, leave, made, used};

#[cfg(debug_assertions)]
mod checks {
    use std::cell::RefCell;
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
    use std::time::Duration;

    struct Handles {
        /// How many calls use each handle, with all threads together.
        uses: BTreeMap<usize, usize>,
        /// Handles that were freed and whose memory was not used for another handle since.
        freed: BTreeSet<usize>,
    }

    static HANDLES: Mutex<Handles> = Mutex::new(Handles { uses: BTreeMap::new(), freed: BTreeSet::new() });
    /// The process whose handles they are.
    static OWNER: AtomicU32 = AtomicU32::new(0);

    thread_local! {
        /// The handles that the calls of this thread use, in the order in which they were given.
        static IN_USE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    }

    pub fn made(handle: usize) {
        if let Some(mut handles) = lock() {
            handles.freed.remove(&handle);
        }
    }

    /// The running call of this thread uses a handle until [`leave`].
    pub fn used(handle: usize, exclusively: bool) {
        if handle == 0 {
            return;
        }
        let Some(mut handles) = lock() else { return };
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
        let Some(mut handles) = lock() else { return };
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
        let Some(mut handles) = lock() else { return };
        for handle in ended {
            let count = handles.uses.entry(handle).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                handles.uses.remove(&handle);
            }
        }
    }

    /// None in a forked child whose parent held the lock in another thread at that moment.
    fn lock() -> Option<MutexGuard<'static, Handles>> {
        let process = std::process::id();
        if OWNER.load(Ordering::Relaxed) == process {
            // Every use has to be counted, however long the other threads take.
            return Some(HANDLES.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let mut handles = (0..100).find_map(|_| match HANDLES.try_lock() {
            Ok(handles) => Some(handles),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(Duration::from_millis(1));
                None
            }
        })?;
        if OWNER.swap(process, Ordering::Relaxed) != process {
            // The calls of the parent's other threads do not go on in a forked child.
            handles.uses.clear();
            for handle in own_uses() {
                *handles.uses.entry(handle).or_default() += 1;
            }
        }
        Some(handles)
    }

    fn own_uses() -> Vec<usize> {
        IN_USE.try_with(|list| list.borrow().clone()).unwrap_or_default()
    }

    fn misuse(what: &str) -> ! {
        #[cfg(test)]
        panic!("{what}");
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
    use std::thread;

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
