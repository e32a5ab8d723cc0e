//! Any text as a context: it is an object of strings without duplicate keys, or it is refused.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use tckms::Status;
use tckms_fuzz::api::Stream;
use tckms_fuzz::{key, report};

fuzz_target!(|text: &str| {
    // In C, a text ends at its first NUL byte.
    if text.contains('\0') {
        return;
    }
    match Stream::opening(&key::keyring(1), text) {
        Ok(_) => {
            serde_json::from_str::<BTreeMap<String, String>>(text).expect("an accepted context is an object of strings");
            report("taken");
        }
        Err(status) => assert_eq!(status, Status::InvalidContext),
    }
});
