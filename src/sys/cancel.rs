//! Keeps `pthread_cancel` from unwinding through Rust.

/// While it exists, `pthread_cancel` is deferred: cancellation unwinds the stack, and must not
/// unwind through Rust. If the host allows asynchronous cancellation, it takes effect when
/// this is dropped.
pub(crate) struct Uncancelable(libc::c_int);

#[cfg(target_os = "linux")]
impl Uncancelable {
    pub fn begin() -> Self {
        Self(set_cancel_state(PTHREAD_CANCEL_DISABLE))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Uncancelable {
    fn drop(&mut self) {
        set_cancel_state(self.0);
    }
}

#[cfg(target_os = "linux")]
const PTHREAD_CANCEL_DISABLE: libc::c_int = 1;

/// The state before.
#[cfg(target_os = "linux")]
fn set_cancel_state(state: libc::c_int) -> libc::c_int {
    unsafe extern "C" {
        fn pthread_setcancelstate(state: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
    }
    let mut before = 0;
    // SAFETY: the call fills a number of our own, and changes this thread alone.
    unsafe { pthread_setcancelstate(state, &mut before) };
    before
}

#[cfg(not(target_os = "linux"))]
impl Uncancelable {
    pub fn begin() -> Self {
        Self(0)
    }
}
