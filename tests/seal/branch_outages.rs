//! Branch keys while a part of what they need fails: loads, stores, the service, or the file.

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tckms::Status;
use tckms::ffi::*;

use super::api::{Keyring, last_is_retryable, last_message};
use super::branch_store::TestStore;
use super::branches::{DAY_MS, branch, by_reference, client_with_total_timeout, keyring, record, start};
use support::{Emulator, Scratch};

/// Makes `GenerateDataKey` fail, and no other action.
fn fail_to_generate(emulator: &Emulator, code: &str) {
    set_generation_fault(emulator, &format!(r#"{{"kind":"error","code":"{code}"}}"#));
}

fn set_generation_fault(emulator: &Emulator, fault: &str) {
    emulator.set_faults(&format!(r#"[{{"action":"GenerateDataKey","fault":{fault},"times":1000000}}]"#));
}

/// Opens a message, after the wait for one load at most.
fn assert_opens_soon(reader: &Keyring, message: &[u8]) {
    let begun = Instant::now();
    assert_eq!(reader.open(message, "").unwrap_or_else(|_| panic!("{}", last_message())), b"x");
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
}

#[test]
fn opening_needs_no_store_that_can_be_written() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let store = TestStore::new();
    let message = keyring(&client, key_id, &by_reference(&store, 0)).seal(b"x", "").unwrap();
    let records = std::mem::take(&mut *store.records.lock().unwrap());
    let replica = TestStore::sharing(&store.records);
    replica.set_put_answer(Status::ServiceUnavailable);
    let reader = keyring(&client, key_id, &replica.options(c"orders", 40 * DAY_MS));
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        reader.seal(b"x", "").unwrap();
        thread::sleep(Duration::from_millis(50));
    }
    assert!(replica.puts.load(Ordering::SeqCst) > 1);
    *store.records.lock().unwrap() = records;
    assert_opens_soon(&reader, &message);
}

#[test]
fn opening_needs_no_permission_to_generate_keys() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let store = TestStore::new();
    let message = keyring(&client, key_id, &by_reference(&store, 0)).seal(b"x", "").unwrap();
    for by_reference in [0, 1] {
        let records = std::mem::take(&mut *store.records.lock().unwrap());
        let options = tckms_branch_options { by_reference, ..store.options(c"orders", 40 * DAY_MS) };
        let reader = keyring(&client, key_id, &options);
        fail_to_generate(&emulator, "UnauthorizedOperation");
        assert_eq!(reader.seal(b"x", ""), Err(Status::UnauthorizedOperation), "{}", last_message());
        *store.records.lock().unwrap() = records;
        assert_opens_soon(&reader, &message);
        emulator.set_faults("[]");
    }
}

#[test]
fn a_record_that_is_not_in_a_file_yet_may_be_there_a_second_later() {
    let (emulator, client) = start(&["one"]);
    let (folder, key_id) = (Scratch::new(), emulator.key_id("one"));
    let old = record(&client, key_id, "orders");
    let path = folder.write("records", &old);
    let file = CString::new(path.to_str().unwrap()).unwrap();
    let options = tckms_branch_options { file: file.as_ptr(), by_reference: 1, ..branch(c"orders") };
    let reader = keyring(&client, key_id, &options);
    reader.seal(b"x", "").unwrap();
    let newer = record(&client, key_id, "orders");
    let text = CString::new(newer.clone()).unwrap();
    let of_newer = tckms_branch_options { records: text.as_ptr(), by_reference: 1, ..branch(c"orders") };
    let message = keyring(&client, key_id, &of_newer).seal(b"x", "").unwrap();
    fs::write(&path, format!("{old}{newer}")).unwrap();
    assert_eq!(reader.open(&message, ""), Err(Status::BranchRecordMissing));
    assert!(last_is_retryable() && last_message().contains("the file was checked"), "{}", last_message());
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(reader.open(&message, "").unwrap(), b"x");
    // A call that checks the file knows that the record is not there.
    fs::write(&path, &old).unwrap();
    let reader = keyring(&client, key_id, &options);
    assert_eq!(reader.open(&message, ""), Err(Status::BranchRecordMissing));
    assert!(!last_is_retryable(), "{}", last_message());
    fs::remove_file(&path).unwrap();
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(reader.open(&message, ""), Err(Status::BranchRecordMissing));
    assert!(last_is_retryable() && last_message().contains("does not exist"), "{}", last_message());
    assert_eq!(reader.seal(b"x", ""), Err(Status::NoUsableKey));
    assert!(last_is_retryable() && last_message().contains("does not exist"), "{}", last_message());
}

#[test]
fn a_record_that_left_a_file_is_not_used_beyond_its_time_to_live_however_rarely_it_is_used() {
    let (emulator, client) = start(&["one"]);
    let (folder, key_id) = (Scratch::new(), emulator.key_id("one"));
    let old = record(&client, key_id, "orders");
    let path = folder.write("records", &old);
    let file = CString::new(path.to_str().unwrap()).unwrap();
    let options = tckms_branch_options { file: file.as_ptr(), by_reference: 1, ttl_ms: 2500, ..branch(c"orders") };
    for interval_ms in [350, 700, 900] {
        fs::write(&path, &old).unwrap();
        let reader = keyring(&client, key_id, &options);
        let message = reader.seal(b"x", "").unwrap();
        fs::write(&path, record(&client, key_id, "orders")).unwrap();
        let removed = Instant::now();
        let mut last = Duration::ZERO;
        while removed.elapsed() < Duration::from_secs(4) {
            let begun = removed.elapsed();
            if reader.open(&message, "").is_ok() {
                last = begun;
            }
            thread::sleep(Duration::from_millis(interval_ms));
        }
        let latest = Duration::from_millis(2500);
        assert!(last > Duration::from_millis(900) && last <= latest, "every {interval_ms} ms: {last:?}");
    }
}

#[test]
fn several_stores_that_hang_cost_as_much_time_as_one() {
    let emulator = Emulator::over_http(&["one", "two", "three"]);
    let client = client_with_total_timeout(&emulator, 6000);
    let writer = Keyring::new();
    for alias in ["one", "two", "three"] {
        let store = TestStore::new();
        store.delay_ms.store(15_000, Ordering::SeqCst);
        let options = tckms_branch_options { store_timeout_ms: 60_000, ..store.options(c"orders", 40 * DAY_MS) };
        writer.add_branch(&client, emulator.key_id(alias), &options).unwrap();
    }
    let begun = Instant::now();
    writer.seal(b"x", "").unwrap();
    assert!(begun.elapsed() < Duration::from_millis(4000), "{:?}", begun.elapsed());
}

#[test]
fn while_the_service_fails_no_writer_makes_a_key_that_others_do_not_have() {
    let (emulator, _) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let shared = TestStore::new();
    fail_to_generate(&emulator, "InternalError");
    let made = thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let client = client_with_total_timeout(&emulator, 3000);
                    let options = TestStore::sharing(&shared.records).options(c"orders", 40 * DAY_MS);
                    let writer = keyring(&client, key_id, &options);
                    let (begun, mut failed) = (Instant::now(), 0);
                    while let Err(status) = writer.seal(b"x", "") {
                        assert!(matches!(status, Status::ServiceInternalError | Status::TimedOut), "{status:?}");
                        assert!(last_is_retryable() && begun.elapsed() < Duration::from_secs(30), "{}", last_message());
                        failed += 1;
                    }
                    let stats = writer.branch_stats();
                    assert!(
                        failed > 0 && stats.own_key_wraps == 0,
                        "{failed} failures, {} messages",
                        stats.own_key_wraps
                    );
                    stats.keys_made
                })
            })
            .collect();
        thread::sleep(Duration::from_secs(7));
        emulator.set_faults("[]");
        writers.into_iter().map(|writer| writer.join().unwrap()).sum::<u64>()
    });
    assert!(made <= 3 && shared.texts().len() == 1, "{made} keys");
}

