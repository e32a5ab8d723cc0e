//! Arguments in the same memory: every function refuses an output that overlaps another argument.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use tckms::Status;
use tckms::ffi::*;

use super::api::{Client, Keyring};
use super::key::TestKey;
use super::time_limits::client_without_service;

/// Memory for any argument. Its content is valid as a text, as bytes and as a structure of zeros.
struct Memory([u64; 64]);

impl Memory {
    fn new() -> Self {
        Self([0; 64])
    }

    /// A place within the memory, in bytes from its beginning.
    fn at<T>(&mut self, offset: usize) -> *mut T {
        self.0.as_mut_ptr().cast::<u8>().wrapping_add(offset).cast()
    }
}

type Call<'a> = Box<dyn Fn(&mut Memory) -> Status + 'a>;

/// For each pair of arguments of which one is written: a call with both in the same memory, or with the second one inside the first.
fn calls<'a>(client: &'a Client, keyring: &'a Keyring, queue: *const tckms_queue) -> Vec<(&'static str, Call<'a>)> {
    let key: *const c_char = c"93866e69-9755-11ef-8e65-52540089bc41".as_ptr();
    let bytes = || (c"x".as_ptr().cast::<c_void>(), 1_usize);
    let (client, keyring) = (client.0, keyring.0);
    let none = ptr::null::<c_char>();
    macro_rules! call {
        ($name:literal, |$memory:ident| $body:expr) => {
            ($name, Box::new(move |$memory: &mut Memory| unsafe { $body }) as Call<'a>)
        };
    }
    vec![
        call!("data key: both outputs", |m| tckms_generate_data_key(client, key, 32, none, m.at(0), m.at(0))),
        call!("data key: outputs overlap", |m| tckms_generate_data_key(client, key, 32, none, m.at(0), m.at(8))),
        call!("data key: context", |m| tckms_generate_data_key(client, key, 32, m.at(100), m.at(0), m.at(96))),
        call!("encrypt: plaintext", |m| tckms_encrypt(client, key, m.at(8), 100, none, m.at(0))),
        call!("encrypt: key id", |m| tckms_encrypt(client, m.at(0), bytes().0, 1, none, m.at(0))),
        call!("encrypt: context", |m| tckms_encrypt(client, key, bytes().0, 1, m.at(15), m.at(0))),
        call!("decrypt: blob", |m| tckms_decrypt(client, key, m.at(0), 17, none, m.at(16))),
        call!("reencrypt: blob", |m| tckms_reencrypt(client, key, m.at(0), 17, none, none, m.at(16))),
        call!("reencrypt: context", |m| tckms_reencrypt(client, key, bytes().0, 1, none, m.at(16), m.at(16))),
        call!("call: request", |m| tckms_call(client, c"ListKeys".as_ptr(), m.at(0), m.at(0))),
        call!("call: action", |m| tckms_call(client, m.at(0), none, m.at(0))),
        call!("public key", |m| tckms_public_key(client, m.at(0), m.at(0))),
        call!("public key as PEM", |m| tckms_public_key_pem(client, m.at(0), m.at(0))),
        call!("sign", |m| tckms_sign(client, key, 1, m.at(0), 100, m.at(8))),
        call!("sign a digest", |m| tckms_sign_digest(client, key, 1, m.at(0), 32, m.at(8))),
        call!("signature to raw", |m| tckms_signature_to_raw(m.at(0), 70, 64, m.at(8))),
        call!("signature from raw", |m| tckms_signature_from_raw(m.at(0), 64, m.at(8))),
        call!("RSA encryption", |m| tckms_rsa_encrypt(client, key, 1, m.at(0), 100, m.at(8))),
        call!("RSA decryption", |m| tckms_rsa_decrypt(client, key, 1, m.at(0), 256, m.at(8))),
        call!("SM2 decryption", |m| tckms_sm2_decrypt(client, key, m.at(0), 100, m.at(8))),
        call!("new key: both outputs", |m| {
            let options = std::mem::zeroed::<tckms_create_key_options>();
            tckms_create_key(client, &options, size_of_val(&options), m.at(0), m.at(0))
        }),
        call!("new key: options", |m| {
            tckms_create_key(client, m.at(0), size_of::<tckms_create_key_options>(), m.at(0), ptr::null_mut())
        }),
        call!("a key's description", |m| tckms_describe_key(client, m.at(0), m.at(0))),
        call!("deletion of a key", |m| tckms_schedule_key_deletion(client, m.at(0), 7, m.at(0))),
        call!("seal: plaintext", |m| tckms_seal(keyring, m.at(0), 100, none, m.at(96))),
        call!("seal: context", |m| tckms_seal(keyring, bytes().0, 1, m.at(0), m.at(0))),
        call!("open: message", |m| tckms_open(keyring, m.at(0), 100, none, m.at(96))),
        call!("open: expected context", |m| tckms_open(keyring, bytes().0, 1, m.at(0), m.at(0))),
        call!("claims: message", |m| tckms_message_info_new(m.at(0), 100, m.at(0))),
        call!("context: pairs", |m| tckms_context_json(m.at(0), 2, m.at(24))),
        call!("new stream that seals", |m| tckms_stream_new_seal(keyring, m.at(0), m.at(0))),
        call!("new stream that opens", |m| tckms_stream_new_open(keyring, m.at(0), m.at(0))),
        call!("update: both numbers", |m| update(keyring, bytes(), m.at(0), (m.at(64), 64), m.at(0))),
        call!("update: a number in the input", |m| update(keyring, (m.at(0), 9), m.at(8), (m.at(64), 64), m.at(200))),
        call!("update: the other one in it", |m| update(keyring, (m.at(0), 9), m.at(200), (m.at(64), 64), m.at(8))),
        call!("update: a number in the output", |m| update(keyring, bytes(), m.at(64), (m.at(64), 64), m.at(0))),
        call!("update: the other one in it", |m| update(keyring, bytes(), m.at(0), (m.at(64), 64), m.at(120))),
        call!("update: output and input", |m| update(keyring, (m.at(0), 65), m.at(200), (m.at(64), 64), m.at(208))),
        call!("finish: both numbers", |m| finish(keyring, (m.at(64), 64), m.at(0), m.at(4))),
        call!("finish: a number in the output", |m| finish(keyring, (m.at(64), 64), m.at(120), m.at(0))),
        call!("finish: the other one in it", |m| finish(keyring, (m.at(64), 64), m.at(0), m.at(64))),
        call!("SM2 digest: message", |m| tckms_sm2_digest(client, key, ptr::null(), 0, m.at(0), 100, m.at(8))),
        call!("SM2 digest: user id", |m| tckms_sm2_digest(client, key, m.at(0), 16, bytes().0, 1, m.at(8))),
        call!("signer: user id", |m| tckms_signer_new(client, key, 0, m.at(0), 16, m.at(8))),
        call!("signer: key id", |m| tckms_signer_new(client, m.at(0), 0, ptr::null(), 0, m.at(0))),
        call!("branch record: branch id", |m| tckms_branch_record_new(client, key, m.at(0), m.at(0))),
        call!("branch record: key id", |m| tckms_branch_record_new(client, m.at(0), c"orders".as_ptr(), m.at(0))),
        call!("context value: context", |m| tckms_context_value(m.at(0), c"a".as_ptr(), m.at(0), 65)),
        call!("context value: key", |m| tckms_context_value(c"{}".as_ptr(), m.at(8), m.at(0), 65)),
        call!("queue: options", |m| tckms_queue_new(m.at(0), size_of::<tckms_queue_options>(), m.at(0))),
        call!("submitted encryption", |m| {
            tckms_submit_encrypt(queue, client, key, m.at(0), 100, none, 1000, ptr::null_mut(), m.at(8))
        }),
        call!("submitted decryption", |m| {
            tckms_submit_decrypt(queue, client, key, m.at(0), 17, none, 1000, ptr::null_mut(), m.at(8))
        }),
        call!("submitted re-encryption", |m| {
            tckms_submit_reencrypt(queue, client, none, m.at(0), 17, none, none, 1000, ptr::null_mut(), m.at(8))
        }),
        call!("submitted data key", |m| {
            tckms_submit_generate_data_key(queue, client, m.at(0), 32, none, 1000, ptr::null_mut(), m.at(0))
        }),
        call!("submitted call", |m| {
            tckms_submit_call(queue, client, c"ListKeys".as_ptr(), m.at(0), 1000, ptr::null_mut(), m.at(0))
        }),
        call!("submitted signature", |m| {
            tckms_submit_sign_digest(queue, client, key, 1, m.at(0), 32, 1000, ptr::null_mut(), m.at(8))
        }),
        call!("submitted RSA decryption", |m| {
            tckms_submit_rsa_decrypt(queue, client, key, 1, m.at(0), 256, 1000, ptr::null_mut(), m.at(8))
        }),
        call!("submitted public key", |m| {
            tckms_submit_public_key(queue, client, m.at(0), 1000, ptr::null_mut(), m.at(0))
        }),
        call!("submitted sealing", |m| {
            tckms_submit_seal(queue, keyring, m.at(0), 100, none, 1000, ptr::null_mut(), m.at(96))
        }),
        call!("submitted opening", |m| {
            tckms_submit_open(queue, keyring, m.at(0), 100, none, 1000, ptr::null_mut(), m.at(96))
        }),
        call!("submitted beginning of a seal", |m| {
            tckms_submit_seal_begin(queue, m.at(0), 1000, ptr::null_mut(), m.at(0))
        }),
        call!("submitted beginning of an open", |m| begin_open(queue, keyring, (m.at(0), 100), m.at(8))),
    ]
}

