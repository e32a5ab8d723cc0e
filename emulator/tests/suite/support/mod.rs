//! An emulator process, and a small client that signs.

mod client;
mod emulator;
mod http;
mod tls;

pub use client::{Call, Client};
pub use emulator::Emulator;
pub use http::{Connection, Reply};
pub use tls::tls_exchange;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub fn unbase64(value: &serde_json::Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().expect("a string")).expect("base64")
}

pub fn unix_now() -> i64 {
    let elapsed = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970");
    i64::try_from(elapsed.as_secs()).expect("seconds that fit in 63 bits")
}
