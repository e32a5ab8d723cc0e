//! The part of a virtual machine's metadata service that returns the credentials of the machine's role
//! (docs/kms-service.md, "Instance metadata"). It requires no signature: on a real machine only the machine itself can
//! reach it.

use axum::http::StatusCode;
use axum::http::request::Parts;
use serde_json::json;

use crate::clock::iso_8601;
use crate::emulator::Emulator;
use crate::http::Reply;
use crate::identity::issuer::DEFAULT_LIFETIME;

/// Where the credentials are; the role's name comes after it.
pub const PATH: &str = "/latest/meta-data/cam/security-credentials/";

/// The name under which faults and the request log know these requests.
pub const ACTION: &str = "Metadata";

/// The service's own host name.
const HOST: &str = "metadata.tencentyun.com";

/// Answers a request: with the name of the role bound, or its credentials.
pub fn answer(emulator: &Emulator, head: &Parts) -> Reply {
    if let Some(reason) = emulator.host_check.refusal(head, Some(HOST)) {
        return Reply::new(StatusCode::FORBIDDEN, "text/plain", format!("403 - Forbidden: {reason}\n"));
    }
    let asked = head.uri.path().strip_prefix(PATH).unwrap_or_default();
    match emulator.issuer.role() {
        Some(role) if asked.is_empty() => Reply::new(StatusCode::OK, "text/plain", role),
        Some(role) if asked == role => credentials(emulator),
        _ => Reply::new(StatusCode::NOT_FOUND, "text/plain", "404 - Not Found\n"),
    }
}

/// New credentials with every request, so that a test can detect a renewal.
fn credentials(emulator: &Emulator) -> Reply {
    let credentials = emulator.issue_credentials(DEFAULT_LIFETIME);
    let document = json!({
        "TmpSecretId": credentials.pair.secret_id,
        "TmpSecretKey": credentials.pair.secret_key,
        "ExpiredTime": credentials.expired_time,
        "Expiration": iso_8601(credentials.expired_time),
        "Token": credentials.token,
        "Code": "Success",
    });
    Reply::json(document.to_string())
}
