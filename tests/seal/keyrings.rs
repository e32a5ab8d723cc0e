//! Keys, contexts and claims.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::process::Command;
use std::ptr;
use std::sync::Arc;

use tckms::Status;
use tckms::ffi::*;

use super::api::{Keyring, forged, info, last_is_retryable, last_message};
use super::key::{PROVIDER, TestKey, count};
use support::{output_of, tool};

#[test]
fn contexts_are_compared_before_any_request() {
    let (keyring, key) = TestKey::keyring();
    let message = keyring.seal(b"x", r#"{"tenant":"7","table":"用户"}"#).unwrap();
    for good in ["", "{}", r#"{"tenant":"7"}"#, r#"{"table":"用户","tenant":"7"}"#] {
        assert_eq!(keyring.open(&message, good).unwrap(), b"x", "{good}");
    }
    let asked = count(&key.unwrapped);
    for bad in [r#"{"tenant":"8"}"#, r#"{"Tenant":"7"}"#, r#"{"tenant":"7","more":""}"#] {
        assert_eq!(keyring.open(&message, bad), Err(Status::ContextMismatch), "{bad}");
    }
    assert_eq!(count(&key.unwrapped), asked);
    assert_eq!(keyring.open(&message, "[]"), Err(Status::InvalidContext));
}

#[test]
fn contexts_that_cannot_be_written_are_refused() {
    let (keyring, key) = TestKey::keyring();
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1017));
    for (context, status) in [
        (r#"{"aws-crypto-x":"1"}"#, Status::ReservedContextKey),
        (r#"{"":"1"}"#, Status::ReservedContextKey),
        (r#"{"a":"1","a":"2"}"#, Status::InvalidContext),
        (r#"{"a":1}"#, Status::InvalidContext),
        (long.as_str(), Status::ContextTooLong),
    ] {
        assert_eq!(keyring.seal(b"x", context), Err(status), "{context}");
    }
    assert_eq!(count(&key.generated), 0);
    // The public key of a signed message is a pair as well.
    keyring.set_signing(true);
    let fitting = |len: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(len - 8));
    assert_eq!(keyring.seal(b"x", &fitting(930)), Err(Status::ContextTooLong));
    assert!(last_message().contains("930 bytes") && last_message().contains("so 929 are left"), "{}", last_message());
    keyring.seal(b"x", &fitting(929)).unwrap();
    keyring.set_signing(false);
    // Blanks do not count: the limit applies to the shortest form.
    let blanks = format!("{{{}\"a\":\"1\"}}", " ".repeat(2000));
    keyring.seal(b"x", &blanks).unwrap();
}

#[test]
fn a_keyring_without_keys_is_an_error() {
    let keyring = Keyring::new();
    assert_eq!(keyring.seal(b"x", ""), Err(Status::NoUsableKey));
    let message = TestKey::keyring().0.seal(b"x", "").unwrap();
    assert_eq!(keyring.open(&message, ""), Err(Status::NoUsableKey));
}

#[test]
fn every_key_wraps_and_one_failure_fails_the_call() {
    let (keyring, first) = TestKey::keyring();
    let second = Arc::new(TestKey::default());
    second.add_to(&keyring, PROVIDER.as_ptr());
    keyring.seal(b"x", "").unwrap();
    assert_eq!((count(&first.generated), count(&first.wrapped)), (1, 0));
    assert_eq!((count(&second.generated), count(&second.wrapped)), (0, 1));
    second.set_answer(Status::CmkDisabled);
    assert_eq!(keyring.seal(b"x", ""), Err(Status::CmkDisabled));
}

#[test]
fn an_outage_is_never_a_message_that_cannot_be_opened() {
    let (keyring, first) = TestKey::keyring();
    let second = Arc::new(TestKey::default());
    second.add_to(&keyring, PROVIDER.as_ptr());
    let message = keyring.seal(b"x", "").unwrap();
    for (one, other) in [(&first, &second), (&second, &first)] {
        one.set_answer(Status::RequestLimitExceeded);
        other.set_answer(Status::NoMatchingKey);
        assert_eq!(keyring.open(&message, ""), Err(Status::RequestLimitExceeded));
        assert!(last_is_retryable());
        // The other key is still tried, and may succeed.
        other.set_answer(Status::Ok);
        assert_eq!(keyring.open(&message, "").unwrap(), b"x");
    }
}

#[test]
fn a_key_that_is_refused_is_never_a_message_that_cannot_be_opened() {
    let (keyring, first) = TestKey::keyring();
    let second = Arc::new(TestKey::default());
    second.add_to(&keyring, PROVIDER.as_ptr());
    let message = keyring.seal(b"x", "").unwrap();
    for (one, other) in [(&first, &second), (&second, &first)] {
        for told in [Status::CmkDisabled, Status::OutOfMemory, Status::TlsFailed, Status::CamDenied] {
            one.set_answer(told);
            other.set_answer(Status::NoMatchingKey);
            assert_eq!(keyring.open(&message, ""), Err(told));
        }
    }
}

#[test]
fn a_callback_that_writes_no_data_key_has_failed() {
    unsafe extern "C" fn generate_nothing(
        _: *mut c_void,
        _: *const c_char,
        _: *mut u8,
        _: usize,
        out: *mut tckms_wrapped_key,
    ) -> c_int {
        unsafe { tckms_wrapped_key_set(out, c"key-1".as_ptr().cast(), 5, c"wrapped".as_ptr().cast(), 7) as c_int }
    }
    let key = Arc::new(TestKey::default());
    let keyring = Keyring::new();
    let callbacks = key.callbacks(PROVIDER.as_ptr());
    keyring.add_custom(&tckms_custom_key { generate: Some(generate_nothing), ..callbacks }).unwrap();
    assert_eq!(keyring.seal(b"x", ""), Err(Status::CustomKeyFailed));
}

/// The content of a header is not authenticated, and its author chooses its length.
#[test]
fn an_error_repeats_little_of_a_header() {
    let (keyring, _) = TestKey::keyring();
    let mut message = keyring.seal(b"x", "").unwrap();
    let at = message.windows(5).position(|part| part == b"key-1").unwrap();
    let long = "用".repeat(20_000);
    message.splice(at - 2..at + 5, [&60_000_u16.to_be_bytes()[..], long.as_bytes()].concat());
    let other = Keyring::new();
    Arc::new(TestKey::default()).add_to(&other, c"another-provider".as_ptr());
    assert_eq!(other.open(&message, ""), Err(Status::NoMatchingKey));
    let told = last_message();
    assert!(told.contains("the message names none of the keys") && told.contains("test-provider"), "{told}");
    assert!(told.len() < 1000, "{} bytes", told.len());
}

#[test]
fn callbacks_return_statuses_or_have_failed() {
    let (keyring, key) = TestKey::keyring();
    for (answer, status) in [
        (Status::CmkDisabled as i32, Status::CmkDisabled),
        (-1, Status::CustomKeyFailed),
        (77, Status::CustomKeyFailed),
    ] {
        key.answer.store(answer, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(keyring.seal(b"x", ""), Err(status));
    }
    drop(keyring);
    assert_eq!(count(&key.destroyed), 1);
}

unsafe extern "C" fn explain(
    _: *mut c_void,
    wrapped: *const tckms_wrapped_key,
    _: *const c_char,
    _: *mut u8,
    _: usize,
) -> c_int {
    unsafe {
        let mut len = 77;
        assert_eq!(CStr::from_ptr(tckms_wrapped_key_provider_id(wrapped)), PROVIDER);
        let info = tckms_wrapped_key_info(wrapped, &mut len);
        assert_eq!(std::slice::from_raw_parts(info, len), b"key-1");
        assert_eq!(tckms_wrapped_key_info(wrapped, ptr::null_mut()), info);
        assert_eq!(tckms_callback_set_error_text(c"\xff".as_ptr()), Status::InvalidUtf8);
        assert_eq!(tckms_callback_set_error_text(ptr::null()), Status::NullPointer);
        assert_eq!(tckms_callback_set_error_text(c"slot 3 is\x1b[2J locked".as_ptr()), Status::Ok);
    }
    Status::ServiceUnavailable as c_int
}

#[test]
fn a_callback_reports_its_reason() {
    let (keyring, key) = TestKey::keyring();
    let message = keyring.seal(b"x", "").unwrap();
    let other = Keyring::new();
    let callbacks = tckms_custom_key { unwrap: Some(explain), ..key.callbacks(PROVIDER.as_ptr()) };
    other.add_custom(&callbacks).unwrap();
    assert_eq!(other.open(&message, ""), Err(Status::ServiceUnavailable));
    assert!(last_message().contains("slot 3 is\\u{1b}[2J locked"), "{}", last_message());
    assert!(last_is_retryable());
    // The text applies to one callback only.
    key.set_answer(Status::ServiceUnavailable);
    assert_eq!(keyring.open(&message, ""), Err(Status::ServiceUnavailable));
    assert!(!last_message().contains("slot 3"));
    unsafe {
        assert_eq!(CStr::from_ptr(tckms_wrapped_key_provider_id(ptr::null())), c"");
        let mut len = 77;
        assert!(!tckms_wrapped_key_blob(ptr::null(), &mut len).is_null() && len == 0);
    }
}

#[test]
fn a_custom_key_that_is_refused_stays_the_callers() {
    let key = Arc::new(TestKey::default());
    let keyring = Keyring::new();
    let callbacks = key.callbacks(c"aws-kms".as_ptr());
    assert_eq!(keyring.add_custom(&callbacks), Err(Status::InvalidKeyName));
    assert_eq!(count(&key.destroyed), 0);
    let status = unsafe { tckms::ffi::tckms_keyring_add_custom(keyring.0, &callbacks, 0) };
    assert_eq!(status, Status::InvalidLength);
    keyring.add_custom(&tckms_custom_key { provider_id: PROVIDER.as_ptr(), ..callbacks }).unwrap();
    drop(keyring);
    assert_eq!(count(&key.destroyed), 1);
}

#[test]
fn a_key_without_callbacks_is_not_used() {
    let (keyring, key) = TestKey::keyring();
    let message = keyring.seal(b"x", "").unwrap();
    let idle = Keyring::new();
    let nothing = tckms_custom_key { generate: None, wrap: None, unwrap: None, ..key.callbacks(PROVIDER.as_ptr()) };
    idle.add_custom(&nothing).unwrap();
    assert_eq!(idle.seal(b"x", ""), Err(Status::NoUsableKey));
    assert_eq!(idle.open(&message, ""), Err(Status::NoMatchingKey));
    let wraps_only = tckms_custom_key { generate: None, unwrap: None, ..key.callbacks(PROVIDER.as_ptr()) };
    idle.add_custom(&wraps_only).unwrap();
    assert_eq!(keyring.open(&idle.seal(b"y", "").unwrap(), "").unwrap(), b"y");
}

pub struct RsaPair {
    pub private: String,
    pub traditional: String,
    pub public: String,
}

pub fn rsa_pair() -> RsaPair {
    let openssl = |arguments: &[&str], input: &str| {
        let scratch = support::Scratch::new();
        let file = scratch.write("key.pem", input);
        output_of(tool("openssl").args(arguments).args(if input.is_empty() {
            vec![]
        } else {
            vec!["-in".as_ref(), file.as_os_str()]
        }))
    };
    let private = openssl(&["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "");
    let traditional = openssl(&["rsa", "-traditional"], &private);
    let public = openssl(&["pkey", "-pubout"], &private);
    RsaPair { private, traditional, public }
}

#[test]
fn an_escrow_key_opens_without_the_service() {
    let pair = rsa_pair();
    let (keyring, key) = TestKey::keyring();
    keyring.add_rsa("escrow", "2026", &pair.public, false).unwrap();
    let message = keyring.seal(b"x", r#"{"a":"1"}"#).unwrap();
    key.set_answer(Status::ServiceUnavailable);
    assert_eq!(keyring.open(&message, ""), Err(Status::ServiceUnavailable));
    for private in [&pair.private, &pair.traditional] {
        let escrow = Keyring::new();
        escrow.add_rsa("escrow", "2026", private, true).unwrap();
        assert_eq!(escrow.open(&message, r#"{"a":"1"}"#).unwrap(), b"x");
        assert_eq!(escrow.seal(b"x", ""), Err(Status::NoUsableKey));
        let other_name = Keyring::new();
        other_name.add_rsa("escrow", "2027", private, true).unwrap();
        assert_eq!(other_name.open(&message, ""), Err(Status::NoMatchingKey));
        assert!(last_message().contains("2026"), "{}", last_message());
    }
    let wrong = Keyring::new();
    wrong.add_rsa("escrow", "2026", &rsa_pair().private, true).unwrap();
    assert_eq!(wrong.open(&message, ""), Err(Status::NoMatchingKey));
}

#[test]
fn a_message_causes_a_limited_number_of_rsa_operations() {
    let pair = rsa_pair();
    let sealing = Keyring::new();
    sealing.add_rsa("escrow", "2026", &pair.public, false).unwrap();
    let message = sealing.seal(b"x", "").unwrap();
    let keyring = Keyring::new();
    keyring.add_rsa("escrow", "2026", &pair.private, true).unwrap();
    assert_eq!(keyring.open(&message, "").unwrap(), b"x");
    let blobs: Vec<_> = (0..8).map(|number| vec![number; 256]).collect();
    let named = |name: &'static str, count: usize| {
        forged(&blobs[..count].iter().map(|blob| ("escrow", name, blob.as_slice())).collect::<Vec<_>>())
    };
    assert_eq!(keyring.open(&named("2026", 8), ""), Err(Status::TooManyDataKeys));
    for (name, count, expected) in [("2025", 8, "none of the keys of the keyring"), ("2026", 2, "does not unwrap")] {
        assert_eq!(keyring.open(&named(name, count), ""), Err(Status::NoMatchingKey));
        assert!(last_message().contains(expected), "{}", last_message());
    }
    // The same wrapped key counts once, however often it occurs.
    let repeated = vec![("escrow", "2026", blobs[0].as_slice()); 8];
    assert_eq!(keyring.open(&forged(&repeated), ""), Err(Status::NoMatchingKey));
    // One correct wrapped key after three others.
    let wrapped = &message[39 + 2 + 6 + 2 + 4 + 2..][..256];
    let mut behind: Vec<_> = blobs[..3].iter().map(|blob| ("escrow", "2026", blob.as_slice())).collect();
    behind.push(("escrow", "2026", wrapped));
    assert_eq!(keyring.open(&forged(&behind), ""), Err(Status::TooManyDataKeys));
    for (limit, expected) in
        [(1, Status::TooManyDataKeys), (3, Status::TooManyDataKeys), (4, Status::CommitmentMismatch)]
    {
        keyring.set_max_rsa_operations(limit).unwrap();
        assert_eq!(keyring.open(&forged(&behind), ""), Err(expected), "{limit}");
    }
    for refused in [0, 65_536, usize::MAX] {
        assert_eq!(keyring.set_max_rsa_operations(refused), Err(Status::OutOfRange));
    }
}

#[test]
fn an_invalid_rsa_key_is_refused_and_not_repeated_in_the_error() {
    let pair = rsa_pair();
    let small = output_of(Command::new("openssl").args([
        "genpkey",
        "-quiet",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:1024",
    ]));
    let keyring = Keyring::new();
    for (pem, private) in [("", false), ("x", true), (&pair.private, false), (&pair.public, true), (&small, true)] {
        assert_eq!(keyring.add_rsa("escrow", "2026", pem, private), Err(Status::InvalidPem));
        assert!(pem.len() < 2 || !last_message().contains(&pem[40..60]));
    }
    for (pem, private, reason) in [
        ("", true, "it is empty"),
        ("no key", true, "no -----BEGIN line"),
        (&pair.private, false, "it contains a private key"),
        (&pair.public, true, "it contains a public key"),
        (&small, true, "of another type or size"),
        (&pair.private.replace('\n', ""), true, "all on one line"),
        (&pair.private[..pair.private.len() / 2], true, "no matching -----END line"),
        (&pair.public.replace("\nM", "\n!"), false, "not base64"),
        (&pair.private.replace("PRIVATE", "ENCRYPTED PRIVATE"), true, "an encrypted private key"),
        (&pair.public.replace("PUBLIC KEY", "CERTIFICATE"), false, "it contains a certificate"),
    ] {
        assert_eq!(keyring.add_rsa("escrow", "2026", pem, private), Err(Status::InvalidPem));
        assert!(last_message().contains(reason), "{}", last_message());
    }
    for (namespace, name) in [("", "a"), ("a", ""), ("aws-kms", "a"), ("密", "a"), (&"a".repeat(513), "a")] {
        assert_eq!(keyring.add_rsa(namespace, name, &pair.public, false), Err(Status::InvalidKeyName));
    }
}

#[test]
fn an_rsa_key_may_have_a_byte_order_mark_and_windows_line_ends() {
    let pair = rsa_pair();
    let marked = |pem: &str| format!("\u{feff}{}", pem.replace('\n', "\r\n"));
    let (writer, reader) = (Keyring::new(), Keyring::new());
    writer.add_rsa("escrow", "2026", &marked(&pair.public), false).unwrap();
    reader.add_rsa("escrow", "2026", &marked(&pair.private), true).unwrap();
    assert_eq!(reader.open(&writer.seal(b"secret", "").unwrap(), "").unwrap(), b"secret");
}

#[test]
fn a_header_is_read_without_opening_the_message() {
    let (keyring, _) = TestKey::keyring();
    keyring.set_frame_len(512).unwrap();
    keyring.set_signing(true);
    let message = keyring.seal(&[7; 1000], r#"{"a":"密"}"#).unwrap();
    let claims = info(&message).unwrap();
    assert_eq!(claims["authenticated"], false);
    assert_eq!((&claims["version"], &claims["suite"]), (&2.into(), &"0578".into()));
    assert_eq!((&claims["signed"], &claims["committing"]), (&true.into(), &true.into()));
    assert_eq!(claims["frame_len"], 512);
    assert_eq!(claims["context"]["a"], "密");
    assert_eq!(claims["context"]["aws-crypto-public-key"].as_str().unwrap().len(), 68);
    assert_eq!(claims["wrapped_keys"][0]["provider_id"], "test-provider");
    assert_eq!(claims["wrapped_keys"][0]["provider_info"], "key-1");
    assert_eq!(claims["wrapped_keys"][0]["wrapped_len"], 32);
    let header_len = claims["header_len"].as_u64().unwrap() as usize;
    assert_eq!(info(&message[..header_len]).unwrap(), claims, "the header is enough");
    assert_eq!(info(&message[..header_len - 1]), Err(Status::Truncated));
    assert_eq!(info(b"hello"), Err(Status::NotAMessage));
    assert_eq!(info(b"AgR4"), Err(Status::MessageIsBase64));
    assert_eq!(unsafe { tckms::ffi::tckms_message_info_new(ptr::null(), 0, ptr::null_mut()) }, Status::NullPointer);
}

#[test]
fn a_messages_claims_have_accessors() {
    let (keyring, _) = TestKey::keyring();
    keyring.set_frame_len(512).unwrap();
    let message = keyring.seal(&[7; 1000], r#"{"b":"密","a":"1","n":"x\u0000y"}"#).unwrap();
    let text = |text: *const c_char| (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_str().unwrap());
    unsafe {
        let mut claims = ptr::null_mut();
        assert_eq!(tckms_message_info_new(message.as_ptr().cast(), message.len(), &mut claims), Status::Ok);
        assert_eq!((tckms_message_info_version(claims), tckms_message_info_suite(claims)), (2, 0x0478));
        assert_eq!((tckms_message_info_committing(claims), tckms_message_info_signed(claims)), (1, 0));
        assert_eq!(tckms_message_info_frame_len(claims), 512);
        assert_eq!(tckms_message_info_header_len(claims) as u64, info(&message).unwrap()["header_len"]);
        let mut len = 0;
        let id = tckms_message_info_message_id(claims, &mut len);
        assert_eq!(std::slice::from_raw_parts(id, len), &message[3..35]);
        assert_eq!(tckms_message_info_context_count(claims), 3);
        for (index, key, value) in [(0, Some("a"), Some("1")), (1, Some("b"), Some("密")), (2, Some("n"), None)] {
            assert_eq!(text(tckms_message_info_context_key(claims, index)), key);
            assert_eq!(text(tckms_message_info_context_value(claims, index)), value);
        }
        for beyond in [3, usize::MAX] {
            assert!(tckms_message_info_context_key(claims, beyond).is_null());
            assert!(tckms_message_info_context_value(claims, beyond).is_null());
            assert!(tckms_message_info_wrapped_key(claims, beyond).is_null());
        }
        assert_eq!(tckms_message_info_wrapped_key_count(claims), 1);
        let wrapped = tckms_message_info_wrapped_key(claims, 0);
        assert_eq!(CStr::from_ptr(tckms_wrapped_key_provider_id(wrapped)), PROVIDER);
        let blob = tckms_wrapped_key_blob(wrapped, &mut len);
        assert_eq!((blob.is_null(), len), (false, 32));
        tckms_message_info_free(claims);
        tckms_message_info_free(ptr::null_mut());
        let nothing: *const tckms_message_info = ptr::null();
        assert_eq!((tckms_message_info_version(nothing), tckms_message_info_suite(nothing)), (0, 0));
        assert!(!tckms_message_info_message_id(nothing, &mut len).is_null() && len == 0);
        assert_eq!(tckms_message_info_json(nothing, ptr::null_mut()), Status::NullPointer);
    }
}

/// A message with thousands of wrapped keys or pairs needs much memory for its size, so the limits of opening apply to reading its
/// header too.
#[test]
fn claims_have_the_limits_of_opening() {
    let blob = [7; 10];
    assert!(info(&forged(&vec![("a", "b", &blob[..]); 8])).is_ok());
    assert_eq!(info(&forged(&vec![("a", "b", &blob[..]); 9])), Err(Status::TooManyDataKeys));
    let long = vec![b'x'; 65_535];
    let text = std::str::from_utf8(&long).unwrap();
    assert_eq!(info(&forged(&[(text, text, &long[..]); 3])), Err(Status::HeaderTooLong));
}

fn context_json(pairs: &[(&str, &str)]) -> Result<String, Status> {
    let owned: Vec<_> =
        pairs.iter().map(|(key, value)| (CString::new(*key).unwrap(), CString::new(*value).unwrap())).collect();
    let pairs: Vec<_> =
        owned.iter().map(|(key, value)| tckms_context_pair { key: key.as_ptr(), value: value.as_ptr() }).collect();
    let mut out = tckms_buffer { data: ptr::null_mut(), len: 0 };
    match unsafe { tckms_context_json(pairs.as_ptr(), pairs.len(), &mut out) } {
        Status::Ok => {
            let json = unsafe { std::slice::from_raw_parts(out.data, out.len) }.to_vec();
            unsafe { tckms_buffer_free(&mut out) };
            Ok(String::from_utf8(json).unwrap())
        }
        status => {
            assert!(out.data.is_null());
            Err(status)
        }
    }
}

#[test]
fn pairs_become_json_in_one_way() {
    assert_eq!(context_json(&[]).unwrap(), "{}");
    let expected = r#"{"a":"\"\\\n\u0001","b":"密/","ä":""}"#;
    let pairs = [("ä", ""), ("b", "密/"), ("a", "\"\\\n\u{1}")];
    assert_eq!(context_json(&pairs).unwrap(), expected);
    assert_eq!(context_json(&[pairs[2], pairs[0], pairs[1]]).unwrap(), expected);
    assert_eq!(context_json(&[("a", "1"), ("a", "1")]), Err(Status::InvalidContext));
    assert!(context_json(&[("a", &"密".repeat(1016))]).is_ok());
    assert_eq!(context_json(&[("a", &"密".repeat(1017))]), Err(Status::ContextTooLong));
    let pair = |key, value| tckms_context_pair { key, value };
    let mut out = tckms_buffer { data: ptr::null_mut(), len: 0 };
    let mut refused = |pairs: &[tckms_context_pair]| unsafe { tckms_context_json(pairs.as_ptr(), 1, &mut out) };
    assert_eq!(refused(&[pair(ptr::null(), c"x".as_ptr())]), Status::NullPointer);
    assert_eq!(refused(&[pair(c"x".as_ptr(), ptr::null())]), Status::NullPointer);
    assert_eq!(refused(&[pair(c"\xff".as_ptr(), c"x".as_ptr())]), Status::InvalidUtf8);
    unsafe {
        assert_eq!(tckms_context_json(ptr::null(), 0, &mut out), Status::Ok);
        tckms_buffer_free(&mut out);
        assert_eq!(tckms_context_json(ptr::null(), 1, &mut out), Status::NullPointer);
        assert_eq!(tckms_context_json(ptr::dangling(), usize::MAX, &mut out), Status::InvalidLength);
        assert_eq!(tckms_context_json(ptr::null(), 0, ptr::null_mut()), Status::NullPointer);
    }
    let (keyring, _) = TestKey::keyring();
    let message = keyring.seal(b"x", expected).unwrap();
    assert_eq!(keyring.open(&message, expected).unwrap(), b"x");
}
