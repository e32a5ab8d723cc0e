//! Branch keys, through the C API against the emulator.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tckms::Status;
use tckms::ffi::*;

use super::api::{Client, Keyring, Stream, info, last_message};
use super::branch_store::{TestStore, no_options};
use support::{Emulator, Scratch};

pub const DAY_MS: i64 = 24 * 3600 * 1000;

pub fn start(keys: &[&str]) -> (Emulator, Client) {
    let emulator = Emulator::over_http(keys);
    let client = Client::new(&emulator.environment(), "ap-guangzhou");
    (emulator, client)
}

pub fn client_with_total_timeout(emulator: &Emulator, milliseconds: i64) -> Client {
    Client::configured(&emulator.environment(), "ap-guangzhou", |config| {
        assert_eq!(unsafe { tckms_config_set_total_timeout_ms(config, milliseconds) }, Status::Ok);
    })
}

pub fn branch(id: &'static CStr) -> tckms_branch_options {
    tckms_branch_options { branch_id: id.as_ptr(), ..no_options() }
}

pub fn keyring(client: &Client, key_id: &str, options: &tckms_branch_options) -> Keyring {
    let keyring = Keyring::new();
    keyring.add_branch(client, key_id, options).unwrap_or_else(|status| panic!("{status:?}: {}", last_message()));
    keyring
}

/// Opens every branch.
fn reader(client: &Client, key_id: &str) -> Keyring {
    keyring(client, key_id, &tckms_branch_options { open_any_branch: 1, ..no_options() })
}

pub fn context(number: usize) -> String {
    format!(r#"{{"row":"{number}"}}"#)
}

pub fn record(client: &Client, key_id: &str, id: &str) -> String {
    client.new_branch_record(key_id, id)
}

/// The record with another wrapped key.
fn with_blob(record: &str, blob: &str) -> String {
    record.split(' ').take(5).chain([blob]).collect::<Vec<_>>().join(" ")
}

/// The record as if it had been made in another year.
fn made_in(year: i64, record: &str) -> String {
    let mut parts: Vec<_> = record.splitn(6, ' ').map(str::to_owned).collect();
    parts[4].replace_range(..4, &year.to_string());
    parts.join(" ")
}

fn this_year() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    tckms::rfc3339(now as i64)[..4].parse().unwrap()
}

#[test]
fn one_branch_key_serves_all_contexts_and_one_request_opens_them() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let writer = keyring(&client, key_id, &branch(c"orders"));
    let messages: Vec<_> = (0..100).map(|number| writer.seal(b"x", &context(number)).unwrap()).collect();
    assert_eq!(client.calls(), 1);
    let reader = reader(&client, key_id);
    for (number, message) in messages.iter().enumerate() {
        assert_eq!(reader.open(message, &context(number)).unwrap(), b"x");
        assert_eq!(writer.open(message, &context(number)).unwrap(), b"x");
        assert_eq!(reader.open(message, r#"{"row":"other"}"#), Err(Status::ContextMismatch));
    }
    // The writer needed one more request: it had not opened the branch key that it seals with.
    assert!(client.calls() <= 3, "{}", client.calls());
    let stats = reader.branch_stats();
    assert_eq!((stats.keys_unwrapped, stats.unwraps, stats.wraps), (1, 100, 0));
    assert_eq!((writer.branch_stats().keys_made, writer.branch_stats().wraps), (1, 100));
    let claims = info(&messages[0]).unwrap();
    let claim = &claims["wrapped_keys"][0];
    assert_eq!(claim["provider_id"], "tencent-kms-hierarchy");
    assert_eq!(claim["branch"]["id"], "orders");
    assert_eq!((&claim["branch"]["embedded"]), true);
    // Every message has its own data key, in all ways to seal.
    let (signed, _) = Stream::sealing(&writer, "{}").unwrap().run(b"abc", &[1], &[100]);
    assert_eq!(reader.open(&signed, "").unwrap(), b"abc");
    writer.set_signing(true);
    let signed = writer.seal(b"x", &context(1)).unwrap();
    assert_eq!(reader.open(&signed, &context(1)).unwrap(), b"x");
}

#[test]
fn a_message_may_have_branch_keys_of_several_regions_beside_plain_keys() {
    let (near, near_client) = start(&["near"]);
    let far = Emulator::over_http(&["far"]);
    let far_client = Client::new(&far.environment(), "ap-singapore");
    let writer = keyring(&near_client, near.key_id("near"), &branch(c"orders"));
    writer.add_branch(&far_client, far.key_id("far"), &branch(c"orders.far")).unwrap();
    writer.add_kms(&near_client, near.key_id("near")).unwrap();
    let message = writer.seal(b"x", r#"{"a":"1"}"#).unwrap();
    assert_eq!(info(&message).unwrap()["wrapped_keys"].as_array().unwrap().len(), 3);
    assert_eq!(reader(&far_client, far.key_id("far")).open(&message, "").unwrap(), b"x");
    assert_eq!(reader(&near_client, near.key_id("near")).open(&message, "").unwrap(), b"x");
    let plain = Keyring::new();
    plain.add_kms(&near_client, near.key_id("near")).unwrap();
    assert_eq!(plain.open(&message, "").unwrap(), b"x");
    drop(near);
    let both = reader(&near_client, "00000000-0000-0000-0000-000000000000");
    both.add_branch(&far_client, far.key_id("far"), &branch(c"orders.far")).unwrap();
    assert_eq!(both.open(&message, "").unwrap(), b"x");
}

#[test]
fn only_allowed_branches_are_opened_and_no_request_is_sent_for_others() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let message = keyring(&client, key_id, &branch(c"tenant-a")).seal(b"x", "").unwrap();
    let before = client.calls();
    let other = keyring(&client, key_id, &branch(c"tenant-b"));
    assert_eq!(other.open(&message, ""), Err(Status::BranchNotAllowed));
    assert_eq!(keyring(&client, key_id, &no_options()).open(&message, ""), Err(Status::BranchNotAllowed));
    assert_eq!(client.calls(), before);
    let ids = [c"tenant-c".as_ptr(), c"tenant-a".as_ptr()];
    let options = tckms_branch_options { open_branch_ids: ids.as_ptr(), open_branch_ids_len: 2, ..branch(c"tenant-b") };
    assert_eq!(keyring(&client, key_id, &options).open(&message, "").unwrap(), b"x");
    assert_eq!(keyring(&client, key_id, &no_options()).seal(b"x", ""), Err(Status::NoUsableKey));
}

/// Names the branch "tenant-" and the context's tenant.
unsafe extern "C" fn by_tenant(_: *mut c_void, json: *const c_char, id: *mut c_char, size: usize) -> c_int {
    let mut tenant = [0 as c_char; 40];
    let status = unsafe { tckms_context_value(json, c"tenant".as_ptr(), tenant.as_mut_ptr(), tenant.len()) };
    if status != Status::Ok {
        return Status::BranchNotAllowed as c_int;
    }
    let tenant = unsafe { CStr::from_ptr(tenant.as_ptr()) }.to_str().unwrap();
    match tenant {
        "failing" => return 12345,
        "silent" => return 0,
        _ => {}
    }
    let name = CString::new(format!("tenant-{tenant}")).unwrap();
    let bytes = name.as_bytes_with_nul();
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr().cast(), id, bytes.len().min(size)) };
    0
}

