//! The functions of AWS-LC that are called before there is any cryptography. Miri runs no C; anything else of AWS-LC ends
//! it with the function's name. Part of no build but Miri's.

use std::ffi::{c_int, c_void};

#[unsafe(export_name = "aws_lc_0_47_0_CRYPTO_library_init")]
extern "C" fn library_init() {}

#[unsafe(export_name = "aws_lc_0_47_0_FIPS_mode")]
extern "C" fn fips_mode() -> c_int {
    0
}

#[unsafe(export_name = "aws_lc_0_47_0_CRYPTO_memcmp")]
unsafe extern "C" fn memcmp(a: *const c_void, b: *const c_void, len: usize) -> c_int {
    // SAFETY: both have `len` bytes.
    let [a, b] = unsafe { [a, b].map(|bytes| std::slice::from_raw_parts(bytes.cast::<u8>(), len)) };
    c_int::from(a != b)
}
