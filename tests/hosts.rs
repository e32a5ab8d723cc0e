//! The library inside processes of all kinds: daemons, servers that fork, many threads, panics.

mod event_loops;
mod legacy_daemon;
mod panic_guard;
mod prefork;
mod process;
mod thread_sanitizer;
