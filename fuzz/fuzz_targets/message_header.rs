//! Any bytes as a message's header: tckms_message_info_new() accepts or refuses them, and does the same for the header alone.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tckms::Status;
use tckms_fuzz::api::info;
use tckms_fuzz::report;

fuzz_target!(|message: &[u8]| {
    match info(message) {
        Ok(claims) => {
            assert_eq!(claims["authenticated"], false);
            let header_len = claims["header_len"].as_u64().unwrap() as usize;
            assert_eq!(info(&message[..header_len]).unwrap(), claims, "the header is enough");
            assert_eq!(info(&message[..header_len - 1]), Err(Status::Truncated));
            report("read");
        }
        Err(status) => assert!(!matches!(status, Status::Internal | Status::OutOfMemory), "{status:?}"),
    }
});