unsafe fn update(
    keyring: *const tckms_keyring,
    input: (*const c_void, usize),
    consumed: *mut usize,
    output: (*mut c_void, usize),
    produced: *mut usize,
) -> Status {
    with_stream(keyring, |stream| unsafe {
        tckms_stream_update(stream, input.0, input.1, consumed, output.0, output.1, produced)
    })
}

unsafe fn finish(
    keyring: *const tckms_keyring,
    output: (*mut c_void, usize),
    produced: *mut usize,
    done: *mut c_int,
) -> Status {
    with_stream(keyring, |stream| unsafe { tckms_stream_finish(stream, output.0, output.1, produced, done) })
}

unsafe fn begin_open(
    queue: *const tckms_queue,
    keyring: *const tckms_keyring,
    header: (*const c_void, usize),
    id: *mut u64,
) -> Status {
    let mut stream = ptr::null_mut();
    assert_eq!(unsafe { tckms_stream_new_open(keyring, ptr::null(), &mut stream) }, Status::Ok);
    let status = unsafe { tckms_submit_open_begin(queue, &mut stream, header.0, header.1, 1000, ptr::null_mut(), id) };
    unsafe { tckms_stream_free(stream) };
    status
}

fn with_stream(keyring: *const tckms_keyring, call: impl Fn(*mut tckms_stream) -> Status) -> Status {
    let mut stream = ptr::null_mut();
    assert_eq!(unsafe { tckms_stream_new_seal(keyring, ptr::null(), &mut stream) }, Status::Ok);
    let status = call(stream);
    unsafe { tckms_stream_free(stream) };
    status
}

