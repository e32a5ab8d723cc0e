//! The data-key cache as keyrings use it.

use std::thread;
use std::time::{Duration, Instant};

use tckms::Status;
use tckms::ffi::tckms_cache_limits;
use tckms::seal::{Cache, CacheLimits, CommitmentPolicy, Context, Keyring as CoreKeyring};

use super::api::{Client, Keyring, Outcome, Stream, last_is_retryable};
use super::key::{TestKey, count};
use support::Emulator;

fn cached(limits: tckms_cache_limits) -> (Keyring, std::sync::Arc<TestKey>) {
    let (keyring, key) = TestKey::keyring();
    keyring.set_cache(&limits).unwrap();
    (keyring, key)
}

#[test]
fn messages_with_one_context_share_a_data_key_and_others_do_not() {
    let (keyring, key) = cached(Default::default());
    let messages: Vec<_> = (0..5).map(|_| keyring.seal(b"x", r#"{"a":"1"}"#).unwrap()).collect();
    assert_eq!(count(&key.generated), 1);
    keyring.seal(b"x", r#"{"a":"2"}"#).unwrap();
    keyring.seal(b"x", "").unwrap();
    assert_eq!(count(&key.generated), 3);
    for message in &messages {
        assert_eq!(keyring.open(message, "").unwrap(), b"x");
    }
    assert_eq!(count(&key.unwrapped), 1);
    assert!(messages.windows(2).all(|pair| pair[0][3..35] != pair[1][3..35]), "each has its own id");
}

#[test]
fn without_a_cache_each_message_has_a_data_key() {
    let (keyring, key) = TestKey::keyring();
    let message = keyring.seal(b"x", "").unwrap();
    keyring.seal(b"x", "").unwrap();
    keyring.open(&message, "").unwrap();
    keyring.open(&message, "").unwrap();
    assert_eq!((count(&key.generated), count(&key.unwrapped)), (2, 2));
}

#[test]
fn a_cache_is_switched_off_with_null() {
    let (keyring, key) = TestKey::keyring();
    keyring.set_cache(&Default::default()).unwrap();
    keyring.seal(b"x", "").unwrap();
    keyring.seal(b"x", "").unwrap();
    assert_eq!(count(&key.generated), 1);
    assert_eq!(unsafe { tckms::ffi::tckms_keyring_set_cache(keyring.0, std::ptr::null(), 0) }, Status::Ok);
    keyring.seal(b"x", "").unwrap();
    keyring.seal(b"x", "").unwrap();
    assert_eq!(count(&key.generated), 3);
}

#[test]
fn limits_are_kept() {
    let (keyring, key) = cached(tckms_cache_limits { max_messages: 3, max_bytes: 10, ..Default::default() });
    let sealed = |len: usize| {
        keyring.seal(&vec![0; len], "").unwrap();
        count(&key.generated)
    };
    assert_eq!([0, 0, 0, 0, 10, 0, 11, 1].map(sealed), [1, 1, 1, 2, 2, 2, 3, 4]);
    for limits in [
        tckms_cache_limits { seal_max_age_ms: 86_400_001, ..Default::default() },
        tckms_cache_limits { open_max_age_ms: i64::MAX, ..Default::default() },
        tckms_cache_limits { open_max_age_ms: -1, ..Default::default() },
        tckms_cache_limits { max_messages: (1 << 32) + 1, ..Default::default() },
        tckms_cache_limits { max_bytes: 1 << 63, ..Default::default() },
        tckms_cache_limits { max_entries: 100_001, ..Default::default() },
    ] {
        assert_eq!(keyring.set_cache(&limits), Err(Status::OutOfRange));
    }
}

#[test]
fn a_stream_uses_the_cache_when_it_knows_how_much_comes() {
    let (keyring, key) = cached(Default::default());
    let run = |set: &dyn Fn(&Stream)| {
        let stream = Stream::sealing(&keyring, "{}").unwrap();
        set(&stream);
        stream.run(b"abc", &[1], &[100]).1.unwrap();
        count(&key.generated)
    };
    assert_eq!(run(&|stream| stream.set_size(3).unwrap()), 1);
    assert_eq!(run(&|stream| stream.set_bound(10).unwrap()), 1);
    assert_eq!(run(&|_| ()), 2);
    assert_eq!(run(&|_| ()), 3);
}

#[test]
fn thirty_two_threads_send_one_request() {
    for sealing in [true, false] {
        let (keyring, key) = cached(Default::default());
        let message = TestKey::keyring().0.seal(b"x", "").unwrap();
        key.delay_ms.store(100, std::sync::atomic::Ordering::SeqCst);
        thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    if sealing { keyring.seal(b"x", "").map(|_| ()) } else { keyring.open(&message, "").map(|_| ()) }
                        .unwrap();
                });
            }
        });
        assert_eq!(count(&key.generated) + count(&key.unwrapped), 1);
    }
}

