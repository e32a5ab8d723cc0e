//! The key and the credentials that every client of the measurement uses.

use std::ffi::CStr;

pub const KEY_ID: &CStr = c"23e80852-1e38-11e9-b129-5cb9019b4b01";
/// Of the lengths that real ones have; the server does not look at them.
pub const SECRET_ID: &CStr = c"AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE";
pub const SECRET_KEY: &CStr = c"Gu5t9xGARNpq86cd98joQYCN3EXAMPLE";
