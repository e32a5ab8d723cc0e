//! A custom key that returns one fixed data key, whatever it unwraps.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use tckms::Status;
use tckms::ffi::{tckms_custom_key, tckms_wrapped_key, tckms_wrapped_key_set};

use crate::api::Keyring;

/// Suites with a shorter data key use its first bytes.
pub const DATA_KEY: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// A keyring of `count` such keys.
pub fn keyring(count: usize) -> Keyring {
    let keyring = Keyring::new();
    for _ in 0..count {
        keyring.add_custom(&callbacks()).unwrap();
    }
    keyring
}

fn callbacks() -> tckms_custom_key {
    tckms_custom_key {
        provider_id: c"fuzz".as_ptr(),
        generate: Some(generate),
        wrap: Some(wrap),
        unwrap: Some(unwrap),
        userdata: ptr::null_mut(),
        destructor_or_null: None,
    }
}

unsafe extern "C" fn generate(
    _userdata: *mut c_void,
    context: *const c_char,
    data_key: *mut u8,
    len: usize,
    out: *mut tckms_wrapped_key,
) -> c_int {
    // SAFETY: the library's memory, valid during this call.
    unsafe {
        ptr::copy_nonoverlapping(DATA_KEY.as_ptr(), data_key, len);
        wrap(ptr::null_mut(), context, data_key, len, out)
    }
}

unsafe extern "C" fn wrap(
    _userdata: *mut c_void,
    _context: *const c_char,
    _data_key: *const u8,
    _len: usize,
    out: *mut tckms_wrapped_key,
) -> c_int {
    // SAFETY: the library's memory, valid during this call.
    unsafe { tckms_wrapped_key_set(out, c"k".as_ptr().cast(), 1, c"wrapped".as_ptr().cast(), 7) as c_int }
}

unsafe extern "C" fn unwrap(
    _userdata: *mut c_void,
    _wrapped: *const tckms_wrapped_key,
    context: *const c_char,
    data_key: *mut u8,
    data_key_len: usize,
) -> c_int {
    // SAFETY: the library's memory, valid during this call.
    unsafe {
        assert!(CStr::from_ptr(context).to_str().unwrap().starts_with('{'));
        assert!(data_key_len <= DATA_KEY.len());
        ptr::copy_nonoverlapping(DATA_KEY.as_ptr(), data_key, data_key_len);
    }
    Status::Ok as c_int
}
