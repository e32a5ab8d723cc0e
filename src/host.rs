//! Helpers for a library that runs inside a host program, such as the C boundary and the PKCS#11 module: panics are
//! caught before they reach C, per-process values, random numbers, and whether the environment is trusted.

use std::cell::Cell;
use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, thread};

use crate::error::Result;
use crate::http::thread as http_thread;
pub use crate::sys::per_process::PerProcess;
use crate::sys::{cancel, file, fork_lock, privileges, random, signals, threads, wipe};

thread_local! {
    /// The number of functions of the library that run on this thread: a callback may call the library again.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs the body of a function that C calls. A panic is returned and not printed, and `pthread_cancel` is deferred.
pub fn catch<T>(body: impl FnOnce() -> T) -> thread::Result<T> {
    let _uncancelable = cancel::Uncancelable::begin();
    fork_lock::install_handlers();
    initialize();
    let _scope = PanicScope::enter();
    panic::catch_unwind(AssertUnwindSafe(body))
}

/// Whether a function that runs inside [`catch`] is below this one on this thread.
pub fn is_inside() -> bool {
    DEPTH.try_with(Cell::get).unwrap_or(0) > 0
}

struct PanicScope;

impl PanicScope {
    fn enter() -> Self {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Self
    }
}

impl Drop for PanicScope {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Initializes AWS-LC and installs a panic hook, once. The hook is silent for panics inside the library's functions and on
/// its threads, and passes all others to the previous hook: statically linked Rust code of the host shares the hook.
fn initialize() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if INSTALLED.load(Ordering::Relaxed) || INSTALLED.swap(true, Ordering::AcqRel) {
        return;
    }
    // A child that was forked in the middle would never have the hook, and would wait for the initialization forever.
    fork_lock::with_forks_blocked(|| {
        aws_lc_rs::init();
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            http_thread::stop_if_network_thread();
            if !is_inside() && !threads::is_ours() {
                previous(info);
            }
        }));
    });
}

/// Fills `bytes` with random numbers of the operating system.
pub fn fill_random(bytes: &mut [u8]) -> Result<()> {
    random::fill(bytes).map_err(Into::into)
}

/// Overwrites `bytes` in a way that compilers do not optimise away.
pub fn wipe(bytes: &mut [u8]) {
    wipe::wipe_slice(bytes);
}

/// Whether the program has more privileges than its caller: setuid, setgid, or file capabilities. Its environment is
/// then not trusted.
pub fn is_privileged() -> bool {
    privileges::are_elevated()
}

/// The effective user id.
pub fn effective_user() -> u32 {
    privileges::effective_user()
}

/// For `OpenOptions::custom_flags`: opening neither blocks nor makes a terminal the controlling one.
pub const OPEN_FLAGS: i32 = file::OPEN_FLAGS;

/// Opens a regular file and nothing else: a pipe could block forever, and a device could never end.
pub fn open_file(path: &Path) -> io::Result<File> {
    file::open(path)
}

/// Runs `work` on up to `count` threads, this one among them, until it has returned on all. Threads started here
/// never receive a signal of the program. Fewer run if the system cannot start more.
pub fn on_threads(count: usize, work: impl Fn() + Sync) {
    threads::scope(|scope| {
        for _ in 1..count {
            let started = signals::with_signals_blocked(|| scope.spawn(c"tckms-pkcs11", &work));
            if started.is_err() {
                break;
            }
        }
        work();
    });
}
