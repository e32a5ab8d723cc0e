//! Scripted faults, as a client sees them.

use std::io::{self, BufRead, ErrorKind, Read};
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Call, Connection, Emulator, tls_exchange, unix_now};

fn call(emulator: &Emulator) -> Call {
    emulator.client().call("GenerateRandom", &json!({ "NumberOfBytes": 8 }))
}

/// All bytes that the server sends in reply to one request, until it closes the connection.
fn received(emulator: &Emulator, request: &[u8]) -> (String, io::Result<()>) {
    let mut connection = Connection::open(emulator.address());
    // A server that does not read the complete request may close during the write. What it sent is still read.
    let sent = connection.send(request);
    let mut bytes = Vec::new();
    let end = sent.and(connection.stream.read_to_end(&mut bytes).map(drop));
    (String::from_utf8_lossy(&bytes).into_owned(), end)
}

fn is_reset(end: &io::Result<()>) -> bool {
    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    end.as_ref().is_err_and(|error| kinds.contains(&error.kind()))
}

fn is_closed_properly(end: &io::Result<()>) -> bool {
    end.is_ok()
}

#[test]
fn entries_are_consumed_in_order_by_the_requests_they_match() {
    let emulator = Emulator::start(&[]);
    emulator.set_faults(json!([
        { "action": "GetRegions", "fault": { "kind": "error", "code": "InternalError" }, "times": 2 },
        { "action": "*", "fault": { "kind": "pass" } },
        { "fault": { "kind": "error", "code": "ServiceUnavailable", "message": "later" } },
    ]));
    let client = emulator.client();
    let code = |action: &str| client.code(action, json!({}));
    assert_eq!(code("GetServiceStatus"), "OK");
    assert_eq!(code("GetRegions"), "InternalError");
    assert_eq!(code("GetServiceStatus"), "ServiceUnavailable");
    assert_eq!([code("GetRegions"), code("GetRegions")], ["InternalError", "OK"]);
}

#[test]
fn the_admin_api_lists_adds_and_clears_faults() {
    let emulator = Emulator::start(&[]);
    let entry = |kind: &str| json!({ "action": "*", "fault": { "kind": kind }, "times": 1 });
    let list = || emulator.admin("GET", "faults", Value::Null);
    emulator.set_faults(json!([{ "fault": { "kind": "gzip" } }]));
    emulator.admin("POST", "faults", json!([{ "fault": { "kind": "pass" } }]));
    assert_eq!(list(), (200, json!({ "faults": [entry("gzip"), entry("pass")], "clock_shift": 0 })));
    emulator.set_faults(json!([{ "fault": { "kind": "clock_shift", "seconds": 60 } }]));
    assert_eq!(list().1, json!({ "faults": [], "clock_shift": 60 }));
    emulator.admin("DELETE", "faults", Value::Null);
    assert_eq!(list().1, json!({ "faults": [], "clock_shift": 0 }));
}

#[test]
fn an_invalid_script_is_refused_and_changes_nothing() {
    let emulator = Emulator::start(&[]);
    emulator.set_fault(json!({ "kind": "gzip" }));
    let bad = json!([{ "fault": { "kind": "pass" } }, { "fault": { "kind": "no_such_fault" } }]);
    let (status, answer) = emulator.admin("PUT", "faults", bad);
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().contains("no_such_fault"));
    let tls_only = emulator.admin("PUT", "faults", json!([{ "fault": { "kind": "cut_handshake" } }]));
    assert!(tls_only.1["error"].as_str().unwrap().contains("--tls"));
    assert_eq!(emulator.admin("GET", "faults", Value::Null).1["faults"].as_array().unwrap().len(), 1);
}

