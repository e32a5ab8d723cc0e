//! Any bytes as records of branch keys, or as a data key that is wrapped under one. The first byte selects one of these.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tckms::Status;
use tckms::seal::BranchRecords;
use tckms_fuzz::report;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    match (choice % 2, std::str::from_utf8(bytes)) {
        (0, Ok(text)) => read_records(text),
        (0, Err(_)) => {}
        _ => read_wrapped(bytes),
    }
});

/// Records that are accepted are written as a text with the same records.
fn read_records(text: &str) {
    match BranchRecords::parse(text) {
        Ok(records) => {
            let written = records.to_string();
            assert_eq!(BranchRecords::parse(&written).expect("a written record can be read"), records);
            if records.iter().next().is_some() {
                report("records");
            }
        }
        Err(error) => {
            assert_eq!(error.status(), Status::InvalidBranchRecord);
            assert!(!error.message().chars().any(char::is_control), "{:?}", error.message());
        }
    }
}

/// Only the vectors are authentic, with any blob of their branch key.
fn read_wrapped(bytes: &[u8]) {
    match tckms::fuzzing::read_branch_wrapped(bytes) {
        Ok((branch_id, is_authentic)) => {
            assert!((1..=64).contains(&branch_id.len()));
            if is_authentic {
                assert_eq!(branch_id, "orders");
                report("a data key");
            }
        }
        Err(error) => assert_eq!(error.status(), Status::MalformedMessage),
    }
}
