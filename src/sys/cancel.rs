//! Keeps `pthread_cancel` from unwinding through Rust.

/// While it exists, `pthread_cancel` is deferred: cancellation unwinds the stack, and must not
/// unwind through Rust. If the host allows asynchronous cancellation, it takes effect when
/// this is dropped.
#[cfg_attr(miri, allow(dead_code))]
pub(crate) struct Uncancelable(libc::c_int);

#[cfg(all(target_os = "linux", not(miri)))]
impl Uncancelable {
    pub fn begin() -> Self {
        Self(set_cancel_state(PTHREAD_CANCEL_DISABLE))
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
impl Drop for Uncancelable {
    fn drop(&mut self) {
        set_cancel_state(self.0);
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
const PTHREAD_CANCEL_DISABLE: libc::c_int = 1;

/// The state before.
#[cfg(all(target_os = "linux", not(miri)))]
fn set_cancel_state(state: libc::c_int) -> libc::c_int {
    unsafe extern "C" {
        fn pthread_setcancelstate(state: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
    }
    let mut before = 0;
    // SAFETY: the call fills a number of our own, and changes this thread alone.
    unsafe { pthread_setcancelstate(state, &mut before) };
    before
}

#[cfg(any(not(target_os = "linux"), miri))]
impl Uncancelable {
    pub fn begin() -> Self {
        Self(0)
    }
}
