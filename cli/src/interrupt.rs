//! SIGINT, SIGTERM and SIGHUP while a command has something to clean up.

use std::ffi::c_int;

use crate::sys;

/// From now on the signals are noted, for a command that looks. Without this they end the program at once.
pub fn catch() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        sys::note_once(signal);
    }
}

/// A pipe without a reader is a failed write, and so is a file that may not grow any further. After either, an unfinished file
/// is removed.
pub fn disregard_writers_signals() {
    sys::disregard(libc::SIGPIPE);
    sys::disregard(libc::SIGXFSZ);
}

pub fn came() -> bool {
    sys::noted_signal() != 0
}

pub fn text() -> &'static str {
    match sys::noted_signal() {
        libc::SIGINT => "interrupted by SIGINT",
        libc::SIGTERM => "interrupted by SIGTERM",
        _ => "interrupted by SIGHUP",
    }
}

/// Ends the program by the signal that was noted.
pub fn pass_on() {
    if came() {
        sys::raise_default(sys::noted_signal());
    }
}

/// Ends the program as one ends that writes to a pipe without a reader.
pub fn end_by_broken_pipe() {
    const SIGPIPE: c_int = libc::SIGPIPE;
    sys::raise_default(SIGPIPE);
}
