//! Replaces `src/sys/process_identity.rs`. In a model, each thread declares the process that it belongs to.

use std::cell::Cell;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessId(u64);

pub const PARENT: u64 = 1;
pub const CHILD: u64 = 2;

loom::thread_local! {
    static PROCESS: Cell<u64> = Cell::new(PARENT);
}

pub fn current() -> ProcessId {
    ProcessId(PROCESS.with(Cell::get))
}

/// Makes this thread one of that process.
pub fn become_process(number: u64) {
    PROCESS.with(|process| process.set(number));
}