#[test]
fn a_script_can_come_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("faults.json");
    std::fs::write(&file, r#"[{"fault": {"kind": "error", "code": "InternalError"}}]"#).unwrap();
    let emulator = Emulator::start(&["--faults", file.to_str().unwrap()]);
    assert_eq!([call(&emulator).code(), call(&emulator).code()], ["InternalError", "OK"]);

    std::fs::write(&file, "[").unwrap();
    let Output { status, stderr, .. } = Emulator::command(&["--faults", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(String::from_utf8(stderr).unwrap().contains("faults.json"));
}

#[test]
fn an_address_that_other_machines_can_reach_has_no_admin_api() {
    let emulator = Emulator::start(&["--listen", "0.0.0.0:0", "--allow-non-loopback-clients"]);
    let request = b"GET /_admin/requests HTTP/1.1\r\nHost: x\r\n\r\n";
    let port = emulator.address().rsplit_once(':').unwrap().1;
    let reply = Connection::open(&format!("127.0.0.1:{port}")).exchange(request).unwrap();
    assert_eq!(reply.status, 404);
}

#[test]
fn delays_come_before_or_within_the_reply() {
    let emulator = Emulator::start(&[]);
    for fault in [json!({ "kind": "delay", "ms": 300 }), json!({ "kind": "delay_body", "ms": 300 })] {
        emulator.set_fault(fault);
        let start = Instant::now();
        assert_eq!(call(&emulator).code(), "OK");
        assert!(start.elapsed() >= Duration::from_millis(300));
    }
}

#[test]
fn a_body_can_drip_and_the_connection_stays_usable() {
    let emulator = Emulator::start(&[]);
    emulator.set_fault(json!({ "kind": "drip", "bytes": 10, "every_ms": 20 }));
    let mut connection = Connection::open(emulator.address());
    let start = Instant::now();
    assert_eq!(connection.exchange(&call(&emulator).bytes()).unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(100));
    assert!(connection.exchange(&call(&emulator).bytes()).unwrap().json()["Response"]["Plaintext"].is_string());
}

#[test]
fn a_chunked_reply_is_valid_and_the_connection_stays_usable() {
    let emulator = Emulator::start(&[]);
    emulator.set_fault(json!({ "kind": "chunked", "bytes": 7 }));
    let mut connection = Connection::open(emulator.address());
    let reply = connection.exchange(&call(&emulator).bytes()).unwrap();
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    assert!(reply.json()["Response"]["Plaintext"].is_string());
    assert_eq!(connection.exchange(&call(&emulator).bytes()).unwrap().status, 200);
}

#[test]
fn a_connection_can_close_before_or_after_the_request_is_read() {
    let emulator = Emulator::start(&[]);
    for kind in ["close_before_reading", "close_after_reading"] {
        emulator.set_fault(json!({ "kind": kind }));
        let (text, end) = received(&emulator, &call(&emulator).bytes());
        assert!(text.is_empty() && is_closed_properly(&end), "{kind}: {text:?} {end:?}");
    }
}

#[test]
fn a_request_is_executed_before_close_after_reading() {
    let emulator = Emulator::start(&[]);
    let create = emulator.client().call("CreateKey", &json!({ "Alias": "made" }));
    let keys_after = |kind: &str| {
        emulator.set_faults(json!([{ "action": "CreateKey", "fault": { "kind": kind } }]));
        assert_eq!(received(&emulator, &create.bytes()).0, "");
        emulator.client().expect("ListKeys", json!({}))["TotalCount"].clone()
    };
    assert_eq!(keys_after("close_before_reading"), 1);
    assert_eq!(keys_after("close_after_reading"), 2);
}

#[test]
fn a_reply_can_be_reset_at_any_byte() {
    let emulator = Emulator::start(&[]);
    for count in [0, 1, 100] {
        emulator.set_fault(json!({ "kind": "reset_reply", "after_bytes": count }));
        let (text, end) = received(&emulator, &call(&emulator).bytes());
        assert_eq!(text.len(), count);
        assert!(is_reset(&end), "{end:?}");
    }
}

#[test]
fn an_upload_can_be_reset_in_the_middle() {
    let emulator = Emulator::start(&[]);
    emulator.set_fault(json!({ "kind": "reset_request", "after_bytes": 100_000 }));
    let upload = Call { body: vec![b' '; 50_000_000], ..call(&emulator) };
    let (text, end) = received(&emulator, &upload.bytes());
    assert!(text.is_empty() && is_reset(&end), "{end:?}");
    assert_eq!(emulator.requests()[0]["fault"], "reset_request");
}

#[test]
fn a_body_can_end_before_its_announced_length() {
    let emulator = Emulator::start(&[]);
    for fault in
        [json!({ "kind": "truncate_body", "keep_bytes": 10 }), json!({ "kind": "content_length", "value": 9999 })]
    {
        emulator.set_fault(fault);
        let error = Connection::open(emulator.address()).exchange(&call(&emulator).bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}

#[test]
fn a_body_can_be_longer_than_announced() {
    let emulator = Emulator::start(&[]);
    emulator.set_fault(json!({ "kind": "content_length", "value": 5 }));
    let mut connection = Connection::open(emulator.address());
    let reply = connection.exchange(&call(&emulator).bytes()).unwrap();
    assert_eq!(reply.body, b"{\"Res");
    connection.send(&call(&emulator).bytes()).unwrap();
    let mut line = String::new();
    connection.stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("ponse\""), "the rest of the body follows in place of the next reply: {line}");
}

#[test]
fn a_status_fault_sets_status_headers_and_body() {
    let emulator = Emulator::start(&[]);
    let headers = json!({ "Location": "http://elsewhere.invalid/" });
    emulator.set_faults(json!([
        { "fault": { "kind": "status", "status": 301, "headers": headers } },
        { "fault": { "kind": "status", "status": 503, "headers": { "Retry-After": "2" }, "body": "busy" } },
        { "fault": { "kind": "bad_gateway" } },
    ]));
    let moved = call(&emulator).reply();
    assert_eq!((moved.status, moved.header("location")), (301, Some("http://elsewhere.invalid/")));
    let busy = call(&emulator).reply();
    assert_eq!((busy.status, busy.header("retry-after"), busy.body.as_slice()), (503, Some("2"), &b"busy"[..]));
    let gateway = call(&emulator).reply();
    assert_eq!((gateway.status, gateway.header("content-type")), (502, Some("text/html")));
    assert!(gateway.body.starts_with(b"<html>"));
}

#[test]
fn bodies_can_be_garbage_compressed_or_padded() {
    let emulator = Emulator::start(&[]);
    emulator.set_faults(json!([
        { "fault": { "kind": "garbage" } },
        { "fault": { "kind": "garbage", "body": "\u{0}" } },
        { "fault": { "kind": "no_response" } },
        { "fault": { "kind": "gzip" } },
        { "fault": { "kind": "pad", "bytes": 2_097_152 } },
    ]));
    assert!(serde_json::from_slice::<Value>(&call(&emulator).reply().body).is_err());
    assert_eq!(call(&emulator).reply().body, b"\0");
    assert!(call(&emulator).reply().json()["Response"].is_null());
    let zipped = call(&emulator).reply();
    assert_eq!((zipped.header("content-encoding"), &zipped.body[..2]), (Some("gzip"), &b"\x1f\x8b"[..]));
    let padded = call(&emulator).reply();
    assert!(padded.body.len() >= 2_097_152 && padded.json()["Response"]["Plaintext"].is_string());
}

#[test]
fn fields_of_a_real_reply_can_be_changed() {
    let emulator = Emulator::start(&[]);
    let other = "00000000-0000-11ef-8000-000000000000";
    emulator.set_faults(json!([
        { "action": "Encrypt", "fault": { "kind": "replace_fields", "fields": { "KeyId": other } } },
        { "action": "Encrypt", "fault": { "kind": "truncate_field", "field": "CiphertextBlob", "keep": 10 } },
    ]));
    let encrypt = || emulator.client().expect("Encrypt", json!({ "KeyId": emulator.key_id(), "Plaintext": "eA==" }));
    assert_eq!(encrypt()["KeyId"], other);
    assert_eq!(encrypt()["CiphertextBlob"].as_str().unwrap().len(), 10);
    assert_eq!(encrypt()["KeyId"], emulator.key_id());
}

#[test]
fn a_throttle_limits_calls_per_second_until_it_is_removed() {
    let emulator = Emulator::start(&[]);
    emulator.set_faults(json!([{ "action": "GenerateRandom", "fault": { "kind": "throttle", "per_second": 1 } }]));
    let codes = [(); 3].map(|()| call(&emulator).code());
    assert!(codes.contains(&"RequestLimitExceeded".to_owned()), "{codes:?}");
    assert_eq!(emulator.client().code("GetRegions", json!({})), "OK");
    emulator.admin("DELETE", "faults", Value::Null);
    assert_eq!([(); 3].map(|()| call(&emulator).code()), [const { "OK" }; 3]);
}

#[test]
fn a_shifted_clock_moves_the_signature_window_and_the_date() {
    let emulator = Emulator::start(&[]);
    emulator.set_fault(json!({ "kind": "clock_shift", "seconds": 3600 }));
    let reply = call(&emulator).reply();
    assert_eq!(reply.json()["Response"]["Error"]["Code"], "AuthFailure.SignatureExpire");
    let date = httpdate::parse_http_date(reply.header("date").unwrap()).unwrap();
    let date = date.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((date - unix_now() - 3600).abs() < 5);
    emulator.admin("DELETE", "faults", Value::Null);
    assert_eq!(call(&emulator).code(), "OK");
}

#[test]
fn close_connection_closes_before_reading_and_does_not_affect_admin_calls() {
    let emulator = Emulator::start(&[]);
    emulator.set_fault(json!({ "kind": "close_connection" }));
    assert_eq!(emulator.admin("GET", "faults", Value::Null).0, 200);
    let (text, end) = received(&emulator, &call(&emulator).bytes());
    assert!(text.is_empty() && is_reset(&end), "{end:?}");
    assert_eq!(call(&emulator).code(), "OK");
}

#[test]
fn a_handshake_can_be_truncated_and_certificates_can_be_invalid() {
    let emulator = Emulator::start(&["--tls"]);
    let exchange = || {
        tls_exchange(emulator.text("ca_file"), emulator.address(), "127.0.0.1", &call(&emulator).bytes())
            .map(|reply| reply.status)
            .map_err(|error| error.to_string())
    };
    emulator.set_fault(json!({ "kind": "cut_handshake" }));
    assert!(exchange().is_err());
    for (flaw, reason) in [("expired", "Expired"), ("wrong_host", "NotValidForName"), ("unknown_ca", "UnknownIssuer")] {
        emulator.set_fault(json!({ "kind": "certificate", "flaw": flaw }));
        let error = exchange().unwrap_err();
        let plain = error.to_lowercase().replace(' ', "");
        assert!(plain.contains(&reason.to_lowercase()), "{flaw}: {error}");
    }
    assert_eq!(exchange(), Ok(200));
}

#[test]
fn faults_work_over_tls_too() {
    let emulator = Emulator::start(&["--tls"]);
    let exchange = || tls_exchange(emulator.text("ca_file"), emulator.address(), "127.0.0.1", &call(&emulator).bytes());
    emulator.set_fault(json!({ "kind": "reset_reply", "after_bytes": 20 }));
    assert_eq!(exchange().unwrap_err().kind(), ErrorKind::ConnectionReset);
    emulator.set_fault(json!({ "kind": "truncate_body", "keep_bytes": 20 }));
    assert_eq!(exchange().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    emulator.set_fault(json!({ "kind": "chunked", "bytes": 20 }));
    assert_eq!(exchange().unwrap().header("transfer-encoding"), Some("chunked"));
}

#[test]
fn numbers_above_their_bounds_are_refused() {
    let emulator = Emulator::start(&[]);
    for number in ["18446744073709551615", "9223372036854775807", "-9223372036854775808", "1e300", "4294967296000000"] {
        for fault in [
            r#""pad","bytes":N"#,
            r#""delay","ms":N"#,
            r#""drip","bytes":N,"every_ms":N"#,
            r#""chunked","bytes":N"#,
            r#""clock_shift","seconds":N"#,
            r#""content_length","value":N"#,
            r#""reset_reply","after_bytes":N"#,
            r#""throttle","per_second":N"#,
            r#""truncate_field","field":"Plaintext","keep":N"#,
        ] {
            let script = format!(r#"[{{"fault":{{"kind":{}}}}}]"#, fault.replace('N', number));
            let request = format!(
                "PUT /_admin/faults HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{script}",
                script.len()
            );
            let reply = Connection::open(emulator.address()).exchange(request.as_bytes()).unwrap();
            assert_eq!(reply.status, 400, "{script}");
        }
    }
    // The emulator still works after the largest values that it accepts.
    for fault in [
        json!({ "kind": "clock_shift", "seconds": 3_155_760_000_i64 }),
        json!({ "kind": "clock_shift", "seconds": -3_155_760_000_i64 }),
        json!({ "kind": "pad", "bytes": 67_108_864 }),
        json!({ "kind": "content_length", "value": 1_u64 << 40 }),
        json!({ "kind": "chunked", "bytes": 1_u64 << 40 }),
    ] {
        emulator.set_fault(fault);
        // The reply is not read: with the largest Content-Length it has no end.
        let call = emulator.client().call("GetRegions", &json!({}));
        Connection::open(emulator.address()).send(&call.bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        emulator.set_faults(json!([]));
        assert_eq!(emulator.client().code("GetRegions", json!({})), "OK");
    }
}
