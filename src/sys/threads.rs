//! Threads of the library.
//!
//! They are made with pthread directly. `std::thread` allocates a handle for each, outside of any allocator of ours, and
//! ends the process where there is no memory for it. Here a thread has none unless it asks for one ([`make_handle`]).

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Result as Outcome;
use std::time::{Duration, Instant};

use super::lend::NeverRunsAgain;

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// What `std::thread` gives a thread as well. The default of libc may be smaller (musl) or whatever a shell was told.
const STACK_LEN: usize = 2 << 20;

/// Whether the current thread is one of the library's: every one is started here. Its name says nothing, since a host may
/// give its own thread the same name.
pub(crate) fn is_ours() -> bool {
    IS_OURS.try_with(Cell::get).unwrap_or(false)
}

/// Makes the standard library's handle of this thread, for code that needs it.
///
/// The standard library ends the process if this allocation fails. So a block of the same size is allocated and freed first:
/// allocators return that block to the same thread again.
pub(crate) fn make_handle() -> io::Result<()> {
    const HANDLE_LEN: usize = 48;
    // SAFETY: malloc takes any size, and free what malloc returned.
    unsafe {
        let block = std::hint::black_box(libc::malloc(HANDLE_LEN));
        if block.is_null() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        libc::free(block);
    }
    std::hint::black_box(std::thread::current());
    Ok(())
}

/// Starts a thread of the library, whose name has 15 bytes at most. It is detached when the handle is dropped.
pub(crate) fn spawn<T: Send + 'static>(
    name: &'static CStr,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    // SAFETY: what the closure holds lives as long as it.
    unsafe { start(name, work) }
}

/// Ends what this thread does, but not the thread itself, which would drop what it has: it sleeps until the process ends. `last` is
/// the last code that it runs, and gets the proof of that.
pub(crate) fn sleep_forever(last: impl FnOnce(&NeverRunsAgain)) -> ! {
    last(&NeverRunsAgain::new());
    loop {
        std::thread::sleep(Duration::MAX);
    }
}

/// A started thread and its result.
pub(crate) struct JoinHandle<T> {
    thread: libc::pthread_t,
    result: Arc<ThreadResult<T>>,
    is_joined: bool,
}

// SAFETY: the number of a thread may be used from any thread; macOS and musl define it as a pointer.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: as above; a shared handle gives no access to the result.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

struct ThreadResult<T> {
    /// Set when the thread has nothing more to do.
    outcome: Mutex<Option<Outcome<T>>>,
    ended: Condvar,
}

impl<T> JoinHandle<T> {
    /// Waits until the thread has done its work, `timeout` at most, and says whether it has.
    pub fn wait(&self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        let mut outcome = lock(&self.result.outcome);
        while outcome.is_none() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            outcome = self.result.ended.wait_timeout(outcome, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits for the very end of the thread. The outcome is that of its work, or its panic.
    pub fn join(mut self) -> Outcome<T> {
        self.is_joined = true;
        // SAFETY: the thread was started here, and is joined or detached once.
        unsafe { libc::pthread_join(self.thread, ptr::null_mut()) };
        let outcome = lock(&self.result.outcome).take();
        outcome.unwrap_or_else(|| Err(Box::new("a thread ended without an outcome")))
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if !self.is_joined {
            // SAFETY: as in `join`.
            unsafe { libc::pthread_detach(self.thread) };
        }
    }
}

/// Threads that end before the call of [`scope`] does, and may therefore use what lives longer than that.
pub(crate) struct Scope<'scope, 'env: 'scope> {
    running: Arc<Running>,
    _scope: PhantomData<&'scope mut &'scope ()>,
    _env: PhantomData<&'env mut &'env ()>,
}

#[derive(Default)]
struct Running {
    count: Mutex<usize>,
    ended: Condvar,
}

/// Calls `body`, which may start threads in the scope, and waits for all of these.
pub(crate) fn scope<'env, T>(body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T) -> T {
    let scope = Scope { running: Arc::default(), _scope: PhantomData, _env: PhantomData };
    let outcome = catch_unwind(AssertUnwindSafe(|| body(&scope)));
    let mut count = lock(&scope.running.count);
    while *count > 0 {
        count = scope.running.ended.wait(count).unwrap_or_else(PoisonError::into_inner);
    }
    drop(count);
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

impl<'scope> Scope<'scope, '_> {
    /// As [`spawn`].
    pub fn spawn<T: Send + 'static>(
        &'scope self,
        name: &'static CStr,
        work: impl FnOnce() -> T + Send + 'scope,
    ) -> io::Result<JoinHandle<T>> {
        *lock(&self.running.count) += 1;
        let leave = LeaveGuard(Arc::clone(&self.running));
        let work = move || {
            // After the work, which owns all that is borrowed.
            let _leave = leave;
            work()
        };
        // SAFETY: `scope` does not return before the thread has dropped the closure, and a thread that could not be started
        // has dropped it already.
        unsafe { start(name, work) }
    }
}

/// Tells the scope that a thread uses nothing of it any more.
struct LeaveGuard(Arc<Running>);

