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

/// The path of the credentials, which the role's name follows.
pub const PATH: &str = "/latest/meta-data/cam/security-credentials/";

/// The name of these requests in fault scripts and in the request log.
pub const ACTION: &str = "Metadata";

/// The service's own host name.
const HOST: &str = "metadata.tencentyun.com";

/// Returns the name of the bound role, or its credentials.
pub fn answer(emulator: &Emulator, head: &Parts) -> Reply {
    if let Some(reason) = emulator.host_check.refusal(head, Some(HOST)) {
        return Reply::new(StatusCode::FORBIDDEN, "text/plain", format!("403 - Forbidden: {reason}\n"));
    }
    let requested = head.uri.path().strip_prefix(PATH).unwrap_or_default();
    match emulator.issuer.role() {
        Some(role) if requested.is_empty() => Reply::new(StatusCode::OK, "text/plain", role),
        Some(role) if requested == role => credentials(emulator),
        _ => Reply::new(StatusCode::NOT_FOUND, "text/plain", "404 - Not Found\n"),
    }
}

/// Issues new credentials at every request, so that a test can detect a renewal.
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
