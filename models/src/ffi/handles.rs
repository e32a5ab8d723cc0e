//! `src/ffi/userdata.rs` behind handles: clients that were derived from each other, keyrings with a client, and streams share the
//! userdata of a callback. The last handle to be freed frees it, once, after the last call of the callback.

use std::ffi::c_void;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::userdata::Userdata;

/// The program's memory that the callback uses, and how often it was freed.
struct Program {
    memory: UnsafeCell<u32>,
    freed: UnsafeCell<u32>,
}

/// Threads share it, as the header requires of userdata.
unsafe impl Send for Program {}
unsafe impl Sync for Program {}

unsafe extern "C" fn free(userdata: *mut c_void) {
    let program = unsafe { &*userdata.cast::<Program>() };
    // An exclusive access: the model fails if a callback still runs.
    program.memory.with_mut(|memory| unsafe { *memory += 1 });
    program.freed.with_mut(|freed| unsafe { *freed += 1 });
}

/// A handle: one reference to what all siblings share.
struct Handle(Arc<Userdata>);

impl Handle {
    fn new(program: &'static Program) -> Self {
        Self(Arc::new(Userdata::new(std::ptr::from_ref(program).cast_mut().cast(), Some(free))))
    }

    fn derive(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// A call during which the library calls the callback.
    fn call(&self, callback: impl FnOnce()) {
        let program = unsafe { &*self.0.pointer().cast::<Program>() };
        program.memory.with(|_| callback());
    }
}

fn program() -> &'static Program {
    Box::leak(Box::new(Program { memory: UnsafeCell::new(0), freed: UnsafeCell::new(0) }))
}

fn expect_freed_once(program: &Program) {
    assert_eq!(program.freed.with(|freed| unsafe { *freed }), 1);
}

/// Each thread derives a client, calls with it and frees both, in any order relative to the other threads.
pub fn siblings_are_derived_used_and_freed_on_all_threads() {
    crate::check(3, || {
        let program = program();
        let first = Handle::new(program);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let sibling = first.derive();
                thread::spawn(move || {
                    let derived = sibling.derive();
                    drop(sibling);
                    derived.call(|| ());
                })
            })
            .collect();
        drop(first);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        expect_freed_once(program);
    });
}

/// The callback itself frees the last other handle. The userdata exists until the callback has returned.
pub fn a_callback_frees_the_last_other_handle() {
    crate::check(3, || {
        let program = program();
        let first = Handle::new(program);
        let (called, last) = (first.derive(), first.derive());
        let elsewhere = thread::spawn(move || drop(first));
        called.call(move || drop(last));
        drop(called);
        elsewhere.join().unwrap();
        expect_freed_once(program);
    });
}
