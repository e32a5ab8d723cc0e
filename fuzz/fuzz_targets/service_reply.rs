//! Any bytes as the service's reply: it is accepted or refused, and its log line and error text are bounded.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tckms_fuzz::report;

fuzz_target!(|input: (u16, &[u8])| {
    let (status, body) = input;
    match tckms::fuzzing::read_reply(status, body) {
        Ok(fields) => {
            assert!(fields.iter().all(|len| *len <= body.len()), "a field is longer than the reply");
            report("understood");
        }
        Err(error) => {
            assert!(!error.message().chars().any(char::is_control), "{:?}", error.message());
            assert!(error.message().len() < 4096);
        }
    }
});
