//! Any request, with any script of faults: the emulator replies or closes the connection, and nothing panics.
//!
//! The first line says how the rest is sent, and the second line is a script of faults:
//!
//! * `raw`: as it is, as the bytes of a connection;
//! * `kms ACTION`, `sts ACTION`: as the body of a signed POST; `get ACTION` as the query of a signed GET;
//! * `admin METHOD PATH`: as the body of a request to the admin API.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tckms_emulator::fuzzing::Target;
use tckms_fuzz::report;

/// After this many rounds a new emulator is started, so that its keys do not accumulate.
const ROUNDS: usize = 5000;

thread_local! {
    static TARGET: RefCell<(usize, Option<Target>)> = const { RefCell::new((0, None)) };
}

fuzz_target!(|input: &[u8]| {
    TARGET.with_borrow_mut(|(round, target)| {
        if *round % ROUNDS == 0 {
            *target = Some(Target::new());
        }
        *round += 1;
        run(target.as_ref().expect("a target"), input);
    });
});

fn run(target: &Target, input: &[u8]) {
    let mut lines = input.splitn(3, |&byte| byte == b'\n');
    let (Some(how), Some(script), Some(rest)) = (lines.next(), lines.next(), lines.next()) else { return };
    let (Ok(how), text) = (std::str::from_utf8(how), String::from_utf8_lossy(rest)) else { return };
    // Only bytes of a header value, so that the name of an action cannot add headers.
    if how.bytes().any(|byte| byte.is_ascii_control()) {
        return;
    }
    target.set_faults(script);
    let words: Vec<_> = how.split(' ').collect();
    let request = match words[..] {
        ["raw"] => rest.to_vec(),
        ["kms", action] => target.signed("kms", "2019-01-18", action, "", &text),
        ["get", action] => target.signed("kms", "2019-01-18", action, &text.replace(char::is_whitespace, "+"), ""),
        ["sts", action] => target.signed("sts", "2018-08-13", action, "", &text),
        ["admin", method, path] => admin(method, path, &text),
        _ => return,
    };
    let reply = target.send(&request);
    let has_faults = !script.is_empty();
    if !has_faults && words[0] != "raw" {
        check(&String::from_utf8_lossy(&reply), words[0] == "admin");
    }
}

fn admin(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} /_admin/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Without a fault, the reply is complete and is not an internal error of the emulator.
fn check(reply: &str, is_admin: bool) {
    // Invalid HTTP, such as an action of control characters, is refused before it reaches the emulator's handler.
    let Some((head, body)) = reply.split_once("\r\n\r\n") else { return };
    assert!(head.starts_with("HTTP/1.1 "), "{head}");
    if is_admin || !head.starts_with("HTTP/1.1 200") {
        assert!(!head.starts_with("HTTP/1.1 5"), "{reply}");
        return;
    }
    let response = serde_json::from_str::<Value>(body).expect("JSON")["Response"].clone();
    assert!(response["RequestId"].is_string(), "{reply}");
    match response["Error"]["Code"].as_str() {
        None => report("answered"),
        Some(code) => assert_ne!(code, "InternalError", "{reply}"),
    }
}
