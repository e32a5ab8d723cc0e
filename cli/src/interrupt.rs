//! Handles SIGINT, SIGTERM and SIGHUP in commands that must clean up.

use std::ffi::c_int;

use crate::sys;

/// Records the signals from now on; the command checks [`received`]. Without this call they end the program at once.
pub fn catch() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        sys::record_once(signal);
    }
}

/// Ignores SIGPIPE and SIGXFSZ: write() fails instead, and the unfinished file is removed.
pub fn ignore_write_signals() {
    sys::ignore_by_handler(libc::SIGPIPE);
    sys::ignore_by_handler(libc::SIGXFSZ);
}

pub fn received() -> bool {
    sys::recorded_signal() != 0
}

pub fn text() -> &'static str {
    match sys::recorded_signal() {
        libc::SIGINT => "interrupted by SIGINT",
        libc::SIGTERM => "interrupted by SIGTERM",
        _ => "interrupted by SIGHUP",
    }
}

/// Ends the program with the recorded signal.
pub fn end_by_signal() {
    if received() {
        sys::raise_default(sys::recorded_signal());
    }
}

/// Ends the program with SIGPIPE.
pub fn end_by_broken_pipe() {
    const SIGPIPE: c_int = libc::SIGPIPE;
    sys::raise_default(SIGPIPE);
}