#[test]
fn a_refusal_by_the_service_is_reported_at_once() {
    let (emulator, client) = start(&["one"]);
    let store = TestStore::new();
    fail_to_generate(&emulator, "UnauthorizedOperation");
    let writer = keyring(&client, emulator.key_id("one"), &store.options(c"orders", 10_000));
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(writer.seal(b"x", ""), Err(Status::UnauthorizedOperation));
        assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    }
    emulator.set_faults("[]");
    thread::sleep(Duration::from_millis(1100));
    writer.seal(b"x", "").unwrap();
    assert_eq!(writer.branch_stats().own_key_wraps, 0);
}

/// Makes each `GenerateDataKey` take some time.
fn slow_generation(emulator: &Emulator, milliseconds: u32) {
    set_generation_fault(emulator, &format!(r#"{{"kind":"delay","ms":{milliseconds}}}"#));
}

#[test]
fn a_service_that_hangs_at_a_new_key_delays_no_other_branch_and_no_load() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let store = TestStore::new();
    let message = keyring(&client, key_id, &by_reference(&store, 0)).seal(b"x", "").unwrap();
    let records = std::mem::take(&mut *store.records.lock().unwrap());
    slow_generation(&emulator, 60_000);
    let keyring = keyring(&client, key_id, &by_reference(&store, 0));
    thread::scope(|scope| {
        scope.spawn(|| keyring.seal(b"x", "").unwrap());
        // Longer than writers wait for each other at the first key.
        thread::sleep(Duration::from_millis(3500));
        // Another writer makes the record meanwhile. It seals the waiting message as well.
        *store.records.lock().unwrap() = records;
        assert_opens_soon(&keyring, &message);
    });
}

#[test]
fn freeing_a_keyring_ends_a_request_for_a_key_and_frees_the_store() {
    let (emulator, client) = start(&["one"]);
    slow_generation(&emulator, 20_000);
    let store = TestStore::new();
    let keyring = keyring(&client, emulator.key_id("one"), &store.options(c"orders", 10_000));
    keyring.set_total_timeout_ms(2500).unwrap();
    assert_eq!(keyring.seal(b"x", ""), Err(Status::TimedOut));
    let begun = Instant::now();
    drop(keyring);
    while store.freed.load(Ordering::SeqCst) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(2), "the store is still in use");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_store_that_hangs_after_a_key_was_generated_leaves_time_for_a_local_key() {
    let emulator = Emulator::over_http(&["one"]);
    let client = client_with_total_timeout(&emulator, 2000);
    let store = TestStore::new();
    store.put_delay_ms.store(8000, Ordering::SeqCst);
    let options = tckms_branch_options { store_timeout_ms: 20_000, ..store.options(c"orders", 5000) };
    let writer = keyring(&client, emulator.key_id("one"), &options);
    let begun = Instant::now();
    for number in 0..20 {
        let call = Instant::now();
        writer.seal(b"x", "").unwrap_or_else(|status| panic!("{status:?}: {}", last_message()));
        assert!(number == 0 || call.elapsed() < Duration::from_millis(100), "{number}: {:?}", call.elapsed());
    }
    assert!(begun.elapsed() < Duration::from_millis(1900), "{:?}", begun.elapsed());
    assert_eq!((store.puts.load(Ordering::SeqCst), writer.branch_stats().own_key_wraps), (1, 20));
}

/// Names the branch of the row.
unsafe extern "C" fn by_row(_: *mut c_void, json: *const c_char, id: *mut c_char, size: usize) -> c_int {
    unsafe { tckms_context_value(json, c"row".as_ptr(), id, size) as c_int }
}

#[test]
fn many_branches_start_in_time_with_a_slow_service() {
    let emulator = Emulator::over_http(&["one"]);
    let client = client_with_total_timeout(&emulator, 3000);
    slow_generation(&emulator, 300);
    let store = TestStore::new();
    let options = tckms_branch_options { branch_id: std::ptr::null(), ..store.options(c"orders", 5000) };
    let writer = keyring(&client, emulator.key_id("one"), &options);
    writer.set_branch_supplier(Some(by_row));
    thread::scope(|scope| {
        for number in 0..30 {
            let writer = &writer;
            scope.spawn(move || {
                let context = super::branches::context(number);
                writer.seal(b"x", &context).unwrap_or_else(|status| panic!("{status:?}: {}", last_message()));
            });
        }
    });
    let stats = writer.branch_stats();
    assert_eq!((stats.own_key_wraps, stats.keys_made, store.texts().len()), (0, 30, 30));
}

#[test]
fn a_withdrawn_permission_causes_few_requests() {
    let (emulator, client) = start(&["one"]);
    let store = TestStore::new();
    let options = tckms_branch_options { ttl_ms: 1000, ..store.options(c"orders", 40 * DAY_MS) };
    let writer = keyring(&client, emulator.key_id("one"), &options);
    writer.seal(b"x", "").unwrap();
    for (code, status) in
        [("UnauthorizedOperation", Status::UnauthorizedOperation), ("InternalError", Status::ServiceInternalError)]
    {
        emulator.set_faults(&format!(r#"[{{"fault":{{"kind":"error","code":"{code}"}},"times":1000000}}]"#));
        thread::sleep(Duration::from_millis(1100));
        let (before, begun, calls) = (emulator.actions_seen().len(), Instant::now(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while begun.elapsed() < Duration::from_secs(6) {
                        assert_eq!(writer.seal(b"x", ""), Err(status), "{}", last_message());
                        calls.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        let requests = emulator.actions_seen().len() - before;
        assert!(requests < 60 && calls.into_inner() > 4, "{code}: {requests} requests");
        emulator.set_faults("[]");
        thread::sleep(Duration::from_secs(10));
        writer.seal(b"x", "").unwrap();
    }
}

#[test]
fn a_reply_that_is_not_one_of_the_service_is_reported_at_once() {
    let (emulator, client) = start(&["one"]);
    set_generation_fault(&emulator, r#"{"kind":"status","status":200,"body":"<html>"}"#);
    let store = TestStore::new();
    let writer = keyring(&client, emulator.key_id("one"), &store.options(c"orders", 5000));
    for _ in 0..2 {
        let begun = Instant::now();
        assert_eq!(writer.seal(b"x", ""), Err(Status::ResponseNotJson), "{}", last_message());
        assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    }
}