#[test]
fn a_throttled_service_is_survived_until_the_age_and_not_beyond() {
    let (keyring, key) = cached(tckms_cache_limits { seal_max_age_ms: 1000, ..Default::default() });
    keyring.seal(b"x", "").unwrap();
    key.set_answer(Status::RequestLimitExceeded);
    thread::sleep(Duration::from_millis(960));
    keyring.seal(b"x", "").unwrap();
    assert_eq!(count(&key.generated), 2, "it was tried");
    thread::sleep(Duration::from_millis(60));
    assert_eq!(keyring.seal(b"x", ""), Err(Status::RequestLimitExceeded));
    key.set_answer(Status::Ok);
    keyring.seal(b"x", "").unwrap();
}

const AGE: Duration = Duration::from_secs(3);
/// More than a test can use.
const THROTTLED: &str =
    r#"[{"fault": {"kind": "error", "code": "RequestLimitExceeded"}, "action": "ACTION", "times": 100000}]"#;

/// Repeats `work` while the service throttles `action`: it succeeds as long as the data key may be used, and never afterwards.
/// Returns the number of successes.
fn expect_to_last_until_the_age(emulator: &Emulator, action: &str, work: impl Fn() -> Outcome<()>) -> u32 {
    let before = Instant::now();
    work().unwrap();
    let after = Instant::now();
    emulator.set_faults(&THROTTLED.replace("ACTION", action));
    let (mut served, mut refused) = (0, 0);
    while refused < 20 {
        let began = after.elapsed();
        let result = work();
        // The key's age begins between these two times.
        if before.elapsed() < AGE {
            assert_eq!(result, Ok(()), "{action} after {began:?}");
            served += 1;
        } else if began > AGE {
            assert_eq!(result, Err(Status::RequestLimitExceeded), "{action} after {began:?}");
            assert!(last_is_retryable());
            refused += 1;
        }
        thread::sleep(Duration::from_millis(10));
    }
    emulator.set_faults("[]");
    assert_eq!(work(), Ok(()), "{action}: the service is available again");
    served
}

#[test]
fn a_throttling_kms_is_survived_until_the_age_and_not_beyond() {
    let emulator = Emulator::over_http(&["one"]);
    let client = Client::new(&emulator.environment(), "ap-guangzhou");
    let keyring = Keyring::new();
    keyring.add_kms(&client, emulator.key_id("one")).unwrap();
    let age = AGE.as_millis() as i64;
    let limits = tckms_cache_limits { seal_max_age_ms: age, open_max_age_ms: age, ..Default::default() };
    keyring.set_cache(&limits).unwrap();

    let message = keyring.seal(b"x", "").unwrap();
    let seal = || keyring.seal(b"x", r#"{"a":"1"}"#).map(|_| ());
    let open = || keyring.open(&message, "").map(|plaintext| assert_eq!(plaintext, b"x"));
    for (action, work) in [("GenerateDataKey", &seal as &dyn Fn() -> Outcome<()>), ("Decrypt", &open)] {
        let calls = client.calls();
        let served = expect_to_last_until_the_age(&emulator, action, work);
        assert!(served > 20, "{action}: {served} times");
        // The first call, the last one, and each refusal send a request. In between a renewal was attempted, and its failure had no effect.
        let renewals = client.calls() - calls - 2 - 20;
        assert!((1..10).contains(&renewals), "{action}: {renewals} renewals");
    }
}

#[test]
fn a_forked_child_begins_with_an_empty_cache() {
    let (keyring, key) = cached(Default::default());
    let message = keyring.seal(b"x", "").unwrap();
    keyring.open(&message, "").unwrap();
    // SAFETY: the child only seals, opens and exits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let again = keyring.seal(b"x", "").is_ok() && keyring.open(&message, "").is_ok();
        let asked = (count(&key.generated), count(&key.unwrapped)) == (2, 2);
        // SAFETY: _exit() runs no code of the test harness.
        unsafe { libc::_exit(if again && asked { 0 } else { 1 }) };
    }
    let mut state = 0;
    // SAFETY: the child is our own.
    assert_eq!(unsafe { libc::waitpid(child, &mut state, 0) }, child);
    assert_eq!(state, 0);
    keyring.seal(b"x", "").unwrap();
    assert_eq!(count(&key.generated), 1, "the parent still has its own");
}

