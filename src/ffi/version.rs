//! The version of the running library; the header has the one that a program was compiled with.

use std::ffi::{CStr, c_char, c_uint};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => unreachable!(),
};

/// The version of the running library, such as "0.1.0". TCKMS_VERSION is the one of the header.
///
/// @return  Text, valid until the process ends.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_version() -> *const c_char {
    VERSION.as_ptr()
}

/// The version of the running library as one number, to compare with TCKMS_VERSION_NUMBER of the
/// header.
///
/// @return  major x 65536 + minor x 256 + patch.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_version_number() -> c_uint {
    let mut parts = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse::<c_uint>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    next() << 16 | next() << 8 | next()
}
