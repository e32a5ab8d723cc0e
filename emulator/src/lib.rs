//! The parts of `tckms-emulator`, a local Tencent Cloud KMS. It is a library only for its fuzz target, and has no API.

#![forbid(unsafe_code)]

mod api;
mod background;
mod behaviour;
mod cli;
mod clock;
mod emulator;
mod error;
mod faults;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod identity;
mod keys;
mod logger;
#[doc(hidden)]
pub mod program;
mod random;
mod request_log;
/// The library's filter of text. The emulator uses one of its functions.
#[path = "../../src/sanitize.rs"]
#[allow(dead_code)]
mod sanitize;
mod server;
