//! The C API against an emulator with scripted faults, and the time that each call takes: see `tests/c/faults.c`, `tests/c/retry.c`
//! and `tests/c/observation.c`.
//!
//! Each program takes the name of a group of tests. Groups that mostly wait run at the same time, each with its own emulator.

use std::collections::BTreeSet;
use std::thread;

use support::{CLANG, Compiler, Emulator, Finished, GCC, Library, Program, Scratch, root};

/// The additional time for a program that runs many times slower.
const SLACK_UNDER_VALGRIND_MS: &str = "20000";

fn over_http() -> Emulator {
    Emulator::over_http(&["main", "other"])
}

fn over_https() -> Emulator {
    Emulator::over_https(&["main", "other"])
}

fn run(program: &Program, emulator: &Emulator, arguments: &[&str]) {
    program.with(emulator.environment()).arguments(arguments).run().expect_nothing_but_passed_checks();
}

fn run_under_valgrind(program: &Program, emulator: &Emulator, arguments: &[&str]) {
    let invocation = program.with(emulator.environment()).variable("TEST_SLACK_MS", SLACK_UNDER_VALGRIND_MS);
    invocation.arguments(arguments).under_valgrind(true).run().expect_nothing_but_passed_checks();
}

fn faults() -> Program {
    GCC.build("tests/c/faults.c", &Library::Shared)
}

fn retry() -> Program {
    GCC.build("tests/c/retry.c", &Library::Shared)
}

#[test]
fn every_fault_of_the_wire_times_every_call() {
    let program = faults();
    thread::scope(|scope| {
        scope.spawn(|| run(&program, &over_http(), &["wire"]));
        scope.spawn(|| run(&program, &over_http(), &["plain"]));
        scope.spawn(|| run(&program, &over_https(), &["wire"]));
    });
}

#[test]
fn every_kind_of_reply_times_every_call() {
    let program = CLANG.build("tests/c/faults.c", &Library::Shared);
    run(&program, &over_http(), &["replies"]);
}

