//! A custom key for tests: it wraps by adding a byte, counts its calls, and fails on request.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::Duration;

use tckms::Status;
use tckms::ffi::{tckms_custom_key, tckms_wrapped_key, tckms_wrapped_key_blob, tckms_wrapped_key_set};

use super::api::Keyring;

pub const PROVIDER: &CStr = c"test-provider";

#[derive(Default)]
pub struct TestKey {
    pub generated: AtomicU32,
    pub wrapped: AtomicU32,
    pub unwrapped: AtomicU32,
    pub destroyed: AtomicU32,
    /// The return value of the callbacks.
    pub answer: AtomicI32,
    pub delay_ms: AtomicU32,
    /// The data key that unwrap returns for every wrapped key; empty for the correct one.
    pub fixed: Vec<u8>,
}

impl TestKey {
    /// A keyring with one such key, and the key.
    pub fn keyring() -> (Keyring, Arc<Self>) {
        Self::default().in_keyring(PROVIDER.as_ptr())
    }

    /// A keyring that opens every message with this data key.
    pub fn keyring_with_data_key(data_key: &[u8]) -> Keyring {
        Self { fixed: data_key.to_vec(), ..Self::default() }.in_keyring(ptr::null()).0
    }

    fn in_keyring(self, provider: *const c_char) -> (Keyring, Arc<Self>) {
        let (keyring, key) = (Keyring::new(), Arc::new(self));
        key.add_to(&keyring, provider);
        (keyring, key)
    }

    pub fn add_to(self: &Arc<Self>, keyring: &Keyring, provider: *const c_char) {
        keyring.add_custom(&self.callbacks(provider)).unwrap();
    }

    pub fn callbacks(self: &Arc<Self>, provider: *const c_char) -> tckms_custom_key {
        tckms_custom_key {
            provider_id: provider,
            generate: Some(generate),
            wrap: Some(wrap),
            unwrap: Some(unwrap),
            userdata: Arc::into_raw(Arc::clone(self)).cast_mut().cast(),
            destructor_or_null: Some(destroy),
        }
    }

    pub fn set_answer(&self, status: Status) {
        self.answer.store(status as i32, Ordering::SeqCst);
    }

    fn begin(&self, counter: &AtomicU32) -> c_int {
        counter.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst).into()));
        self.answer.load(Ordering::SeqCst)
    }
}

pub fn count(counter: &AtomicU32) -> u32 {
    counter.load(Ordering::SeqCst)
}

unsafe fn key<'a>(userdata: *mut c_void) -> &'a TestKey {
    unsafe { &*userdata.cast() }
}

unsafe extern "C" fn generate(
    userdata: *mut c_void,
    context: *const c_char,
    data_key: *mut u8,
    len: usize,
    out: *mut tckms_wrapped_key,
) -> c_int {
    unsafe {
        let this = key(userdata);
        let answer = this.begin(&this.generated);
        let seed = count(&this.generated) as u8;
        std::slice::from_raw_parts_mut(data_key, len)
            .iter_mut()
            .enumerate()
            .for_each(|(at, byte)| *byte = at as u8 ^ seed);
        if answer == 0 { put(context, data_key, len, out) } else { answer }
    }
}

unsafe extern "C" fn wrap(
    userdata: *mut c_void,
    context: *const c_char,
    data_key: *const u8,
    len: usize,
    out: *mut tckms_wrapped_key,
) -> c_int {
    unsafe {
        let this = key(userdata);
        let answer = this.begin(&this.wrapped);
        if answer == 0 { put(context, data_key, len, out) } else { answer }
    }
}

unsafe fn put(context: *const c_char, data_key: *const u8, len: usize, out: *mut tckms_wrapped_key) -> c_int {
    unsafe {
        assert!(CStr::from_ptr(context).to_str().unwrap().starts_with('{'));
        let wrapped: Vec<u8> =
            std::slice::from_raw_parts(data_key, len).iter().map(|byte| byte.wrapping_add(1)).collect();
        tckms_wrapped_key_set(out, c"key-1".as_ptr().cast(), 5, wrapped.as_ptr().cast(), wrapped.len()) as c_int
    }
}

unsafe extern "C" fn unwrap(
    userdata: *mut c_void,
    wrapped: *const tckms_wrapped_key,
    _context: *const c_char,
    data_key: *mut u8,
    data_key_len: usize,
) -> c_int {
    unsafe {
        let this = key(userdata);
        let answer = this.begin(&this.unwrapped);
        let mut len = 0;
        let blob = tckms_wrapped_key_blob(wrapped, &mut len);
        let honest: Vec<u8> = std::slice::from_raw_parts(blob, len).iter().map(|byte| byte.wrapping_sub(1)).collect();
        let known = if this.fixed.is_empty() { &honest } else { &this.fixed };
        if answer != 0 || known.len() != data_key_len {
            return if answer == 0 { Status::NoMatchingKey as c_int } else { answer };
        }
        ptr::copy_nonoverlapping(known.as_ptr(), data_key, data_key_len);
        0
    }
}

unsafe extern "C" fn destroy(userdata: *mut c_void) {
    let this = unsafe { Arc::from_raw(userdata.cast::<TestKey>()) };
    this.destroyed.fetch_add(1, Ordering::SeqCst);
}