#[test]
fn a_supplier_names_the_branch_both_ways() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let supplied = || {
        let keyring = keyring(&client, key_id, &tckms_branch_options { open_any_branch: 1, ..no_options() });
        keyring.set_branch_supplier(Some(by_tenant));
        keyring
    };
    let writer = supplied();
    for signed in [false, true] {
        writer.set_signing(signed);
        let message = writer.seal(b"x", r#"{"tenant":"a","row":"1"}"#).unwrap();
        assert_eq!(info(&message).unwrap()["wrapped_keys"][0]["branch"]["id"], "tenant-a");
        assert_eq!(supplied().open(&message, "").unwrap(), b"x");
    }
    // A message of tenant a that was sealed under the branch of tenant b.
    let forged = keyring(&client, key_id, &branch(c"tenant-b")).seal(b"x", r#"{"tenant":"a"}"#).unwrap();
    let before = client.calls();
    let reader = supplied();
    assert_eq!(reader.open(&forged, ""), Err(Status::BranchNotAllowed));
    assert_eq!(client.calls(), before);
    for (context, status) in [
        (r#"{"tenant":"failing"}"#, Status::BranchSupplierFailed),
        (r#"{"tenant":"silent"}"#, Status::BranchSupplierFailed),
        (r#"{"tenant":"not allowed"}"#, Status::InvalidBranchId),
        (r#"{"row":"1"}"#, Status::BranchNotAllowed),
    ] {
        assert_eq!(writer.seal(b"x", context), Err(status), "{context}");
    }
}

#[test]
fn each_refused_option_has_its_status_and_its_message() {
    let (emulator, client) = start(&["one", "two"]);
    let key_id = emulator.key_id("one");
    let folder = Scratch::new();
    let good = record(&client, key_id, "orders");
    let file = CString::new(folder.write("good.tbk", &good).to_str().unwrap()).unwrap();
    let text = CString::new(good.clone()).unwrap();
    let of_another_cmk = CString::new(record(&client, emulator.key_id("two"), "orders")).unwrap();
    let of_another_region = CString::new(good.replace("ap-guangzhou", "ap-beijing")).unwrap();
    let of_another_version = CString::new(good.replace("tbk1", "tbk2")).unwrap();
    let with_records = |records: &CString| tckms_branch_options { records: records.as_ptr(), ..branch(c"orders") };
    let long = CString::new("x".repeat(65)).unwrap();
    let store = TestStore::new();
    let stored = |rotation_ms| store.options(c"orders", rotation_ms);
    for (options, status, word) in [
        (branch(c""), Status::InvalidBranchId, "1 to 64"),
        (branch(c"a b"), Status::InvalidBranchId, "\"a b\""),
        (tckms_branch_options { branch_id: long.as_ptr(), ..no_options() }, Status::InvalidBranchId, "64"),
        (with_records(&of_another_cmk), Status::InvalidBranchRecord, "not to"),
        (with_records(&of_another_region), Status::InvalidBranchRecord, "ap-beijing"),
        (with_records(&of_another_version), Status::InvalidBranchRecord, "tbk2"),
        (with_records(&c"junk".to_owned()), Status::InvalidBranchRecord, "line 1"),
        (with_records(&c"".to_owned()), Status::InvalidBranchRecord, "no record"),
        (tckms_branch_options { records: text.as_ptr(), ..branch(c"other") }, Status::InvalidBranchRecord, "other"),
        (tckms_branch_options { ttl_ms: -1, ..branch(c"orders") }, Status::OutOfRange, "-1"),
        (tckms_branch_options { ttl_ms: 86_400_001, ..branch(c"orders") }, Status::OutOfRange, "86400001"),
        (tckms_branch_options { max_keys: 100_001, ..branch(c"orders") }, Status::OutOfRange, "100001"),
        (tckms_branch_options { by_reference: 1, ..branch(c"orders") }, Status::NoUsableKey, "refer"),
        (tckms_branch_options { rotation_ms: DAY_MS, ..branch(c"orders") }, Status::OutOfRange, "store"),
        (stored(0), Status::OutOfRange, "rotation period is 0 ms"),
        (stored(-5), Status::OutOfRange, "-5 ms, 1000 to"),
        (stored(999), Status::OutOfRange, "999"),
        (stored(i64::MAX), Status::OutOfRange, "rotation"),
        (tckms_branch_options { store_timeout_ms: 60_001, ..stored(DAY_MS) }, Status::OutOfRange, "60001"),
        (tckms_branch_options { put_if_absent: None, ..stored(DAY_MS) }, Status::NullPointer, "put_if_absent"),
        (tckms_branch_options { load: None, ..stored(DAY_MS) }, Status::NullPointer, "load"),
        (tckms_branch_options { file: file.as_ptr(), ..with_records(&text) }, Status::OutOfRange, "only one source"),
        (
            tckms_branch_options { load: None, put_if_absent: None, rotation_ms: 0, ..stored(DAY_MS) },
            Status::OutOfRange,
            "a destructor needs",
        ),
    ] {
        let keyring = Keyring::new();
        assert_eq!(keyring.add_branch(&client, key_id, &options), Err(status), "{word}: {}", last_message());
        assert!(last_message().contains(word), "{word}: {}", last_message());
        assert_eq!(keyring.seal(b"x", ""), Err(Status::NoUsableKey), "nothing was added");
    }
    assert_eq!(store.freed.load(Ordering::SeqCst), 0, "the destructor is not called for a call that failed");
    assert_eq!(Keyring::new().add_branch(&client, "alias/one", &branch(c"orders")), Err(Status::MalformedKeyId));
    let kept = keyring(&client, key_id, &stored(DAY_MS));
    drop(kept);
    assert_eq!(store.freed.load(Ordering::SeqCst), 1);
}

#[test]
fn records_that_a_program_makes_are_checked_by_the_cmk() {
    let (emulator, client) = start(&["one", "two"]);
    let key_id = emulator.key_id("one");
    let good = record(&client, key_id, "orders");
    let check = |line: &str| unsafe { tckms_branch_record_check(client.0, CString::new(line).unwrap().as_ptr()) };
    assert_eq!(check(&good), Status::Ok);
    assert_eq!(check(good.trim_end()), Status::Ok);
    let other = record(&client, key_id, "other");
    let part = |line: &str, number: usize| line.trim_end().split(' ').nth(number).unwrap().to_owned();
    // Branch, version or blob of another record, or another CMK.
    for (changed, status) in [
        (good.replace(" orders ", " other "), Status::InvalidCiphertext),
        (good.replace(&part(&good, 3), &part(&other, 3)), Status::InvalidCiphertext),
        (good.replace(&part(&good, 5), &part(&other, 5)), Status::InvalidCiphertext),
        (good.replace(key_id, emulator.key_id("two")), Status::KeyMismatch),
        (good.replace("ap-guangzhou", "ap-beijing"), Status::InvalidBranchRecord),
        ("tbk1 x".to_owned(), Status::InvalidBranchRecord),
    ] {
        assert_eq!(check(&changed), status, "{changed}");
    }
    // A keyring with these records uses the next valid one, or its own key.
    let swapped = good.replace(" orders ", " other ");
    let records = CString::new(format!("{swapped}{other}")).unwrap();
    let options = tckms_branch_options { records: records.as_ptr(), ..branch(c"other") };
    let writer = keyring(&client, key_id, &options);
    let message = writer.seal(b"x", "").unwrap();
    assert_eq!(info(&message).unwrap()["wrapped_keys"][0]["branch"]["version"], part(&other, 3));
}

#[test]
fn every_changed_bit_cut_and_splice_of_a_wrapped_key_is_refused() {
    let (emulator, client) = start(&["one", "two"]);
    let key_id = emulator.key_id("one");
    let records = CString::new(record(&client, key_id, "orders")).unwrap();
    for by_reference in [0, 1] {
        let options = tckms_branch_options { by_reference, records: records.as_ptr(), ..branch(c"orders") };
        let writer = keyring(&client, key_id, &options);
        let opener = || {
            let mut options = options;
            options.open_any_branch = 1;
            keyring(&client, key_id, &options)
        };
        let message = writer.seal(b"x", r#"{"a":"1"}"#).unwrap();
        let name = message.windows(21).position(|part| part == b"tencent-kms-hierarchy").unwrap();
        let info_at = name + 21 + 2;
        let info_len = usize::from(u16::from_be_bytes([message[info_at - 2], message[info_at - 1]]));
        let blob_at = info_at + info_len + 2;
        let blob_len = usize::from(u16::from_be_bytes([message[blob_at - 2], message[blob_at - 1]]));
        let reader = opener();
        assert_eq!(reader.open(&message, "").unwrap(), b"x");
        for bit in 8 * name..8 * (blob_at + blob_len) {
            let mut changed = message.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(reader.open(&changed, "").is_err(), "bit {bit}");
        }
        for len in 0..blob_len {
            let mut cut = message.clone();
            cut.drain(blob_at + len..blob_at + blob_len);
            cut[blob_at - 2..blob_at].copy_from_slice(&(len as u16).to_be_bytes());
            assert!(reader.open(&cut, "").is_err(), "{len} bytes");
        }
        // The wrapped key of another message, even of the same branch and context.
        let other = writer.seal(b"y", r#"{"a":"1"}"#).unwrap();
        let mut spliced = message.clone();
        spliced[blob_at..blob_at + blob_len].copy_from_slice(&other[blob_at..blob_at + blob_len]);
        assert_eq!(opener().open(&spliced, ""), Err(Status::CommitmentMismatch));
        // The beginning of one and the rest of the other.
        for at in 1..blob_len {
            let mut spliced = message.clone();
            spliced[blob_at + at..blob_at + blob_len].copy_from_slice(&other[blob_at + at..blob_at + blob_len]);
            if spliced != message {
                assert!(opener_is_refused(&reader, &spliced), "{at}");
            }
        }
        assert_eq!(opener().open(&message, "").unwrap(), b"x");
    }
}

fn opener_is_refused(reader: &Keyring, message: &[u8]) -> bool {
    reader.open(message, "").is_err()
}

#[test]
fn a_flood_of_forged_messages_does_not_block_authentic_ones() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let writer = keyring(&client, key_id, &branch(c"orders"));
    let message = writer.seal(b"x", "").unwrap();
    let reader = reader(&client, key_id);
    assert_eq!(reader.open(&message, "").unwrap(), b"x");
    let (before, begun) = (client.calls(), Instant::now());
    let blob_end = message.len() - 40 - 1 - 32 - 16 - 5;
    for number in 0..150_usize {
        let mut forged = message.clone();
        forged[blob_end - 1 - number] ^= 1;
        assert!(reader.open(&forged, "").is_err());
    }
    // 100 at once and 10 per second, as documented.
    let allowed = 110 + 10 * begun.elapsed().as_secs();
    assert!(client.calls() - before <= allowed, "{} of {allowed}", client.calls() - before);
    let before = client.calls();
    assert_eq!(reader.open(&message, "").unwrap(), b"x");
    assert_eq!(client.calls(), before);
}

fn write_file(path: &std::path::Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

fn version_of(message: &[u8]) -> String {
    info(message).unwrap()["wrapped_keys"][0]["branch"]["version"].as_str().unwrap().to_owned()
}

const LOOK: Duration = Duration::from_millis(1100);

#[test]
fn a_changed_file_is_read_and_an_invalid_one_is_ignored() {
    let (emulator, client) = start(&["one", "two"]);
    let key_id = emulator.key_id("one");
    let folder = Scratch::new();
    let version = |line: &str| line.split(' ').nth(3).unwrap().to_owned();
    let first = made_in(this_year() - 1, &record(&client, key_id, "orders"));
    let of_another = record(&client, emulator.key_id("two"), "orders");
    let path = folder.write("orders.tbk", &format!("# made by the test\n{first}{of_another}"));
    let c_path = CString::new(path.to_str().unwrap()).unwrap();
    let options = tckms_branch_options { file: c_path.as_ptr(), ttl_ms: 3000, ..branch(c"orders") };
    let writer = keyring(&client, key_id, &options);
    let seals_with = || version_of(&writer.seal(b"x", "").unwrap());
    assert_eq!(seals_with(), version(&first));
    let second = record(&client, key_id, "orders");
    let whole = format!("{first}{second}");
    write_file(&path, &whole);
    thread::sleep(LOOK);
    assert_eq!(seals_with(), version(&second));
    // Half of a file, invalid text, and a file that every user may write.
    for bad in [&whole[..whole.len() - 30], "junk\n", &format!("{whole}tbk9 x\n")] {
        let failures = writer.branch_stats().file_failures;
        write_file(&path, bad);
        thread::sleep(LOOK);
        assert_eq!(seals_with(), version(&second), "{bad}");
        assert!(writer.branch_stats().file_failures > failures);
    }
    write_file(&path, &record(&client, key_id, "orders"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    thread::sleep(LOOK);
    assert_eq!(seals_with(), version(&second));
    // A shorter but valid file is used, and a warning is logged; a removed record is used until its time to live expires.
    let gone = writer.branch_stats().records_gone;
    write_file(&path, &first);
    thread::sleep(LOOK);
    assert_eq!(seals_with(), version(&second));
    assert_eq!(writer.branch_stats().records_gone, gone + 1);
    thread::sleep(Duration::from_millis(3200));
    seals_with();
    assert_eq!(seals_with(), version(&first));
    fs::remove_file(&path).unwrap();
    thread::sleep(LOOK);
    assert_eq!(seals_with(), version(&first));
}

/// A file is written repeatedly, at once or in parts. Whatever state a reader finds, it seals with a complete record.
#[test]
fn a_file_may_be_replaced_while_it_is_read() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let folder = Scratch::new();
    let lines: Vec<_> = (0..4).map(|_| record(&client, key_id, "orders")).collect();
    let path = folder.write("orders.tbk", &lines[0]);
    let c_path = CString::new(path.to_str().unwrap()).unwrap();
    let options = tckms_branch_options { file: c_path.as_ptr(), ..branch(c"orders") };
    let writer = keyring(&client, key_id, &options);
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0_usize.. {
                let text = lines[..1 + number % 4].concat();
                match number % 3 {
                    0 => write_file(&path, &text),
                    1 => fs::write(&path, &text).unwrap(),
                    _ => fs::write(&path, &text[..text.len() / 2]).unwrap(),
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(4) {
            let version = version_of(&writer.seal(b"x", "").unwrap());
            assert!(lines.iter().any(|line| line.contains(&version)), "{version}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    write_file(&path, &lines.concat());
    thread::sleep(LOOK);
    writer.seal(b"x", "").unwrap();
    assert!(writer.branch_stats().file_reads > 0);
}

#[test]
fn files_that_cannot_be_trusted_are_refused_at_once() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let folder = Scratch::new();
    let good = record(&client, key_id, "orders");
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let writable = folder.write("writable", &good);
    fs::set_permissions(&writable, fs::Permissions::from_mode(0o666)).unwrap();
    let large = folder.write("large", &format!("{}\n{good}", "#".repeat(1 << 20)));
    let half = folder.write("half", &good[..good.len() - 20]);
    let missing = folder.path().join("missing");
    for (path, word) in [
        (fifo.as_path(), "regular"),
        (folder.path(), "regular"),
        (&writable, "chmod"),
        (&large, "more than"),
        (&half, "newline"),
        (&missing, "No such file"),
    ] {
        let c_path = CString::new(path.to_str().unwrap()).unwrap();
        let options = tckms_branch_options { file: c_path.as_ptr(), ..branch(c"orders") };
        let begun = Instant::now();
        assert_eq!(Keyring::new().add_branch(&client, key_id, &options), Err(Status::BranchFileFailed));
        assert!(last_message().contains(word), "{}", last_message());
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn writers_agree_through_a_store_and_rotate_by_time() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let store = TestStore::new();
    let writers: Vec<_> = (0..4).map(|_| keyring(&client, key_id, &store.options(c"orders", 4000))).collect();
    let versions = || {
        let versions = writers.iter().map(|writer| version_of(&writer.seal(b"x", "").unwrap()));
        versions.collect::<std::collections::BTreeSet<_>>()
    };
    // Just after the beginning of a slot, so that the slot does not end during the test.
    let into_slot = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        thread::sleep(Duration::from_millis(4000 - now % 4000 + 1000));
    };
    into_slot();
    let first = versions();
    assert_eq!((first.len(), store.texts().len()), (1, 1));
    into_slot();
    versions();
    thread::sleep(Duration::from_millis(900));
    versions();
    thread::sleep(Duration::from_millis(300));
    let second = versions();
    assert_eq!((second.len(), store.texts().len()), (1, 2));
    assert_ne!(first, second);
    assert_eq!(writers.iter().map(|writer| writer.branch_stats().own_key_wraps).sum::<u64>(), 0);
}

/// Seals with a store that fails or is slow, within the time limit.
fn seals_soon(writer: &Keyring) -> Vec<u8> {
    let begun = Instant::now();
    let message = writer.seal(b"x", "").unwrap_or_else(|status| panic!("{status:?}: {}", last_message()));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    message
}

#[test]
fn sealing_continues_if_the_store_fails_hangs_or_returns_wrong_records() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let other_branch = record(&client, key_id, "other");
    type Trouble<'a> = &'a dyn Fn(&TestStore);
    let troubles: [(&str, Trouble<'_>); 6] = [
        ("fails", &|store| store.set_answer(Status::ServiceUnavailable)),
        ("fails with no status", &|store| store.answer.store(4711, Ordering::SeqCst)),
        ("hangs", &|store| store.delay_ms.store(6000, Ordering::SeqCst)),
        ("forgets", &|store| store.forgets.store(true, Ordering::SeqCst)),
        ("returns garbage", &|store| *store.lie.lock().unwrap() = Some(b"\x01garbage\nmore".to_vec())),
        ("returns another branch", &|store| *store.lie.lock().unwrap() = Some(other_branch.clone().into_bytes())),
    ];
    thread::scope(|scope| {
        for (name, trouble) in troubles {
            let (client, store) = (&client, TestStore::new());
            trouble(&store);
            scope.spawn(move || {
                let options = tckms_branch_options { store_timeout_ms: 500, ..store.options(c"orders", 5000) };
                let writer = keyring(client, key_id, &options);
                let message = seals_soon(&writer);
                seals_soon(&writer);
                let stats = writer.branch_stats();
                assert_eq!(stats.own_key_wraps, 2, "{name}");
                assert!(stats.store_failures + stats.records_refused > 0 || name == "forgets", "{name}");
                // A reader of the message needs no store.
                assert_eq!(reader(client, key_id).open(&message, "").unwrap(), b"x", "{name}");
                drop(writer);
            });
        }
    });
}

#[test]
fn sealing_continues_with_the_known_key_while_the_store_is_down() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let store = TestStore::new();
    let options = tckms_branch_options { ttl_ms: 3000, ..store.options(c"orders", 2000) };
    let writer = keyring(&client, key_id, &options);
    let first = version_of(&writer.seal(b"x", "").unwrap());
    store.set_answer(Status::ServiceUnavailable);
    let known = store.texts();
    let begun = Instant::now();
    let (mut known_for, mut own) = (Duration::ZERO, 0);
    while begun.elapsed() < Duration::from_secs(6) {
        let version = version_of(&seals_soon(&writer));
        if version == first {
            assert_eq!(own, 0, "the known key is not used again");
            known_for = begun.elapsed();
        } else {
            own += 1;
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert!(known_for >= Duration::from_millis(1900), "until the slot and the time to live end: {known_for:?}");
    assert!(own > 0 && writer.branch_stats().own_key_wraps > 0);
    assert_eq!(store.texts(), known);
    store.set_answer(Status::Ok);
    let begun = Instant::now();
    let recovered = || {
        let version = version_of(&seals_soon(&writer));
        store.texts().iter().any(|record| record.contains(&version))
    };
    while !recovered() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the store is used again");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_store_that_rolls_back_does_not_pin_a_writer() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let store = TestStore::new();
    let old = made_in(2020, &record(&client, key_id, "orders"));
    *store.lie.lock().unwrap() = Some(old.clone().into_bytes());
    let writer = keyring(&client, key_id, &store.options(c"orders", 5000));
    let message = seals_soon(&writer);
    assert!(!old.contains(&version_of(&message)), "an old record does not seal");
    // A record from the future, caused by a wrong clock, is not used yet.
    *store.lie.lock().unwrap() = Some(made_in(this_year() + 10, &record(&client, key_id, "orders")).into_bytes());
    let writer = keyring(&client, key_id, &store.options(c"orders", 5000));
    assert_eq!(writer.open(&seals_soon(&writer), "").unwrap(), b"x");
}

#[test]
fn a_message_by_reference_opens_while_its_record_exists() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let store = TestStore::new();
    let options = |store: &Arc<TestStore>| tckms_branch_options {
        by_reference: 1,
        store_timeout_ms: 500,
        ..store.options(c"tenant-a", 5000)
    };
    let writer = keyring(&client, key_id, &options(&store));
    let message = writer.seal(b"x", r#"{"a":"1"}"#).unwrap();
    assert_eq!(info(&message).unwrap()["wrapped_keys"][0]["branch"]["embedded"], false);
    let embedded = keyring(&client, key_id, &branch(c"tenant-a")).seal(b"x", r#"{"a":"1"}"#).unwrap();
    assert!(embedded.len() > message.len() + 150, "it does not contain its branch key");
    assert_eq!(keyring(&client, key_id, &options(&store)).open(&message, "").unwrap(), b"x");
    // Without records the branch key is not found.
    assert_eq!(reader(&client, key_id).open(&message, ""), Err(Status::BranchRecordMissing));
    // A store that is down is an outage, not a message that cannot be opened.
    store.set_answer(Status::ServiceUnavailable);
    let late = keyring(&client, key_id, &options(&store));
    assert_eq!(late.open(&message, ""), Err(Status::ServiceUnavailable));
    // Sealing does not continue with a key that readers cannot find.
    assert_eq!(keyring(&client, key_id, &options(&store)).seal(b"x", ""), Err(Status::ServiceUnavailable));
    assert!(super::api::last_is_retryable());
    assert!(last_message().contains("the callback that loads branch records failed"), "{}", last_message());
    store.set_answer(Status::Ok);
    // Deleting the record makes the message unreadable.
    store.records.lock().unwrap().clear();
    let late = keyring(&client, key_id, &options(&store));
    assert_eq!(late.open(&message, ""), Err(Status::BranchRecordMissing));
}

#[test]
fn a_branch_key_is_renewed_early_survives_an_outage_until_its_age_and_ends_with_its_cmk() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let records = CString::new(record(&client, key_id, "orders")).unwrap();
    let options = tckms_branch_options { records: records.as_ptr(), ttl_ms: 5000, ..branch(c"orders") };
    let writer = keyring(&client, key_id, &options);
    let message = writer.seal(b"x", "").unwrap();
    emulator.set_faults(r#"[{"fault":{"kind":"error","code":"RequestLimitExceeded"},"times":1000000}]"#);
    thread::sleep(Duration::from_millis(4800));
    // Renewal is due and fails; the key still works.
    writer.seal(b"x", "").unwrap();
    assert_eq!(writer.open(&message, "").unwrap(), b"x");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(writer.seal(b"x", ""), Err(Status::RequestLimitExceeded));
    assert_eq!(writer.open(&message, ""), Err(Status::RequestLimitExceeded));
    emulator.set_faults("[]");
    writer.seal(b"x", "").unwrap();
    emulator.set_faults(r#"[{"fault":{"kind":"error","code":"ResourceUnavailable.CmkDisabled"},"times":1000000}]"#);
    thread::sleep(Duration::from_millis(4800));
    let unwrapped = writer.branch_stats().keys_unwrapped;
    assert_eq!(writer.seal(b"x", ""), Err(Status::CmkDisabled));
    assert_eq!(writer.branch_stats().keys_unwrapped, unwrapped, "a refused request unwraps no key");
}

#[test]
fn thirty_two_threads_send_one_request_for_a_branch_key() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let message = keyring(&client, key_id, &branch(c"orders")).seal(b"x", "").unwrap();
    for sealing in [true, false] {
        let before = client.calls();
        let keyring = keyring(&client, key_id, &branch(c"orders"));
        emulator.set_faults(r#"[{"fault":{"kind":"delay","ms":200}}]"#);
        thread::scope(|scope| {
            for number in 0..32 {
                let (keyring, message) = (&keyring, &message);
                scope.spawn(move || {
                    if sealing {
                        keyring.seal(b"x", &context(number)).map(drop)
                    } else {
                        keyring.open(message, "").map(drop)
                    }
                    .unwrap();
                });
            }
        });
        assert_eq!(client.calls() - before, 1);
    }
}

#[test]
fn a_cache_of_data_keys_changes_nothing_for_branches() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let writer = keyring(&client, key_id, &branch(c"orders"));
    writer.set_cache(&unsafe { std::mem::zeroed() }).unwrap();
    let messages: Vec<_> = (0..3).map(|_| writer.seal(b"x", r#"{"a":"1"}"#).unwrap()).collect();
    let wrapped = |message: &[u8]| message[40..].iter().take(400).copied().collect::<Vec<_>>();
    assert!(messages.windows(2).all(|pair| wrapped(&pair[0]) != wrapped(&pair[1])), "each has its own data key");
    // With a plain key in addition, data keys are shared, and the reader's cache is used.
    writer.add_kms(&client, key_id).unwrap();
    let before = client.calls();
    let messages: Vec<_> = (0..3).map(|_| writer.seal(b"x", r#"{"a":"1"}"#).unwrap()).collect();
    assert_eq!(client.calls() - before, 1);
    let plain = Keyring::new();
    plain.add_kms(&client, key_id).unwrap();
    plain.set_cache(&unsafe { std::mem::zeroed() }).unwrap();
    let before = client.calls();
    messages.iter().for_each(|message| assert_eq!(plain.open(message, "").unwrap(), b"x"));
    assert_eq!(client.calls() - before, 1);
}

pub fn by_reference(store: &Arc<TestStore>, ttl_ms: i64) -> tckms_branch_options {
    tckms_branch_options { by_reference: 1, ttl_ms, store_timeout_ms: 500, ..store.options(c"orders", 40 * DAY_MS) }
}

/// Repeats a call while it succeeds, and returns its error with the time until then.
fn until_refused<T>(mut call: impl FnMut() -> Result<T, Status>) -> (Status, Duration) {
    let begun = Instant::now();
    loop {
        if let Err(status) = call() {
            return (status, begun.elapsed());
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it still succeeds");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_record_that_was_deleted_from_a_store_is_not_used_after_the_time_to_live() {
    const TTL: Duration = Duration::from_secs(3);
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let (store, failing) = (TestStore::new(), TestStore::new());
    let with = |store| keyring(&client, key_id, &by_reference(store, TTL.as_millis() as i64));
    let (writer, reader, idle, idle_writer, late) =
        (with(&store), with(&store), with(&store), with(&store), with(&failing));
    let message = writer.seal(b"x", "").unwrap();
    *failing.records.lock().unwrap() = store.records.lock().unwrap().clone();
    for keyring in [&reader, &idle, &idle_writer, &late] {
        assert_eq!(keyring.open(&message, "").unwrap(), b"x");
    }
    failing.set_answer(Status::ServiceUnavailable);
    store.records.lock().unwrap().clear();
    let (status, after) = until_refused(|| reader.open(&message, ""));
    assert_eq!(status, Status::BranchRecordMissing);
    assert!(after <= TTL + Duration::from_millis(500), "{after:?}");
    assert_eq!(reader.branch_stats().records_gone, 1);
    thread::sleep(TTL.saturating_sub(after) + Duration::from_millis(200));
    // Also by a process that did not use its keyring meanwhile.
    assert_eq!(idle.open(&message, ""), Err(Status::BranchRecordMissing));
    let next = idle_writer.seal(b"x", "").unwrap();
    assert_ne!(version_of(&next), version_of(&message));
    assert_eq!(writer.open(&next, "").unwrap(), b"x");
    assert_eq!(version_of(&writer.seal(b"x", "").unwrap()), version_of(&next));
    // A store that fails says nothing about its records.
    assert_eq!(late.open(&message, "").unwrap(), b"x");
    thread::sleep(TTL);
    assert_eq!(late.open(&message, "").unwrap(), b"x");
    assert_eq!(version_of(&late.seal(b"x", "").unwrap()), version_of(&message));
}

#[test]
fn a_writer_does_not_continue_with_a_deleted_record() {
    let (emulator, client) = start(&["one"]);
    let store = TestStore::new();
    let writer = keyring(&client, emulator.key_id("one"), &by_reference(&store, 3000));
    let first = version_of(&writer.seal(b"x", "").unwrap());
    store.records.lock().unwrap().clear();
    let begun = Instant::now();
    while version_of(&writer.seal(b"x", "").unwrap()) == first {
        assert!(begun.elapsed() < Duration::from_millis(3500), "the deleted record still seals");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(store.texts().len(), 1);
}

#[test]
fn records_of_an_emptied_or_deleted_file_are_not_used_after_the_time_to_live() {
    const TTL_MS: i64 = 2000;
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let folder = Scratch::new();
    let good = record(&client, key_id, "orders");
    let other = record(&client, key_id, "other");
    type Change<'a> = &'a (dyn Fn(&std::path::Path) + Sync);
    let changes: [(&str, bool, Change<'_>); 6] = [
        ("emptied", true, &|path| fs::write(path, "").unwrap()),
        ("comment", true, &|path| fs::write(path, "# nothing\n\n").unwrap()),
        ("deleted", true, &|path| fs::remove_file(path).unwrap()),
        ("other branch", true, &|path| fs::write(path, &other).unwrap()),
        ("half", false, &|path| fs::write(path, &good[..good.len() - 20]).unwrap()),
        ("writable", false, &|path| fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap()),
    ];
    thread::scope(|scope| {
        for (name, is_statement, change) in changes {
            let (path, client, good) = (folder.write(name, &good), &client, &good);
            scope.spawn(move || {
                let c_path = CString::new(path.to_str().unwrap()).unwrap();
                let options = tckms_branch_options {
                    file: c_path.as_ptr(),
                    ttl_ms: TTL_MS,
                    by_reference: 1,
                    ..branch(c"orders")
                };
                let (used, idle) = (keyring(client, key_id, &options), keyring(client, key_id, &options));
                let message = used.seal(b"x", "").unwrap();
                assert_eq!(idle.open(&message, "").unwrap(), b"x");
                change(&path);
                thread::sleep(LOOK);
                assert_eq!(used.open(&message, "").unwrap(), b"x", "{name}: not before");
                if is_statement {
                    let (status, _) = until_refused(|| used.open(&message, ""));
                    assert_eq!(status, Status::BranchRecordMissing, "{name}");
                    thread::sleep(LOOK);
                    assert_eq!(used.seal(b"x", ""), Err(Status::NoUsableKey), "{name}");
                    assert_eq!(idle.open(&message, ""), Err(Status::BranchRecordMissing), "{name}");
                    assert_eq!(used.branch_stats().records_gone, 1, "{name}");
                    let _ = fs::remove_file(&path);
                    fs::write(&path, good).unwrap();
                    thread::sleep(LOOK);
                } else {
                    thread::sleep(Duration::from_millis(TTL_MS as u64 + 1500));
                }
                assert_eq!(used.open(&message, "").unwrap(), b"x", "{name}");
                assert_eq!(version_of(&used.seal(b"x", "").unwrap()), version_of(&message), "{name}");
            });
        }
    });
}

#[test]
fn a_writer_does_not_refer_to_a_record_that_its_file_no_longer_has() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let folder = Scratch::new();
    let new = record(&client, key_id, "orders");
    let old = made_in(2020, &record(&client, key_id, "orders"));
    let has_version = |line: &str, message: &[u8]| line.contains(&version_of(message));
    for by_reference in [0, 1] {
        let path = folder.write("orders.tbk", &format!("{old}{new}"));
        let c_path = CString::new(path.to_str().unwrap()).unwrap();
        let options = tckms_branch_options { file: c_path.as_ptr(), by_reference, ..branch(c"orders") };
        let writer = keyring(&client, key_id, &options);
        let before = writer.seal(b"x", "").unwrap();
        assert!(has_version(&new, &before));
        fs::write(&path, &old).unwrap();
        thread::sleep(LOOK);
        let message = writer.seal(b"x", "").unwrap();
        // A message that contains its branch key opens in any case, so a file that was shortened by mistake changes nothing yet.
        assert!(has_version(if by_reference == 1 { &old } else { &new }, &message), "{by_reference}");
        assert_eq!(keyring(&client, key_id, &options).open(&message, "").unwrap(), b"x");
        assert_eq!(writer.open(&before, "").unwrap(), b"x", "until its time to live ends");
        fs::write(&path, "").unwrap();
        thread::sleep(LOOK);
        // Without any record, only messages that contain their branch key can be opened later.
        let expected = if by_reference == 1 { Err(Status::NoUsableKey) } else { Ok(()) };
        assert_eq!(writer.seal(b"x", "").map(drop), expected);
    }
}

#[test]
fn many_branches_start_at_once() {
    let (emulator, client) = start(&["one"]);
    let store = TestStore::new();
    store.delay_ms.store(5, Ordering::SeqCst);
    let writer = || {
        let keyring = keyring(
            &client,
            emulator.key_id("one"),
            &tckms_branch_options {
                by_reference: 1,
                open_any_branch: 1,
                branch_id: ptr::null(),
                ..store.options(c"", 40 * DAY_MS)
            },
        );
        keyring.set_branch_supplier(Some(by_tenant));
        keyring
    };
    let old = writer().seal(b"x", r#"{"tenant":"old"}"#).unwrap();
    let writer = writer();
    let begun = Instant::now();
    thread::scope(|scope| {
        for number in 0..60 {
            let writer = &writer;
            scope.spawn(move || writer.seal(b"x", &format!(r#"{{"tenant":"{number}"}}"#)).unwrap());
        }
        thread::sleep(Duration::from_millis(300));
        let waiting = Instant::now();
        assert_eq!(writer.open(&old, "").unwrap(), b"x");
        assert!(waiting.elapsed() < Duration::from_secs(3), "{:?}", waiting.elapsed());
    });
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(store.texts().len(), 61);
}

#[test]
fn another_key_opens_a_message_while_the_store_of_one_fails_or_hangs() {
    let (emulator, client) = start(&["one", "two"]);
    let (one, two) = (emulator.key_id("one"), emulator.key_id("two"));
    let options_of =
        |store: &Arc<TestStore>| tckms_branch_options { store_timeout_ms: 20_000, ..by_reference(store, 0) };
    let writer = keyring(&client, one, &options_of(&TestStore::new()));
    writer.add_kms(&client, two).unwrap();
    let message = writer.seal(b"x", "").unwrap();
    for (answer, delay_ms) in [(Status::ServiceUnavailable, 0), (Status::Internal, 0), (Status::Ok, 4000)] {
        let store = TestStore::new();
        store.set_answer(answer);
        store.delay_ms.store(delay_ms, Ordering::SeqCst);
        // The same client for both CMKs: the service works.
        let reader = keyring(&client, one, &options_of(&store));
        reader.add_kms(&client, two).unwrap();
        reader.set_total_timeout_ms(3000).unwrap();
        let begun = Instant::now();
        assert_eq!(reader.open(&message, "").unwrap(), b"x", "{answer:?}");
        assert!(begun.elapsed() < Duration::from_millis(2500), "{answer:?}: {:?}", begun.elapsed());
    }
}

#[test]
fn messages_whose_record_is_missing_do_not_use_up_the_requests_of_others() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let deleted = CString::new(record(&client, key_id, "orders")).unwrap();
    let kept = CString::new(record(&client, key_id, "orders")).unwrap();
    let with = |records: &CString| {
        let options = tckms_branch_options { records: records.as_ptr(), by_reference: 1, ..branch(c"orders") };
        keyring(&client, key_id, &options)
    };
    let message = with(&deleted).seal(b"x", "").unwrap();
    let (reader, calls, begun) = (with(&kept), client.calls(), Instant::now());
    for _ in 0..500 {
        assert_eq!(reader.open(&message, ""), Err(Status::BranchRecordMissing));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(client.calls(), calls);
}

#[test]
fn sealing_by_reference_waits_for_a_store_as_long_as_its_client_allows() {
    let emulator = Emulator::over_http(&["one"]);
    let client = client_with_total_timeout(&emulator, 1000);
    let store = TestStore::new();
    store.delay_ms.store(4000, Ordering::SeqCst);
    let options = tckms_branch_options { store_timeout_ms: 20_000, ..by_reference(&store, 0) };
    let writer = keyring(&client, emulator.key_id("one"), &options);
    let begun = Instant::now();
    assert_eq!(writer.seal(b"x", ""), Err(Status::BranchStoreFailed));
    assert!(begun.elapsed() < Duration::from_millis(2500), "{:?}", begun.elapsed());
    assert!(last_message().contains("did not answer within the time limit"), "{}", last_message());
}

/// A message by reference that names another branch.
fn of_branch(message: &[u8], number: usize) -> Vec<u8> {
    let place = message.windows(6).position(|window| window == b"orders").unwrap();
    let mut forged = message.to_vec();
    forged[place..place + 6].copy_from_slice(format!("o{number:05x}").as_bytes());
    forged
}

#[test]
fn while_a_store_fails_messages_of_new_branches_cause_few_calls_of_it() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let message = keyring(&client, key_id, &by_reference(&TestStore::new(), 0)).seal(b"x", "").unwrap();
    let store = TestStore::new();
    store.set_answer(Status::ServiceUnavailable);
    let reader = keyring(&client, key_id, &tckms_branch_options { open_any_branch: 1, ..by_reference(&store, 0) });
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        number += 1;
        assert_eq!(reader.open(&of_branch(&message, number), ""), Err(Status::ServiceUnavailable));
    }
    let loads = store.loads.load(Ordering::SeqCst);
    assert!(number > 100 && loads < 50, "{loads} calls for {number} messages");
    // It is used again soon after it works.
    store.set_answer(Status::Ok);
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(reader.open(&of_branch(&message, number + 1), ""), Err(Status::BranchRecordMissing));
}

#[test]
fn messages_of_many_branches_do_not_keep_others_from_being_sealed() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let message = keyring(&client, key_id, &by_reference(&TestStore::new(), 0)).seal(b"x", "").unwrap();
    let store = TestStore::new();
    store.delay_ms.store(200, Ordering::SeqCst);
    let options = tckms_branch_options { open_any_branch: 1, ..store.options(c"orders", 40 * DAY_MS) };
    let keyring = keyring(&client, key_id, &options);
    let is_sealed = std::sync::atomic::AtomicBool::new(false);
    let number = std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !is_sealed.load(Ordering::SeqCst) {
                    let _ = keyring.open(&of_branch(&message, number.fetch_add(1, Ordering::SeqCst)), "");
                }
            });
        }
        thread::sleep(Duration::from_millis(500));
        let begun = Instant::now();
        let sealed = keyring.seal(b"x", "");
        let elapsed = begun.elapsed();
        is_sealed.store(true, Ordering::SeqCst);
        assert!(store.texts()[0].contains(&version_of(&sealed.unwrap())));
        assert!(elapsed < Duration::from_secs(8), "{elapsed:?}");
    });
}

#[test]
fn writers_that_seal_at_the_same_moments_rotate_at_different_ones() {
    assert!(keys_in_the_first_slot_of_32_writers(0) <= 3);
}

#[test]
fn writers_with_a_slow_store_make_few_keys_in_a_rotation() {
    keys_in_the_first_slot_of_32_writers(150);
}

/// Checks the number of keys in the second slot, and returns that in the first one.
fn keys_in_the_first_slot_of_32_writers(delay_ms: u64) -> u32 {
    const ROTATION: Duration = Duration::from_secs(20);
    let (emulator, client) = start(&["one"]);
    let store = Arc::new(std::sync::Mutex::new(std::collections::BTreeMap::new()));
    let stores: Vec<_> = (0..32).map(|_| TestStore::sharing(&store)).collect();
    stores.iter().for_each(|store| store.delay_ms.store(delay_ms, Ordering::SeqCst));
    let with = |own: &Arc<TestStore>| {
        let options = own.options(c"orders", ROTATION.as_millis() as i64);
        keyring(&client, emulator.key_id("one"), &options)
    };
    let writers: Vec<_> = stores.iter().map(with).collect();
    let seal = || {
        thread::scope(|scope| {
            for writer in &writers {
                scope.spawn(|| writer.seal(b"x", "").unwrap());
            }
        })
    };
    let until_next_slot = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        ROTATION - Duration::from_millis((now.as_millis() % ROTATION.as_millis()) as u64)
    };
    if until_next_slot() < Duration::from_secs(8) {
        thread::sleep(until_next_slot());
    }
    seal();
    let puts = || stores.iter().map(|store| store.puts.load(Ordering::SeqCst)).sum::<u32>();
    let first = puts();
    thread::sleep(until_next_slot() + Duration::from_millis(500));
    // Each writer seals only once in the new slot, and all at the same moment.
    seal();
    thread::sleep(Duration::from_secs(5));
    let rotated = puts() - first;
    assert!((1..=3).contains(&rotated), "{rotated} keys in the second slot");
    assert_eq!(store.lock().unwrap().len(), 2);
    first
}

#[test]
fn forged_records_in_a_store_cause_few_requests() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let good = record(&client, key_id, "orders");
    let version = good.split(' ').nth(3).unwrap();
    let forged = |number: u32| {
        let line = good.replace(&version[..8], &format!("{number:08x}"));
        with_blob(&line, "forged\n")
    };
    for is_by_reference in [0, 1] {
        let store = TestStore::new();
        *store.lie.lock().unwrap() = Some((0..1000).map(forged).collect::<String>().into_bytes());
        let options = tckms_branch_options { by_reference: is_by_reference, ..store.options(c"orders", 40 * DAY_MS) };
        let writer = keyring(&client, key_id, &options);
        let calls = client.calls();
        for _ in 0..100 {
            assert_eq!(writer.seal(b"x", "").is_ok(), is_by_reference == 0, "{}", last_message());
        }
        let calls = client.calls() - calls;
        assert!((4..30).contains(&calls), "{calls} requests");
        // A good record is tried all the same, a little later.
        *store.lie.lock().unwrap() = None;
        let seals_by_record =
            || writer.seal(b"x", "").is_ok_and(|message| good_record(&store).contains(&version_of(&message)));
        store.records.lock().unwrap().insert((name_of(&good), 0), good.clone());
        let begun = Instant::now();
        while !seals_by_record() {
            assert!(begun.elapsed() < Duration::from_secs(40), "the good record is used");
            thread::sleep(Duration::from_millis(200));
        }
    }
}

/// The name under which a store keeps a record.
fn name_of(record: &str) -> String {
    let parts: Vec<_> = record.split(' ').collect();
    format!("{}/{}", parts[1], parts[2])
}

fn good_record(store: &TestStore) -> String {
    store.texts().remove(0)
}

#[test]
fn a_store_that_loads_but_does_not_store_delays_one_message_and_costs_one_key() {
    let (emulator, client) = start(&["one"]);
    let store = TestStore::new();
    store.forgets.store(true, Ordering::SeqCst);
    let writer = keyring(&client, emulator.key_id("one"), &store.options(c"orders", 40 * DAY_MS));
    writer.seal(b"x", "").unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        let call = Instant::now();
        writer.seal(b"x", "").unwrap();
        assert!(call.elapsed() < Duration::from_millis(250), "{:?}", call.elapsed());
        thread::sleep(Duration::from_millis(20));
    }
    assert!(store.puts.load(Ordering::SeqCst) > 1, "it is tried again");
    // One for the store, and one of the process itself.
    assert_eq!(writer.branch_stats().keys_made, 2);
    // It is stored as soon as the store works.
    store.forgets.store(false, Ordering::SeqCst);
    let seals_by_record = || {
        let version = version_of(&writer.seal(b"x", "").unwrap());
        store.texts().first().is_some_and(|record| record.contains(&version))
    };
    while !seals_by_record() {
        let state = (store.puts.load(Ordering::SeqCst), store.loads.load(Ordering::SeqCst), store.texts().len());
        let failures = writer.branch_stats().store_failures;
        assert!(begun.elapsed() < Duration::from_secs(40), "puts, loads and records {state:?}, failures {failures}");
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(writer.branch_stats().keys_made, 2);
}

#[test]
fn with_a_short_time_limit_a_missing_record_is_not_reported_as_a_timeout() {
    let (emulator, client) = start(&["one"]);
    let store = TestStore::new();
    let message = keyring(&client, emulator.key_id("one"), &by_reference(&store, 0)).seal(b"x", "").unwrap();
    store.records.lock().unwrap().clear();
    let hurried = client_with_total_timeout(&emulator, 400);
    let reader = keyring(&hurried, emulator.key_id("one"), &by_reference(&store, 0));
    for number in 0..6 {
        assert_eq!(reader.open(&message, ""), Err(Status::BranchRecordMissing), "{number}: {}", last_message());
    }
    assert!(last_message().contains("no record of version"), "{}", last_message());
}

#[test]
fn with_a_short_time_limit_the_first_key_of_a_branch_is_made_in_time() {
    let (emulator, _) = start(&["one"]);
    let hurried = client_with_total_timeout(&emulator, 600);
    for number in 0..5 {
        let writer = keyring(&hurried, emulator.key_id("one"), &by_reference(&TestStore::new(), 0));
        writer.seal(b"x", "").unwrap_or_else(|status| panic!("{number}: {status:?}: {}", last_message()));
    }
}

#[test]
fn a_forged_record_does_not_look_like_a_message_that_was_changed() {
    let (emulator, client) = start(&["one"]);
    let store = TestStore::new();
    let with_store = || keyring(&client, emulator.key_id("one"), &by_reference(&store, 0));
    let message = with_store().seal(b"x", "").unwrap();
    let good = good_record(&store);
    let forged = with_blob(&good, "forged");
    *store.lie.lock().unwrap() = Some(forged.into_bytes());
    let reader = with_store();
    assert_eq!(reader.open(&message, ""), Err(Status::BranchRecordMissing));
    assert!(last_message().contains("the CMK refused one"), "{}", last_message());
    let calls = client.calls();
    assert_eq!(reader.open(&message, ""), Err(Status::BranchRecordMissing));
    assert_eq!(client.calls(), calls, "it is not sent again");
    assert!(last_message().contains("the CMK refused one"), "{}", last_message());
    // The right record opens the message at once. No record that could be used disappeared.
    *store.lie.lock().unwrap() = None;
    assert_eq!(reader.open(&message, "").unwrap(), b"x");
    assert_eq!(reader.branch_stats().records_gone, 0);
}

#[test]
fn an_unusable_file_does_not_look_like_a_missing_record() {
    let (emulator, client) = start(&["one"]);
    let (folder, key_id) = (Scratch::new(), emulator.key_id("one"));
    let path = folder.write("records", &record(&client, key_id, "orders"));
    let file = CString::new(path.to_str().unwrap()).unwrap();
    let options = tckms_branch_options { file: file.as_ptr(), by_reference: 1, ..branch(c"orders") };
    let reader = keyring(&client, key_id, &options);
    let newer = record(&client, key_id, "orders");
    let text = CString::new(newer.clone()).unwrap();
    let of_newer = tckms_branch_options { records: text.as_ptr(), by_reference: 1, ..branch(c"orders") };
    let message = keyring(&client, key_id, &of_newer).seal(b"x", "").unwrap();
    // Half of the new record is written.
    fs::write(&path, &newer[..newer.len() / 2]).unwrap();
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(reader.open(&message, ""), Err(Status::BranchRecordMissing));
    assert!(super::api::last_is_retryable() && last_message().contains("records"), "{}", last_message());
    fs::write(&path, &newer).unwrap();
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(reader.open(&message, "").unwrap(), b"x");
}

#[test]
fn sealing_by_reference_works_soon_after_an_outage_of_its_store() {
    let (emulator, client) = start(&["one"]);
    let store = TestStore::new();
    store.set_answer(Status::ServiceUnavailable);
    let writer = keyring(&client, emulator.key_id("one"), &by_reference(&store, 0));
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(12) {
        assert_eq!(writer.seal(b"x", ""), Err(Status::ServiceUnavailable));
        thread::sleep(Duration::from_millis(50));
    }
    store.set_answer(Status::Ok);
    thread::sleep(Duration::from_millis(2100));
    writer.seal(b"x", "").unwrap();
}

#[test]
fn a_missing_record_does_not_delay_a_message_that_another_key_opens() {
    let (emulator, client) = start(&["one", "two"]);
    let store = TestStore::new();
    let with_both = || {
        let keyring = keyring(&client, emulator.key_id("one"), &by_reference(&store, 0));
        keyring.add_kms(&client, emulator.key_id("two")).unwrap();
        keyring
    };
    let message = with_both().seal(b"x", "").unwrap();
    let records = std::mem::take(&mut *store.records.lock().unwrap());
    let reader = with_both();
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(reader.open(&message, "").unwrap(), b"x");
    }
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    // The record is used when it is there again.
    *store.records.lock().unwrap() = records;
    thread::sleep(Duration::from_millis(1100));
    reader.open(&message, "").unwrap();
    assert_eq!(reader.branch_stats().unwraps, 1);
}

#[test]
fn sealing_waits_in_vain_only_once_for_a_slow_store() {
    let emulator = Emulator::over_http(&["one"]);
    let client = client_with_total_timeout(&emulator, 2000);
    let store = TestStore::new();
    store.delay_ms.store(3000, Ordering::SeqCst);
    let options = tckms_branch_options { store_timeout_ms: 20_000, ..store.options(c"orders", 40 * DAY_MS) };
    let writer = keyring(&client, emulator.key_id("one"), &options);
    writer.seal(b"x", "").unwrap();
    let begun = Instant::now();
    (0..5).for_each(|_| drop(writer.seal(b"x", "").unwrap()));
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    assert_eq!(writer.branch_stats().own_key_wraps, 6);
    // The record arrives meanwhile, and is used then.
    let uses_record = || {
        let version = version_of(&writer.seal(b"x", "").unwrap());
        store.texts().first().is_some_and(|record| record.contains(&version))
    };
    while !uses_record() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the record of the store is used in the end");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_load_with_records_that_could_not_be_added_deletes_nothing() {
    let (emulator, client) = start(&["one"]);
    let store = TestStore::new();
    let writer = keyring(&client, emulator.key_id("one"), &by_reference(&store, 2000));
    let message = writer.seal(b"x", "").unwrap();
    // The callback ignores the status of tckms_branch_records_add().
    for lie in [Some(b"\xff\n".to_vec()), Some(vec![b'#'; 1 << 21]), None] {
        store.adds_null.store(lie.is_none(), Ordering::SeqCst);
        *store.lie.lock().unwrap() = lie;
        thread::sleep(Duration::from_millis(3500));
        assert_eq!(writer.open(&message, "").unwrap(), b"x");
        writer.seal(b"x", "").unwrap();
        assert_eq!(writer.branch_stats().records_gone, 0);
    }
    // The error says what was wrong, even if the callback returns that status.
    *store.lie.lock().unwrap() = Some(vec![b'#'; 1 << 21]);
    store.adds_null.store(false, Ordering::SeqCst);
    store.set_answer(Status::InvalidLength);
    let other = keyring(&client, emulator.key_id("one"), &by_reference(&store, 0));
    assert_eq!(other.seal(b"x", ""), Err(Status::BranchStoreFailed));
    assert!(super::api::last_is_retryable() && last_message().contains("1048576 bytes"), "{}", last_message());
}

#[test]
fn a_record_of_another_cmk_that_does_not_work_is_not_used() {
    let (emulator, client) = start(&["one", "two"]);
    let key_id = emulator.key_id("one");
    let good = made_in(this_year() - 1, &record(&client, key_id, "orders"));
    let forged = record(&client, emulator.key_id("two"), "orders").replace(emulator.key_id("two"), key_id);
    let other = CString::new(emulator.key_id("two")).unwrap();
    assert_eq!(unsafe { tckms_disable_key(client.0, other.as_ptr()) }, Status::Ok);
    let records = CString::new(format!("{good}{forged}")).unwrap();
    let options = tckms_branch_options { records: records.as_ptr(), ..branch(c"orders") };
    let writer = keyring(&client, key_id, &options);
    assert!(good.contains(&version_of(&writer.seal(b"x", "").unwrap())));
    assert_eq!(writer.branch_stats().records_refused, 1);
    // The only record of a store: the process uses its own key.
    let store = TestStore::new();
    *store.lie.lock().unwrap() = Some(forged.clone().into_bytes());
    let writer = keyring(&client, key_id, &store.options(c"orders", 40 * DAY_MS));
    let message = writer.seal(b"x", "").unwrap();
    assert!(!forged.contains(&version_of(&message)));
    assert_eq!((writer.branch_stats().own_key_wraps, writer.branch_stats().records_refused), (1, 1));
    let loads = store.loads.load(Ordering::SeqCst);
    (0..20).for_each(|_| drop(writer.seal(b"x", "").unwrap()));
    assert!(store.loads.load(Ordering::SeqCst) <= loads + 2, "the store is not called for each message");
    // If no record works, the error is that of the CMK.
    let only = CString::new(forged.clone()).unwrap();
    let options = tckms_branch_options { records: only.as_ptr(), ..branch(c"orders") };
    assert_eq!(keyring(&client, key_id, &options).seal(b"x", ""), Err(Status::CmkDisabled));
    let own = CString::new(key_id).unwrap();
    assert_eq!(unsafe { tckms_disable_key(client.0, own.as_ptr()) }, Status::Ok);
    let writer = keyring(&client, key_id, &tckms_branch_options { records: records.as_ptr(), ..branch(c"orders") });
    for _ in 0..2 {
        assert_eq!(writer.seal(b"x", ""), Err(Status::CmkDisabled));
    }
}

#[test]
fn a_record_that_arrives_late_opens_at_once_and_an_unknown_version_delays_no_other() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let (elsewhere, store) = (TestStore::new(), TestStore::new());
    let unknown = keyring(&client, key_id, &by_reference(&TestStore::new(), 0)).seal(b"x", "").unwrap();
    let message = keyring(&client, key_id, &by_reference(&elsewhere, 0)).seal(b"x", "").unwrap();
    let reader = keyring(&client, key_id, &by_reference(&store, 0));
    assert_eq!(reader.open(&message, ""), Err(Status::BranchRecordMissing));
    assert_eq!(reader.open(&unknown, ""), Err(Status::BranchRecordMissing));
    *store.records.lock().unwrap() = elsewhere.records.lock().unwrap().clone();
    let begun = Instant::now();
    assert_eq!(reader.open(&message, "").unwrap(), b"x");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // Unknown versions cause one load a second.
    let loads = store.loads.load(Ordering::SeqCst);
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2 {
                    assert_eq!(reader.open(&unknown, ""), Err(Status::BranchRecordMissing));
                }
            });
        }
    });
    let allowed = 1 + begun.elapsed().as_secs() as u32;
    assert!(store.loads.load(Ordering::SeqCst) - loads <= allowed, "{allowed}");
}

#[test]
fn a_wrong_answer_of_a_store_has_no_lasting_effect() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let store = TestStore::new();
    let writer = keyring(&client, key_id, &by_reference(&store, 0));
    let messages: Vec<_> = (0..3).map(|_| writer.seal(b"x", "").unwrap()).collect();
    let good = store.texts().remove(0);
    let version = good.split(' ').nth(3).unwrap().to_owned();
    // Thousands of records, more than are kept.
    let old = made_in(2020, &good);
    let many: String =
        (0..3000_u32).map(|number| format!("{}\n", old.replace(&version[..8], &format!("{number:08x}")))).collect();
    let parts: Vec<_> = many.lines().map(|line| with_blob(line, "x\n")).collect();
    let reader = keyring(&client, key_id, &by_reference(&store, 0));
    for half in [0, 1] {
        let junk: String =
            parts.iter().map(|line| line.replace(&version[9..], &format!("{half}{}", &version[10..]))).collect();
        *store.lie.lock().unwrap() = Some(junk.into_bytes());
        assert_eq!(reader.open(&messages[0], ""), Err(Status::BranchRecordMissing));
    }
    *store.lie.lock().unwrap() = None;
    assert_eq!(reader.open(&messages[0], "").unwrap(), b"x");
    // A record with this version and a wrong blob, alone and beside the right one.
    let wrong = good.replace(good.split(' ').nth(5).unwrap(), "wrong");
    let reader = keyring(&client, key_id, &by_reference(&store, 0));
    *store.lie.lock().unwrap() = Some(wrong.clone().into_bytes());
    assert!(reader.open(&messages[1], "").is_err());
    *store.lie.lock().unwrap() = None;
    assert_eq!(reader.open(&messages[2], "").unwrap(), b"x");
    *store.lie.lock().unwrap() = Some(format!("{wrong}\n{good}\n{wrong}").into_bytes());
    assert_eq!(keyring(&client, key_id, &by_reference(&store, 0)).open(&messages[2], "").unwrap(), b"x");
}

#[test]
fn a_store_that_hangs_at_a_rotation_is_reported() {
    let (emulator, client) = start(&["one"]);
    let store = TestStore::new();
    let options = tckms_branch_options { store_timeout_ms: 300, ..store.options(c"orders", 2000) };
    let writer = keyring(&client, emulator.key_id("one"), &options);
    writer.seal(b"x", "").unwrap();
    store.delay_ms.store(6000, Ordering::SeqCst);
    let begun = Instant::now();
    while writer.branch_stats().store_failures == 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "it is reported while the callback hangs");
        writer.seal(b"x", "").unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    (0..10).for_each(|_| drop(writer.seal(b"x", "").unwrap()));
    assert_eq!(writer.branch_stats().store_failures, 1);
    assert_eq!(writer.branch_stats().own_key_wraps, 0);
}

#[test]
fn canceling_a_client_ends_a_wait_for_the_store() {
    let (emulator, client) = start(&["one"]);
    let key_id = emulator.key_id("one");
    let message = keyring(&client, key_id, &by_reference(&TestStore::new(), 0)).seal(b"x", "").unwrap();
    for sealing in [true, false] {
        let store = TestStore::new();
        store.delay_ms.store(4000, Ordering::SeqCst);
        let canceled = Client::new(&emulator.environment(), "ap-guangzhou");
        let options = tckms_branch_options { store_timeout_ms: 20_000, ..by_reference(&store, 0) };
        let waiting = keyring(&canceled, key_id, &options);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                let canceled: &Client = &canceled;
                assert_eq!(unsafe { tckms_client_cancel(canceled.0) }, Status::Ok);
            });
            let begun = Instant::now();
            let outcome = if sealing { waiting.seal(b"x", "") } else { waiting.open(&message, "") };
            assert_eq!(outcome, Err(Status::Canceled));
            assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        });
    }
}

#[test]
fn a_store_that_hangs_leaves_time_for_a_local_key() {
    let (emulator, client) = start(&["one"]);
    let store = TestStore::new();
    store.delay_ms.store(3000, Ordering::SeqCst);
    let writer = keyring(&client, emulator.key_id("one"), &store.options(c"orders", DAY_MS));
    writer.set_total_timeout_ms(1000).unwrap();
    let begun = Instant::now();
    writer.seal(b"x", "").unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(writer.branch_stats().own_key_wraps, 1);
}
