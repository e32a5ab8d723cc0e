//! What a library needs that runs inside somebody else's program, as the C boundary does and the PKCS#11 module: panics that
//! stop before they reach C, values that belong to one process, random numbers, and whether the environment is to be trusted.

use std::cell::Cell;
use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, thread};

use crate::error::Result;
use crate::http::thread as http_thread;
pub use crate::sys::per_process::PerProcess;
use crate::sys::{cancel, file, privileges, random, signals, threads, wipe};

thread_local! {
    /// How many of our functions are running on this thread: a callback may call the library again.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs the body of a function that C calls. A panic is returned and printed nowhere, and `pthread_cancel` waits.
pub fn catch<T>(body: impl FnOnce() -> T) -> thread::Result<T> {
    let _uncancelable = cancel::Uncancelable::begin();
    quiet_panics();
    threads::keep_handle_reachable();
    let _inside = Inside::enter();
    panic::catch_unwind(AssertUnwindSafe(body))
}

/// Whether a function that runs inside [`catch`] is below this one on this thread.
pub fn is_inside() -> bool {
    DEPTH.try_with(Cell::get).unwrap_or(0) > 0
}

struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Puts a hook before the one that prints, once. It is silent for panics inside our functions and on threads of ours,
/// and leaves all others to the hook before: statically linked Rust code of the host shares the hook with us.
fn quiet_panics() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if INSTALLED.swap(true, Ordering::AcqRel) {
        return;
    }
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        http_thread::stop_if_network_thread();
        if !is_inside() && !threads::is_ours() {
            previous(info);
        }
    }));
}

/// Fills `bytes` with random numbers of the operating system.
pub fn fill_random(bytes: &mut [u8]) -> Result<()> {
    random::fill(bytes).map_err(Into::into)
}

/// Overwrites `bytes` so that the compiler does not leave it out.
pub fn wipe(bytes: &mut [u8]) {
    wipe::wipe_slice(bytes);
}

/// Whether the program runs with privileges that its caller does not have: setuid, setgid, or with file capabilities. Its
/// environment then is not to be trusted.
pub fn is_privileged() -> bool {
    privileges::are_elevated()
}

/// The user whose rights the program has.
pub fn effective_user() -> u32 {
    privileges::effective_user()
}

/// For `OpenOptions::custom_flags`: opening neither blocks nor makes a terminal the controlling one.
pub const OPEN_FLAGS: i32 = file::OPEN_FLAGS;

/// Opens a regular file and nothing else: a pipe could block forever, and a device could never end.
pub fn open_file(path: &Path) -> io::Result<File> {
    file::open(path)
}

/// Runs `work` on up to `count` threads, this one among them, until it has returned on all. Those that are started here never
/// receive a signal of the program's. Fewer run where the system has no more.
pub fn on_threads(count: usize, work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 1..count {
            let started = signals::with_signals_blocked(|| threads::spawn_scoped(scope, "tckms-pkcs11", &work));
            if started.is_err() {
                break;
            }
        }
        work();
    });
}