#[test]
fn every_fault_that_takes_time_times_every_call() {
    let program = faults();
    thread::scope(|scope| {
        let with_symmetric_keys =
            ["Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "GenerateRandom", "DescribeKey"];
        let with_asymmetric_keys = ["SignByAsymmetricKey", "GetPublicKey", "AsymmetricRsaDecrypt"];
        for action in with_symmetric_keys.into_iter().chain(with_asymmetric_keys) {
            let program = &program;
            scope.spawn(move || run(program, &over_http(), &["slow", action]));
        }
    });
}

#[test]
fn every_fault_of_tls_times_every_call() {
    run(&faults(), &over_https(), &["tls"]);
}

#[test]
fn every_error_code_times_every_call() {
    run(&faults(), &over_http(), &["codes"]);
}

#[test]
fn a_wrong_clock_is_corrected_once() {
    let program = faults();
    run(&program, &over_http(), &["clock"]);
    run(&program, &over_https(), &["clock"]);
}

#[test]
fn no_fault_causes_an_invalid_memory_access() {
    let program = faults();
    thread::scope(|scope| {
        scope.spawn(|| run_under_valgrind(&program, &over_http(), &["replies", "Decrypt"]));
        scope.spawn(|| run_under_valgrind(&program, &over_http(), &["replies", "SignByAsymmetricKey"]));
        scope.spawn(|| run_under_valgrind(&program, &over_https(), &["wire", "GenerateDataKey"]));
    });
}

#[test]
fn no_call_outlasts_the_time_it_is_allowed() {
    run(&retry(), &over_http(), &["budget"]);
}

#[test]
fn no_call_with_an_asymmetric_key_outlasts_the_time_it_is_allowed() {
    run(&retry(), &over_http(), &["asymmetric"]);
}

#[test]
fn retry_after_and_the_number_of_attempts_are_kept() {
    run(&retry(), &over_http(), &["waits"]);
}

#[test]
fn the_waits_between_attempts_have_full_jitter() {
    run(&retry(), &over_http(), &["jitter"]);
}

#[test]
fn what_may_have_been_created_is_not_created_twice() {
    run(&retry(), &over_http(), &["creation"]);
}

#[test]
fn the_rate_limit_holds() {
    run(&retry(), &over_http(), &["rate"]);
}

fn connections() -> Program {
    GCC.build("tests/c/connections.c", &Library::Shared)
}

#[test]
fn dead_connections_cost_little() {
    let program = connections();
    thread::scope(|scope| {
        scope.spawn(|| run(&program, &over_http(), &["dead"]));
        scope.spawn(|| run(&program, &over_https(), &["dead"]));
    });
}

#[test]
fn connections_are_bounded_and_end() {
    let program = connections();
    run(&program, &over_http(), &["bounded"]);
    thread::scope(|scope| {
        scope.spawn(|| run(&program, &over_http(), &["idle"]));
        scope.spawn(|| run(&program, &over_https(), &["bounded"]));
    });
}

#[test]
fn a_hostile_server_affects_only_its_own_call() {
    let program = GCC.build("tests/c/hostile_server.c", &Library::Shared);
    program.with(Vec::new()).run().expect_nothing_but_passed_checks();
    let invocation = program.with(Vec::new()).variable("TEST_SLACK_MS", SLACK_UNDER_VALGRIND_MS);
    invocation.under_valgrind(true).run().expect_nothing_but_passed_checks();
}

#[test]
fn a_flood_delays_no_other_call_of_the_client() {
    let program = GCC.build("tests/c/flood_latency.c", &Library::Shared);
    for (flooded, rounds) in [("1", "4"), ("31", "5")] {
        program.with(Vec::new()).arguments(&[flooded, rounds]).run().expect_nothing_but_passed_checks();
    }
}

#[test]
fn no_descriptor_is_a_standard_one() {
    let program = connections();
    run(&program, &over_http(), &["descriptors"]);
    run(&program, &over_https(), &["descriptors"]);
}

#[test]
fn the_log_and_the_counters_report_failures() {
    for compiler in [GCC, CLANG] {
        let program = compiler.build("tests/c/observation.c", &Library::Shared);
        run(&program, &over_http(), &[]);
        if compiler.command == GCC.command {
            run_under_valgrind(&program, &over_http(), &[]);
        }
    }
}

/// A script that is active from the start, by `--faults`.
#[test]
fn a_script_in_a_file_applies_from_the_first_request() {
    let folder = Scratch::new();
    let script = folder.write("script.json", r#"[{"fault": {"kind": "status", "status": 503}, "times": 2}]"#);
    let emulator = Emulator::over_http_with(&["--faults", script.to_str().unwrap()], &["demo"]);
    let finished = observe(GCC, &emulator);
    assert!(finished.stderr.contains(" attempt=1 status=TCKMS_ERR_HTTP_UNAVAILABLE http=503 "), "{finished}");
    assert!(finished.stderr.contains(" attempt=2 status=TCKMS_ERR_HTTP_UNAVAILABLE http=503 "), "{finished}");
    assert!(finished.stderr.contains(" attempt=3 status=TCKMS_OK http=200 "), "{finished}");
    assert!(finished.stdout.contains("retries:             2\n"), "{finished}");
}

fn observe(compiler: Compiler, emulator: &Emulator) -> Finished {
    let program = compiler.build("examples-c/observe.c", &Library::Shared);
    let finished = program.with(emulator.environment()).arguments(&[emulator.key_id("demo")]).run();
    assert!(finished.status.success(), "{finished}");
    finished
}

#[test]
fn the_observe_example_shows_its_log_and_its_counters() {
    for compiler in [GCC, Compiler { standard: "c99", ..CLANG }] {
        let finished = observe(compiler, &Emulator::over_http(&["demo"]));
        let lines: Vec<_> = finished.stderr.lines().collect();
        let [encrypt, refused, failed, decrypt] = lines[..] else { panic!("{finished}") };
        assert!(encrypt.starts_with("[info] action=Encrypt endpoint=127.0.0.1:"), "{finished}");
        assert!(refused.starts_with("[warn] action=Decrypt ") && refused.contains("InvalidCiphertext"), "{finished}");
        assert!(failed.starts_with("[error] Decrypt failed after 1 attempts"), "{finished}");
        assert!(decrypt.starts_with("[info] action=Decrypt "), "{finished}");
        for line in
            ["calls:               3", "retries:             0", "refused requests:    1", "connections opened:  1"]
        {
            assert!(finished.stdout.lines().any(|shown| shown == line), "{line:?} is not in\n{finished}");
        }
    }
}

/// `tests/c/service_codes.h` is written by hand, independently of the library. It must contain every code.
#[test]
fn the_table_has_every_error_code_that_the_library_knows() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
    let first_string = |line: &str| line.split('"').nth(1).unwrap().to_owned();
    let tried: BTreeSet<_> =
        read("tests/c/service_codes.h").lines().filter(|line| line.starts_with("  {\"")).map(first_string).collect();
    let source = read("src/status.rs");
    let table = source.split("const SERVICE_CODES").nth(1).unwrap().split("];").next().unwrap();
    let known: BTreeSet<_> = table.lines().filter(|line| line.starts_with("    (\"")).map(first_string).collect();
    assert!(known.len() >= 94, "{}", known.len());
    assert_eq!(tried, known);
}
