//! Handles SIGINT, SIGTERM and SIGHUP in commands that must clean up.

use std::ffi::c_int;

use crate::sys;

/// Records the signals from now on; the command checks [`came`]. Without this they end the program at once.
pub fn catch() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        sys::record_once(signal);
    }
}

/// Makes SIGPIPE and SIGXFSZ failures of write(), after which the unfinished file is removed.
pub fn ignore_write_signals() {
    sys::ignore_by_handler(libc::SIGPIPE);
    sys::ignore_by_handler(libc::SIGXFSZ);
}

pub fn came() -> bool {
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
pub fn pass_on() {
    if came() {
        sys::raise_default(sys::recorded_signal());
    }
}

/// Ends the program with SIGPIPE.
pub fn end_by_broken_pipe() {
    const SIGPIPE: c_int = libc::SIGPIPE;
    sys::raise_default(SIGPIPE);
}
