//! `src/sys/per_process.rs`: how a client's connections, caches and credentials are published, replaced, and ignored in a child.

use std::sync::atomic::{AtomicUsize as Count, Ordering as CountOrdering};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use crate::sys::per_process::{OncePerProcess, PerProcess};
use crate::sys::process_identity::{self, CHILD};

/// An object of a process, such as its network thread. The number of live objects is counted.
struct Made {
    live: &'static Count,
    usable: AtomicBool,
    /// Written before publication, and read by the threads that find the object.
    content: UnsafeCell<u32>,
}

impl Made {
    fn new(live: &'static Count) -> Self {
        live.fetch_add(1, CountOrdering::Relaxed);
        let content = UnsafeCell::new(0);
        content.with_mut(|content| unsafe { *content = 7 });
        Self { live, usable: AtomicBool::new(true), content }
    }

    fn is_usable(&self) -> bool {
        self.usable.load(Ordering::Acquire)
    }

    fn read(&self) {
        assert_eq!(self.content.with(|content| unsafe { *content }), 7);
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.live.fetch_sub(1, CountOrdering::Relaxed);
    }
}

/// The runs of a model are sequential, so each counts from zero.
fn counted() -> &'static Count {
    Box::leak(Box::new(Count::new(0)))
}

fn get<'a>(values: &'a PerProcess<Made>, live: &'static Count) -> &'a Made {
    let made = values.get_or_try_init(Made::is_usable, || Ok::<_, ()>(Made::new(live))).unwrap();
    made.read();
    made
}

/// The first calls of two threads publish one value; the value that loses the race is dropped.
pub fn two_first_calls_publish_one_value() {
    crate::check(3, || {
        let live = counted();
        let values = Arc::new(PerProcess::new());
        let other = {
            let values = Arc::clone(&values);
            thread::spawn(move || std::ptr::from_ref(get(&values, live)).addr())
        };
        let here = std::ptr::from_ref(get(&values, live)).addr();
        assert_eq!(other.join().unwrap(), here);
        assert_eq!(live.load(CountOrdering::Relaxed), 1);
        drop(values);
        assert_eq!(live.load(CountOrdering::Relaxed), 0);
    });
}

/// Two threads that need a costly value first make it once.
pub fn a_costly_value_is_made_once() {
    crate::check(2, || {
        let (live, made) = (counted(), counted());
        let values = Arc::new(OncePerProcess::new());
        let get = move |values: &OncePerProcess<Made>| {
            let make = || {
                made.fetch_add(1, CountOrdering::Relaxed);
                Ok::<_, ()>(Made::new(live))
            };
            let value = values.get_or_try_init(Made::is_usable, make).unwrap();
            value.read();
            std::ptr::from_ref(value).addr()
        };
        let other = {
            let values = Arc::clone(&values);
            thread::spawn(move || get(&values))
        };
        let here = get(&values);
        assert_eq!(other.join().unwrap(), here);
        assert_eq!(made.load(CountOrdering::Relaxed), 1);
        drop(values);
        assert_eq!(live.load(CountOrdering::Relaxed), 0);
    });
}

/// A value breaks while two threads use it: each continues with the value that it found, and both get the same replacement.
pub fn a_broken_value_is_replaced_once() {
    crate::check(2, || {
        let live = counted();
        let values = Arc::new(PerProcess::new());
        let first = get(&values, live);
        let other = {
            let values = Arc::clone(&values);
            thread::spawn(move || {
                get(&values, live).usable.store(false, Ordering::Release);
                std::ptr::from_ref(get(&values, live)).addr()
            })
        };
        get(&values, live).read();
        first.read();
        let other = other.join().unwrap();
        assert_ne!(std::ptr::from_ref(first).addr(), other);
        assert_eq!(std::ptr::from_ref(get(&values, live)).addr(), other);
        assert_eq!(live.load(CountOrdering::Relaxed), 2);
        drop(values);
        assert_eq!(live.load(CountOrdering::Relaxed), 0);
    });
}

/// A child finds the value that the parent published or was publishing, neither uses nor drops it, and creates its own.
pub fn a_child_touches_nothing_of_its_parent() {
    crate::check(3, || {
        let (parent_count, child_count) = (counted(), counted());
        let values = Arc::new(PerProcess::new());
        let child = {
            let values = Arc::clone(&values);
            thread::spawn(move || {
                process_identity::become_process(CHILD);
                let own = get(&values, child_count);
                assert!(std::ptr::eq(own, get(&values, child_count)) && std::ptr::eq(own.live, child_count));
            })
        };
        assert!(std::ptr::eq(get(&values, parent_count).live, parent_count));
        child.join().unwrap();
        assert_eq!((parent_count.load(CountOrdering::Relaxed), child_count.load(CountOrdering::Relaxed)), (1, 1));
        // The process that frees the client drops only its own value.
        drop(values);
        assert_eq!((parent_count.load(CountOrdering::Relaxed), child_count.load(CountOrdering::Relaxed)), (0, 1));
    });
}
