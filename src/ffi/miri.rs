//! The C functions as a program calls them, over a transport that answers from memory. Miri sees every pointer.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::http::mock::KEY_ID;
use crate::status::Status;

fn text(pointer: *const std::ffi::c_char) -> String {
    // SAFETY: the library's strings are never NULL and end with a NUL byte.
    unsafe { CStr::from_ptr(pointer) }.to_str().unwrap().to_owned()
}

fn key_id() -> std::ffi::CString {
    std::ffi::CString::new(KEY_ID).unwrap()
}

const OK: Status = Status::Ok;

/// Counts its calls, and the end of itself.
#[derive(Default)]
struct Program {
    called: AtomicUsize,
    freed: AtomicUsize,
}

impl Program {
    fn userdata(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }
}

unsafe extern "C" fn free_userdata(userdata: *mut c_void) {
    // SAFETY: it was made of a program that still lives.
    unsafe { &*userdata.cast::<Program>() }.freed.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" fn count_event(userdata: *mut c_void, event: *const tckms_log_event) {
    // SAFETY: as above; the event lives during the call.
    unsafe {
        (*userdata.cast::<Program>()).called.fetch_add(1, Ordering::Relaxed);
        assert!(tckms_log_event_level(event) > TCKMS_LOG_OFF);
        assert!(!text(tckms_log_event_message(event)).is_empty());
    }
}

unsafe extern "C" fn set_credentials(_: *mut c_void, out: *mut tckms_credentials) -> c_int {
    // SAFETY: the output is valid during the callback.
    unsafe { c_int::from(tckms_credentials_set(out, c"AKIDmiri".as_ptr(), c"key".as_ptr(), ptr::null(), 0) != OK) }
}

fn new_client(program: &Program) -> *mut tckms_client {
    // SAFETY: handles are used and freed as the header says.
    unsafe {
        let config = tckms_config_new();
        assert_eq!(tckms_config_set_region(config, c"ap-guangzhou".as_ptr()), OK);
        assert_eq!(tckms_config_set_endpoint(config, c"http://127.0.0.1:1".as_ptr()), OK);
        let (userdata, free) = (program.userdata(), Some(free_userdata as unsafe extern "C" fn(_)));
        assert_eq!(tckms_config_set_log(config, TCKMS_LOG_DEBUG, Some(count_event), userdata, free), OK);
        assert_eq!(tckms_config_set_credentials_callback(config, Some(set_credentials), userdata, free), OK);
        let mut client = ptr::null_mut();
        assert_eq!(tckms_client_new(config, &mut client), OK);
        tckms_config_free(config);
        client
    }
}

fn empty() -> tckms_buffer {
    tckms_buffer { data: ptr::null_mut(), len: 0 }
}

fn bytes(buffer: &tckms_buffer) -> Vec<u8> {
    // SAFETY: the library filled it, and put a NUL byte after it.
    unsafe {
        assert_eq!(*buffer.data.add(buffer.len), 0);
        std::slice::from_raw_parts(buffer.data, buffer.len).to_vec()
    }
}

#[test]
fn core_calls() {
    let program = Program::default();
    // SAFETY: handles and buffers are used and freed as the header says.
    unsafe {
        let client = new_client(&program);
        let (key, context) = (key_id(), c"{\"a\":\"b\"}");
        let (mut blob, mut out) = (empty(), empty());
        let plaintext = c"x".as_ptr().cast();
        assert_eq!(tckms_encrypt(client, key.as_ptr(), plaintext, 1, context.as_ptr(), &mut blob), OK);
        assert_eq!(bytes(&blob), b"YQ==-k-Yg==-k-Yw==");
        assert_eq!(text(tckms_last_request_id()), "r-1");
        let (data, len) = (blob.data.cast(), blob.len);
        assert_eq!(tckms_decrypt(client, key.as_ptr(), data, len, context.as_ptr(), &mut out), OK);
        assert_eq!(bytes(&out), b"x");
        assert_eq!(tckms_equal(out.data.cast(), plaintext, 0), 1);
        tckms_buffer_free(&mut out);
        assert!(out.data.is_null());
        assert_eq!(tckms_reencrypt(client, key.as_ptr(), data, len, ptr::null(), context.as_ptr(), &mut out), OK);
        tckms_buffer_free(&mut out);
        tckms_buffer_free(&mut blob);
        assert_eq!(tckms_generate_data_key(client, key.as_ptr(), 32, ptr::null(), &mut out, &mut blob), OK);
        assert_eq!(bytes(&out), [7; 32]);
        tckms_buffer_free(&mut out);
        tckms_buffer_free(&mut blob);
        let mut random = [0_u8; 16];
        assert_eq!(tckms_generate_random(client, random.as_mut_ptr().cast(), random.len()), OK);
        assert_eq!(random[15], 15);
        assert_eq!(tckms_call(client, c"ListKeys".as_ptr(), c"{}".as_ptr(), &mut out), OK);
        assert!(bytes(&out).starts_with(b"{"));
        tckms_buffer_free(&mut out);
        tckms_client_free(client);
    }
    assert!(program.called.into_inner() > 0);
    assert_eq!(program.freed.into_inner(), 2);
}

