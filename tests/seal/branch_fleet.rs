//! A fleet with branch keys, small enough for every test run: the number of its requests follows the formula in docs/sealing.md.
//! `TCKMS_FLEET_SECONDS` sets a longer time.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tckms::ffi::tckms_branch_options;

use super::api::{Client, Keyring};
use super::branch_store::no_options;
use support::Emulator;

const HOSTS: usize = 200;
const CONTEXTS: usize = 500;
const THREADS: usize = 4;
const THROTTLE: u64 = 300;

fn options(records: &CString, ttl_ms: i64) -> tckms_branch_options {
    tckms_branch_options { branch_id: c"orders".as_ptr(), records: records.as_ptr(), ttl_ms, ..no_options() }
}

/// Each host has its own keyring and so its own cache. Clients are shared, which does not change the number of requests. They do not
/// retry, so a throttled request with an empty cache would fail a message.
#[test]
fn a_fleet_makes_as_many_requests_as_the_formula_says() {
    let seconds = std::env::var("TCKMS_FLEET_SECONDS").map_or(13, |text| text.parse().expect("a number of seconds"));
    // The same ratio as 300 s to an hour.
    let ttl = Duration::from_secs((seconds / 4).max(3));
    let emulator = Emulator::over_http(&["one"]);
    let key_id = emulator.key_id("one");
    let clients: Vec<_> = (0..8).map(|_| Client::new(&emulator.environment(), "ap-guangzhou")).collect();
    let records = CString::new(clients[0].new_branch_record(key_id, "orders")).unwrap();
    emulator.set_faults(&format!(r#"[{{"fault":{{"kind":"throttle","per_second":{THROTTLE}}}}}]"#));
    let hosts: Vec<_> = (0..HOSTS)
        .map(|number| {
            let keyring = Keyring::new();
            keyring.add_branch(&clients[number % 8], key_id, &options(&records, ttl.as_millis() as i64)).unwrap();
            keyring
        })
        .collect();
    let (stop, sealed) = (AtomicBool::new(false), AtomicU64::new(0));
    let requests = || hosts.iter().map(|host| host.branch_stats().keys_unwrapped).sum::<u64>();
    let throttled = || clients.iter().map(|client| client.stats().throttles).sum::<u64>();
    thread::scope(|scope| {
        for part in 0..THREADS {
            let (hosts, stop, sealed) = (&hosts, &stop, &sealed);
            scope.spawn(move || {
                for number in 0_usize.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let host = &hosts[(number * THREADS + part) % HOSTS];
                    let context = format!(r#"{{"row":"{}"}}"#, number % CONTEXTS);
                    match host.seal(b"x", &context) {
                        Ok(_) => sealed.fetch_add(1, Ordering::Relaxed),
                        // The simultaneous start of all hosts exceeds the limit.
                        Err(tckms::Status::RequestLimitExceeded) => continue,
                        Err(status) => panic!("{status:?}"),
                    };
                }
            });
        }
        // Neither the start nor an incomplete time to live counts.
        thread::sleep(ttl);
        let (before, throttled_before, begun) = (requests(), throttled(), Instant::now());
        thread::sleep(Duration::from_secs(seconds).saturating_sub(ttl));
        let (made, took) = (requests() - before, begun.elapsed().as_secs_f64());
        stop.store(true, Ordering::Relaxed);
        let (per_second, formula) = (made as f64 / took, HOSTS as f64 / ttl.as_secs_f64());
        println!(
            "{HOSTS} hosts, {CONTEXTS} contexts, {} messages: {per_second:.1} requests/s, the formula says {formula:.1}; with a \
             time to live of 300 s that is {:.2}/s",
            sealed.load(Ordering::Relaxed),
            per_second * ttl.as_secs_f64() / 300.0
        );
        assert_eq!(throttled(), throttled_before, "nothing is throttled after the start");
        assert!((0.8..=1.2).contains(&(per_second / formula)), "{per_second} for {formula}");
    });
}

/// One year: each of 200 writers seals in each of 12 months, with the record of that month. The number of messages does not matter,
/// since a reader sends one request for each branch key.
#[test]
fn a_years_archive_takes_twelve_requests() {
    const MESSAGES: usize = 2;
    let emulator = Emulator::over_http(&["one"]);
    let client = Client::new(&emulator.environment(), "ap-guangzhou");
    let key_id = emulator.key_id("one");
    let mut records = String::new();
    let mut archive = Vec::new();
    for month in 1..=12 {
        let line = client.new_branch_record(key_id, "orders");
        let time = line.split(' ').nth(4).unwrap().to_owned();
        records.push_str(&line.replace(&time, &format!("2025-{month:02}-01T00:00:00Z")));
        let text = CString::new(records.clone()).unwrap();
        for writer in 0..HOSTS {
            let keyring = Keyring::new();
            keyring.add_branch(&client, key_id, &options(&text, 3_600_000)).unwrap();
            for number in 0..MESSAGES {
                archive.push(keyring.seal(b"x", &format!(r#"{{"writer":"{writer}","row":"{number}"}}"#)).unwrap());
            }
        }
    }
    let reader = Keyring::new();
    reader
        .add_branch(&client, key_id, &tckms_branch_options { branch_id: c"orders".as_ptr(), ..no_options() })
        .unwrap();
    let before = client.calls();
    archive.iter().for_each(|message| assert_eq!(reader.open(message, "").unwrap(), b"x"));
    println!("{} messages took {} requests; a million would take as many", archive.len(), client.calls() - before);
    assert_eq!(archive.len(), 12 * HOSTS * MESSAGES);
    assert!(client.calls() - before <= 12, "{}", client.calls() - before);
}
