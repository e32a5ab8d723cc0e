//! Threads of the library, and a workaround for valgrind on threads of the host.

use std::cell::{Cell, OnceCell};
use std::io;
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle, Thread, current};

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
    static HANDLE: OnceCell<Thread> = const { OnceCell::new() };
}

/// Starts a thread of the library. Every thread is started here or by [`spawn_scoped`], so that [`is_ours`]
/// recognises it: the name is not enough, because a host may use the same name for its threads.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    check_memory()?;
    Builder::new().name(name.to_owned()).spawn(|| marked(work))
}

/// As [`spawn`], for a thread that ends before `scope` does.
pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    check_memory()?;
    Builder::new().name(name.to_owned()).spawn_scoped(scope, || marked(work))
}

/// Checks that there is more memory than the runtime needs for a thread's handle: without it the runtime ends the
/// process.
fn check_memory() -> io::Result<()> {
    const ENOUGH: usize = 4096;
    // SAFETY: malloc takes any size, and free what malloc returned, NULL too.
    let found = unsafe {
        let block = std::hint::black_box(libc::malloc(ENOUGH));
        libc::free(block);
        !block.is_null()
    };
    if found { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
}

fn marked<T>(work: impl FnOnce() -> T) -> T {
    IS_OURS.set(true);
    work()
}

/// Whether the current thread is one of the library's.
pub(crate) fn is_ours() -> bool {
    IS_OURS.try_with(Cell::get).unwrap_or(false)
}

/// Keeps a plain pointer to the runtime's handle of the current thread.
///
/// The runtime allocates a handle for each thread that waits, and frees it when the thread ends; but a main
/// thread that returns from main() runs no destructors of thread-specific data, so its handle is never freed. The
/// runtime itself only keeps a pointer into the middle of it, and valgrind would report the block as "possibly
/// lost" for every program. With a pointer to its beginning it counts as reachable.
pub(crate) fn keep_handle_reachable() {
    let _ = HANDLE.try_with(|handle| {
        handle.get_or_init(current);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_ours_if_it_was_started_here_whatever_its_name_is() {
        assert!(!is_ours());
        assert!(spawn("any", is_ours).unwrap().join().unwrap());
        assert!(std::thread::scope(|scope| spawn_scoped(scope, "any", is_ours).unwrap().join().unwrap()));
        for name in ["tckms-http", "tckms-seal", "tckms-resolver"] {
            let host = Builder::new().name(name.to_owned()).spawn(is_ours).unwrap();
            assert!(!host.join().unwrap(), "a host's thread called {name}");
        }
    }
}
