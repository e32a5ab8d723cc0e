//! The key and the credentials that all clients of the benchmark use.

use std::ffi::CStr;

pub const KEY_ID: &CStr = c"23e80852-1e38-11e9-b129-5cb9019b4b01";
/// The credentials have the lengths of real ones. The server does not check them.
pub const SECRET_ID: &CStr = c"AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE";
pub const SECRET_KEY: &CStr = c"Gu5t9xGARNpq86cd98joQYCN3EXAMPLE";