/// A keyring with a stricter policy or with other keys never gets an entry that another keyring put into a shared cache.
#[test]
fn two_keyrings_share_a_cache_and_nothing_in_it() {
    let cache = std::sync::Arc::new(Cache::new(CacheLimits::default()).unwrap());
    let counting = std::sync::Arc::new(Counting::default());
    let keyring = |policy, key: &std::sync::Arc<Counting>| {
        let mut keyring = CoreKeyring::new();
        keyring.add(std::sync::Arc::clone(key) as _);
        keyring.set_policy(policy);
        keyring.set_cache(Some(std::sync::Arc::clone(&cache)));
        keyring
    };
    let strict = keyring(CommitmentPolicy::Required, &counting);
    let lax = keyring(CommitmentPolicy::NotRequiredToOpen, &counting);
    let other_key = std::sync::Arc::new(Counting { name: "other", ..Default::default() });
    let other = keyring(CommitmentPolicy::Required, &other_key);
    for (keyring, expected) in [(&strict, 1), (&lax, 2), (&strict, 2), (&lax, 2), (&other, 2)] {
        keyring.prepare_seal(b"x", &Context::default()).unwrap();
        assert_eq!(counting.wraps.load(std::sync::atomic::Ordering::SeqCst), expected);
    }
    assert_eq!(other_key.wraps.load(std::sync::atomic::Ordering::SeqCst), 1);
}

/// A keyring with the private key of a pair does not wrap data keys under the public key. A keyring with the public key must not get
/// these data keys from a shared cache.
#[test]
fn the_two_keys_of_an_escrow_pair_are_different_keys() {
    let cache = std::sync::Arc::new(Cache::new(CacheLimits::default()).unwrap());
    let pair = super::keyrings::rsa_pair();
    let first = std::sync::Arc::new(Counting::default());
    let mut opening = CoreKeyring::new();
    let mut sealing = CoreKeyring::new();
    for keyring in [&mut opening, &mut sealing] {
        keyring.add(std::sync::Arc::clone(&first) as _);
        keyring.set_cache(Some(std::sync::Arc::clone(&cache)));
    }
    opening.add_rsa_private_pem("escrow", "2026", pair.private.as_bytes()).unwrap();
    sealing.add_rsa_public_pem("escrow", "2026", pair.public.as_bytes()).unwrap();
    for (keyring, wrapped_keys) in [(&opening, 1), (&sealing, 2)] {
        let prepared = keyring.prepare_seal(b"x", &Context::default()).unwrap();
        let mut message = vec![0; prepared.message_len()];
        prepared.write(&mut message).unwrap();
        let said = super::api::info(&message).unwrap();
        assert_eq!(said["wrapped_keys"].as_array().unwrap().len(), wrapped_keys);
    }
}

#[derive(Default)]
struct Counting {
    name: &'static str,
    wraps: std::sync::atomic::AtomicU32,
}

impl tckms::seal::WrappingKey for Counting {
    fn identity(&self) -> Vec<u8> {
        self.name.as_bytes().to_vec()
    }

    fn can_wrap(&self) -> bool {
        true
    }

    fn wrap(
        &self,
        _: &tckms::seal::KeyRequest<'_>,
        data_key: &tckms::Secret,
    ) -> tckms::Result<tckms::seal::WrappedKey> {
        self.wraps.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(tckms::seal::WrappedKey {
            provider_id: "counting".to_owned(),
            provider_info: Vec::new(),
            blob: data_key.expose().to_vec(),
        })
    }

    fn claims(&self, _: &tckms::seal::WrappedKey) -> bool {
        true
    }

    fn unwrap(
        &self,
        _: &tckms::seal::KeyRequest<'_>,
        wrapped: &tckms::seal::WrappedKey,
    ) -> tckms::Result<tckms::Secret> {
        tckms::Secret::copy_of(&wrapped.blob)
    }
}