impl Drop for LeaveGuard {
    fn drop(&mut self) {
        *lock(&self.0.count) -= 1;
        self.0.ended.notify_all();
    }
}

/// # Safety
///
/// All that `work` borrows lives until `work` was called or dropped.
unsafe fn start<'a, T: Send + 'static>(
    name: &'static CStr,
    work: impl FnOnce() -> T + Send + 'a,
) -> io::Result<JoinHandle<T>> {
    let result = Arc::new(ThreadResult { outcome: Mutex::new(None), ended: Condvar::new() });
    let of_thread = Arc::clone(&result);
    let main = move || {
        name_thread(name);
        IS_OURS.set(true);
        let outcome = catch_unwind(AssertUnwindSafe(work));
        *lock(&of_thread.outcome) = Some(outcome);
        of_thread.ended.notify_all();
    };
    let main: Box<dyn FnOnce() + Send + 'a> = Box::new(main);
    // SAFETY: the caller's promise; only the lifetime changes.
    let main: Main = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + 'a>, Main>(main) };
    Ok(JoinHandle { thread: create(main)?, result, is_joined: false })
}

type Main = Box<dyn FnOnce() + Send>;

fn create(main: Main) -> io::Result<libc::pthread_t> {
    let main = Box::into_raw(Box::new(main));
    // SAFETY: the new thread takes the box over, and where there is no new thread it is taken back.
    unsafe {
        let mut thread = std::mem::zeroed();
        let error = with_stack(|attributes| libc::pthread_create(&mut thread, attributes, run, main.cast()));
        if error != 0 {
            drop(Box::from_raw(main));
            return Err(io::Error::from_raw_os_error(error));
        }
        Ok(thread)
    }
}

/// Calls pthread_create with the length of stack that we want.
///
/// # Safety
///
/// That of `create`, which gets attributes that may be used during the call, or NULL.
unsafe fn with_stack(create: impl FnOnce(*const libc::pthread_attr_t) -> libc::c_int) -> libc::c_int {
    if cfg!(miri) {
        // It knows no attributes.
        return create(ptr::null());
    }
    // SAFETY: the attributes are plain data that the calls fill.
    unsafe {
        let mut attributes = std::mem::zeroed();
        let error = libc::pthread_attr_init(&mut attributes);
        if error != 0 {
            return error;
        }
        libc::pthread_attr_setstacksize(&mut attributes, STACK_LEN);
        let error = create(&attributes);
        libc::pthread_attr_destroy(&mut attributes);
        error
    }
}

extern "C" fn run(main: *mut c_void) -> *mut c_void {
    // SAFETY: `create` gave the box away for this.
    let main = unsafe { Box::from_raw(main.cast::<Main>()) };
    main();
    ptr::null_mut()
}

#[cfg(all(target_os = "linux", not(miri)))]
fn name_thread(name: &CStr) {
    // SAFETY: it copies up to 16 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

#[cfg(any(not(target_os = "linux"), miri))]
fn name_thread(_: &CStr) {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::Builder;

    #[test]
    fn a_thread_is_ours_if_it_was_started_here_whatever_its_name_is() {
        assert!(!is_ours());
        assert!(spawn(c"any", is_ours).unwrap().join().unwrap());
        assert!(scope(|scope| scope.spawn(c"any", is_ours).unwrap().join().unwrap()));
        for name in ["tckms-http", "tckms-seal", "tckms-resolver"] {
            let host = Builder::new().name(name.to_owned()).spawn(is_ours).unwrap();
            assert!(!host.join().unwrap(), "a host's thread called {name}");
        }
    }

    #[test]
    fn a_panic_is_the_outcome_of_its_thread() {
        let panics = spawn(c"any", || resume_unwind(Box::new("on purpose"))).unwrap();
        assert!(panics.wait(Duration::from_secs(10)));
        assert_eq!(*panics.join().unwrap_err().downcast::<&str>().unwrap(), "on purpose");
    }

    #[test]
    fn a_wait_for_the_work_ends_in_time() {
        let go_on = Arc::new(Mutex::new(()));
        let held = lock(&go_on);
        let waiting = Arc::clone(&go_on);
        let thread = spawn(c"any", move || drop(lock(&waiting))).unwrap();
        assert!(!thread.wait(Duration::from_millis(30)));
        drop(held);
        assert!(thread.wait(Duration::from_secs(10)));
        thread.join().unwrap();
    }

    #[test]
    fn a_scope_ends_after_its_threads_even_without_joins_or_after_a_panic() {
        let done = Mutex::new(0);
        let slowly = || {
            std::thread::sleep(Duration::from_millis(30));
            *lock(&done) += 1;
        };
        scope(|scope| drop((scope.spawn(c"any", slowly).unwrap(), scope.spawn(c"any", slowly).unwrap())));
        assert_eq!(*lock(&done), 2);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            scope(|scope| {
                drop(scope.spawn(c"any", slowly).unwrap());
                resume_unwind(Box::new("on purpose"));
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(*lock(&done), 3);
    }
}
