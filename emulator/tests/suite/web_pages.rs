//! A web page in a browser on the same machine can reach none of the services that require no signature.

use serde_json::{Value, json};

use crate::support::{Connection, Emulator, Reply};

/// Sends a request with these headers, and a Content-Length.
fn send(emulator: &Emulator, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("{method} {path} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    Connection::open(emulator.address()).exchange(request.as_bytes()).expect("a reply")
}

const JSON: (&str, &str) = ("Content-Type", "application/json");
const METADATA: &str = "/latest/meta-data/cam/security-credentials/tester";

/// A request for credentials that needs no signature.
fn web_identity(emulator: &Emulator, headers: &[(&str, &str)]) -> Value {
    let body = json!({
        "ProviderId": "x", "WebIdentityToken": "x", "RoleArn": "qcs::cam::uin/1:roleName/x", "RoleSessionName": "xx",
    });
    let all = [
        headers,
        &[
            JSON,
            ("Authorization", "SKIP"),
            ("X-TC-Action", "AssumeRoleWithWebIdentity"),
            ("X-TC-Version", "2018-08-13"),
            ("X-TC-Region", "ap-guangzhou"),
        ],
    ];
    send(emulator, "POST", "/", &all.concat(), &body.to_string()).json()["Response"].clone()
}

fn emulator_with_role() -> Emulator {
    let emulator = Emulator::start(&["--tls-name", "kms.test"]);
    assert_eq!(emulator.admin("PUT", "credentials", json!({ "role": "tester" })).0, 200);
    emulator
}

#[test]
fn a_domain_that_resolves_to_loopback_is_refused() {
    let emulator = emulator_with_role();
    for host in ["evil.test", "evil.test:80", "127.0.0.1.evil.test", "", "10.0.0.1"] {
        let host = ("Host", host);
        for (method, path) in [
            ("GET", "/_admin/requests"),
            ("GET", "/_admin/credentials"),
            ("POST", "/_admin/credentials"),
            ("PUT", "/_admin/faults"),
            ("DELETE", "/_admin/faults"),
            ("GET", METADATA),
        ] {
            let reply = send(&emulator, method, path, &[host, JSON], "[]");
            assert_eq!(reply.status, 403, "{method} {path} {host:?}");
            assert!(!String::from_utf8_lossy(&reply.body).contains("AKID"), "{method} {path}");
        }
        assert_eq!(web_identity(&emulator, &[host])["Error"]["Code"], "UnauthorizedOperation", "{host:?}");
    }
}

#[test]
fn requests_with_the_servers_own_names_are_accepted() {
    let emulator = emulator_with_role();
    for host in [emulator.address(), "localhost", "localhost:1", "[::1]:1", "127.0.0.2", "kms.test", "KMS.test:8443"] {
        let host = ("Host", host);
        assert_eq!(send(&emulator, "GET", "/_admin/requests", &[host], "").status, 200, "{host:?}");
        assert_eq!(send(&emulator, "POST", "/_admin/credentials", &[host, JSON], "").status, 200, "{host:?}");
        assert_eq!(send(&emulator, "GET", METADATA, &[host], "").status, 200, "{host:?}");
        assert!(web_identity(&emulator, &[host])["Credentials"]["Token"].is_string(), "{host:?}");
    }
    assert_eq!(send(&emulator, "GET", METADATA, &[("Host", "metadata.tencentyun.com")], "").status, 200);
}

#[test]
fn requests_that_a_web_page_can_send_are_refused() {
    let emulator = emulator_with_role();
    let host = ("Host", emulator.address());
    for origin in ["https://evil.test", "null", "http://localhost"] {
        let headers = [host, ("Origin", origin), JSON];
        assert_eq!(send(&emulator, "PUT", "/_admin/faults", &headers, "[]").status, 403, "{origin}");
        assert_eq!(send(&emulator, "GET", METADATA, &headers, "").status, 403, "{origin}");
        assert_eq!(web_identity(&emulator, &headers[..2])["Error"]["Code"], "UnauthorizedOperation", "{origin}");
    }
    // A form can send these content types without a preflight request.
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        for (method, path) in [("PUT", "/_admin/faults"), ("POST", "/_admin/faults"), ("POST", "/_admin/credentials")] {
            let reply = send(&emulator, method, path, &[host, ("Content-Type", content_type)], "[]");
            assert_eq!(reply.status, 415, "{method} {path} {content_type}");
        }
    }
    assert_eq!(send(&emulator, "POST", "/_admin/credentials", &[host], "").status, 415);
    let utf8 = ("Content-Type", "application/json; charset=utf-8");
    assert_eq!(send(&emulator, "PUT", "/_admin/faults", &[host, utf8], "[]").status, 200);
}

#[test]
fn signed_calls_may_name_any_host() {
    let emulator = emulator_with_role();
    let mut call = emulator.client().call("GetRegions", &json!({}));
    (call.host, call.signed_host) = ("kms.tencentcloudapi.com".to_owned(), "kms.tencentcloudapi.com".to_owned());
    assert_eq!(call.code(), "OK");
}