#[test]
fn overlapping_outputs_are_refused() {
    let (client, (keyring, key)) = (client_without_service(), TestKey::keyring());
    let mut queue = ptr::null_mut();
    assert_eq!(unsafe { tckms_queue_new(ptr::null(), 0, &mut queue) }, Status::Ok);
    for (name, call) in calls(&client, &keyring, queue) {
        let mut memory = Memory::new();
        assert_eq!(call(&mut memory), Status::Overlap, "{name}");
    }
    assert_eq!(super::key::count(&key.generated), 0, "no request was sent");
    assert_eq!(unsafe { tckms_queue_outstanding(queue) }, 0);
    unsafe { tckms_queue_free(queue) };
}

#[test]
fn adjacent_arguments_do_not_overlap() {
    let (keyring, _) = TestKey::keyring();
    let mut memory = Memory::new();
    unsafe {
        let (input, output) = ((memory.at::<c_void>(0).cast_const(), 64), (memory.at(64), 256));
        assert_eq!(update(keyring.0, input, memory.at(320), output, memory.at(328)), Status::Ok);
        let mut out = tckms_buffer { data: ptr::null_mut(), len: 0 };
        assert_eq!(tckms_seal(keyring.0, memory.at::<c_void>(0), 512, ptr::null(), &mut out), Status::Ok);
        // The same memory may be passed twice if it is only read.
        let (data, len) = (out.data, out.len);
        assert_eq!(tckms_open(keyring.0, data.cast(), len, ptr::null(), &mut out), Status::Ok);
        assert_eq!(out.len, 512);
        tckms_buffer_free(&mut out);
        assert_eq!(tckms_equal(data.cast(), data.cast(), len), 1);
        tckms_buffer_free(&mut tckms_buffer { data, len });
    }
}