#[test]
fn errors_are_read_taken_and_freed_elsewhere() {
    struct Taken(*mut tckms_error);
    // SAFETY: an error may be freed on any thread.
    unsafe impl Send for Taken {}
    impl Taken {
        fn free(self) {
            // SAFETY: it is freed once.
            unsafe { tckms_error_free(self.0) };
        }
    }
    let program = Program::default();
    // SAFETY: as above.
    unsafe {
        let client = new_client(&program);
        let mut key = ptr::null_mut();
        let status = tckms_describe_key(client, key_id().as_ptr(), &mut key);
        assert!(key.is_null() && status == Status::CmkNotFound);
        let error = tckms_last_error();
        assert_eq!(tckms_error_status(error), status);
        assert_eq!(text(tckms_error_service_code(error)), "ResourceUnavailable.CmkNotFound");
        assert_eq!(text(tckms_error_action(error)), "DescribeKey");
        let taken = Taken(tckms_last_error_take());
        assert!(!taken.0.is_null() && text(tckms_error_message(taken.0)).contains("no such key"));
        std::thread::spawn(move || taken.free()).join().unwrap();
        let mut out = empty();
        assert_ne!(tckms_encrypt(client, ptr::null(), ptr::null(), 1, ptr::null(), &mut out), OK);
        let long = [0_u8; 5000];
        let (data, len) = (long.as_ptr().cast(), long.len());
        let status = tckms_encrypt(client, key_id().as_ptr(), data, len, ptr::null(), &mut out);
        assert_eq!(status, Status::PlaintextTooLarge);
        tckms_client_free(client);
        tckms_error_free(ptr::null_mut());
    }
}

#[test]
fn siblings_are_used_and_freed_on_several_threads() {
    #[derive(Clone, Copy)]
    struct Shared(*mut tckms_client);
    // SAFETY: clients may be used by all threads.
    unsafe impl Send for Shared {}
    impl Shared {
        fn use_and_free(self) {
            // SAFETY: each thread has its own handle.
            unsafe {
                let mut random = [0_u8; 16];
                assert_eq!(tckms_generate_random(self.0, random.as_mut_ptr().cast(), random.len()), OK);
                tckms_client_free(self.0);
            }
        }
    }
    let program = Program::default();
    // SAFETY: as above.
    unsafe {
        let client = new_client(&program);
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let mut sibling = ptr::null_mut();
                assert_eq!(tckms_client_derive_timeout_ms(client, 600_000, &mut sibling), OK);
                let sibling = Shared(sibling);
                std::thread::spawn(move || sibling.use_and_free())
            })
            .collect();
        let mut canceled = ptr::null_mut();
        assert_eq!(tckms_client_derive_timeout_ms(client, 600_000, &mut canceled), OK);
        assert_eq!(tckms_client_cancel(canceled), OK);
        let mut out = empty();
        assert_eq!(tckms_call(canceled, c"ListKeys".as_ptr(), ptr::null(), &mut out), Status::Canceled);
        tckms_client_free(canceled);
        tckms_client_free(client);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
    assert_eq!(program.freed.into_inner(), 2);
}

#[test]
fn structures_and_contexts() {
    // SAFETY: structures are passed with their sizes.
    unsafe {
        let pairs = [
            tckms_context_pair { key: c"a".as_ptr(), value: c"\"1\"".as_ptr() },
            tckms_context_pair { key: c"b".as_ptr(), value: c"".as_ptr() },
        ];
        let mut out = empty();
        assert_eq!(tckms_context_json(pairs.as_ptr(), pairs.len(), &mut out), OK);
        assert_eq!(bytes(&out), br#"{"a":"\"1\"","b":""}"#);
        tckms_buffer_free(&mut out);
        let keyring = tckms_keyring_new();
        let program = Program::default();
        let mut custom: tckms_custom_key = std::mem::zeroed();
        custom.userdata = program.userdata();
        custom.destructor_or_null = Some(free_userdata);
        custom.provider_id = c"provider".as_ptr();
        // No callback at all, and every size that no version had.
        for size in 0..size_of::<tckms_custom_key>() {
            assert_ne!(tckms_keyring_add_custom(keyring, &custom, size), OK, "{size}");
        }
        tckms_keyring_free(keyring);
        assert_eq!(program.freed.into_inner(), 0);
        let mut info = ptr::null_mut();
        assert_ne!(tckms_message_info_new(c"no message".as_ptr().cast(), 10, &mut info), OK);
        assert!(info.is_null());
    }
}
