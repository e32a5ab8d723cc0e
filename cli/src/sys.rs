//! The only place of the tool with `unsafe` in it: where the program begins, its signals, and descriptors that it was started
//! with.

use std::ffi::c_int;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// The program begins here, and not in the start-up code of Rust: that opens /dev/null in place of a closed standard descriptor,
/// and an input that is missing would look like an empty one.
#[cfg(not(test))]
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, _: *const *const std::ffi::c_char) -> c_int {
    c_int::from(crate::run())
}

static NOTED: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: c_int) {
    NOTED.store(signal, Ordering::SeqCst);
}

extern "C" fn ignore(_: c_int) {}

/// The signal that was noted last, or 0.
pub fn noted_signal() -> c_int {
    NOTED.load(Ordering::SeqCst)
}

/// Notes a signal when it comes, once: a second one has its default effect. One that the caller has the program ignore stays
/// ignored.
pub fn note_once(signal: c_int) {
    handle_unless_ignored(signal, note, libc::SA_RESETHAND);
}

/// Gives a signal no effect. A program that is executed later has its default effect again.
pub fn disregard(signal: c_int) {
    handle_unless_ignored(signal, ignore, libc::SA_RESTART);
}

fn handle_unless_ignored(signal: c_int, handler: extern "C" fn(c_int), flags: c_int) {
    // SAFETY: sigaction is plain data, of which every member is set; the handlers above only touch an atomic.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        if libc::sigaction(signal, std::ptr::null(), &mut action) != 0 || action.sa_sigaction == libc::SIG_IGN {
            return;
        }
        action = std::mem::zeroed();
        libc::sigemptyset(&mut action.sa_mask);
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = flags;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

/// Ends the program by a signal, as if it had never been caught. One that the caller has the program ignore does nothing.
pub fn raise_default(signal: c_int) {
    // SAFETY: sigaction is plain data; the calls take any number for a signal.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        if libc::sigaction(signal, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN {
            return;
        }
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// A descriptor that the program was started with, by its number, if it is open.
pub fn inherited(number: RawFd) -> io::Result<BorrowedFd<'static>> {
    // SAFETY: the call touches no memory and takes any number.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: it is open, and the program never closes a descriptor that it was started with.
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

/// A descriptor that the program was started with, which becomes its own. Called once for each number.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    inherited(number)?;
    // SAFETY: it is open, and nothing else owns it: the caller of the program said that it is the program's (LISTEN_FDS).
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
