//! The recent requests, so that a test can check what a client sent.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde_json::{Map, Value, json};

use crate::http::header;
use crate::identity::auth::Authorization;

/// The number of requests that are stored; older ones are dropped.
const CAPACITY: usize = 100_000;

/// The maximum memory for all stored requests, in bytes. Ordinary requests need far less.
const MAX_SIZE: usize = 128 << 20;

/// The approximate size of a record without its texts.
const RECORD_OVERHEAD: usize = 512;

/// Longest header value or field name that is stored; the rest is dropped, so that the log's size has a bound.
const MAX_TEXT: usize = 200;

/// Most field names that are stored of one request.
const MAX_FIELDS: usize = 32;

/// The headers that are stored. Authorization and the token are not among them.
const HEADERS: [&str; 14] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-tc-content-sha256",
    "x-tc-language",
    "x-tc-region",
    "x-tc-requestclient",
    "x-tc-timestamp",
    "x-tc-traceid",
    "x-tc-version",
];

/// A stored request.
pub struct Record {
    action: String,
    peer: SocketAddr,
    method: String,
    path: Box<str>,
    time_ms: u64,
    /// The SecretId of the signature; empty if the request is not signed.
    pub secret_id: String,
    signed_headers: String,
    has_token: bool,
    /// Lines `name: value`, in one string to save memory.
    headers: Box<str>,
    /// Names of the fields of the body or query, never their values.
    pub fields: Vec<Box<str>>,
    /// `OK`, or the service's error code; None if there is neither.
    pub code: Option<String>,
    /// The HTTP status; None if no reply was sent.
    pub status: Option<u16>,
    pub request_id: String,
    /// The kind of the fault that was applied to the request.
    pub fault: Option<String>,
}

impl Record {
    /// Records the head of a request.
    pub fn new(action: &str, peer: SocketAddr, head: &Parts, request_id: &str) -> Self {
        let authorization = Authorization::from_headers(&head.headers);
        let text = |part: fn(&Authorization<'_>) -> String| authorization.as_ref().map(part).unwrap_or_default();
        Self {
            action: shortened(action).to_owned(),
            peer,
            method: shortened(head.method.as_str()).to_owned(),
            path: shortened(head.uri.path()).into(),
            time_ms: UNIX_EPOCH.elapsed().map(|elapsed| elapsed.as_millis() as u64).unwrap_or_default(),
            secret_id: text(|authorization| shortened(authorization.secret_id).to_owned()),
            signed_headers: text(|authorization| shortened(authorization.signed_headers).to_owned()),
            has_token: head.headers.contains_key("x-tc-token"),
            headers: header_lines(&head.headers),
            fields: Vec::new(),
            code: None,
            status: None,
            request_id: request_id.to_owned(),
            fault: None,
        }
    }

    fn size(&self) -> usize {
        let texts = [&*self.action, &self.method, &self.path, &self.secret_id, &self.signed_headers, &self.headers];
        let fields = self.fields.iter().map(|field| field.len() + size_of::<Box<str>>());
        RECORD_OVERHEAD + texts.iter().map(|text| text.len()).sum::<usize>() + fields.sum::<usize>()
    }

    fn to_json(&self) -> Value {
        let headers: Map<_, _> = self
            .headers
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        json!({
            "action": self.action,
            "peer": self.peer.to_string(),
            "method": self.method,
            "path": self.path,
            "time_ms": self.time_ms,
            "secret_id": self.secret_id,
            "signed_headers": self.signed_headers,
            "has_token": self.has_token,
            "headers": headers,
            "fields": self.fields,
            "code": self.code,
            "status": self.status,
            "request_id": self.request_id,
            "fault": self.fault,
        })
    }
}

fn header_lines(headers: &HeaderMap) -> Box<str> {
    let mut lines = String::new();
    for name in HEADERS {
        if let Some(value) = header(headers, name) {
            lines.extend([name, ": ", shortened(value), "\n"]);
        }
    }
    lines.into_boxed_str()
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// Records field names, within the limits.
pub fn field_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Box<str>> {
    names.take(MAX_FIELDS).map(|name| shortened(name).into()).collect()
}

/// The requests and connections since the last reset.
#[derive(Default)]
pub struct RequestLog(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    records: VecDeque<Record>,
    /// The memory that the records take.
    size: usize,
    forgotten: u64,
    connections: u64,
}

impl RequestLog {
    pub fn count_connection(&self) {
        self.entries().connections += 1;
    }

    /// Decrements the count, for a connection that turned out to be the admin API's.
    pub fn uncount_connection(&self) {
        let mut entries = self.entries();
        entries.connections = entries.connections.saturating_sub(1);
    }

    pub fn push(&self, record: Record) {
        let mut entries = self.entries();
        entries.size += record.size();
        entries.records.push_back(record);
        while entries.records.len() > CAPACITY || entries.size > MAX_SIZE {
            let Some(oldest) = entries.records.pop_front() else { break };
            entries.size -= oldest.size();
            entries.forgotten += 1;
        }
    }

    pub fn reset(&self) {
        *self.entries() = Entries::default();
    }

    pub fn to_json(&self) -> Value {
        let entries = self.entries();
        json!({
            "connections": entries.connections,
            "forgotten": entries.forgotten,
            "requests": entries.records.iter().map(Record::to_json).collect::<Vec<_>>(),
        })
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn record(request: axum::http::request::Builder) -> Record {
        let (head, ()) = request.body(()).unwrap().into_parts();
        Record::new("Encrypt", SocketAddr::from(([127, 0, 0, 1], 5000)), &head, "id")
    }

    #[test]
    fn a_record_holds_neither_signature_nor_token() {
        let authorization = "TC3-HMAC-SHA256 Credential=AKID/2023-11-14/kms/tc3_request, \
                             SignedHeaders=content-type;host, Signature=5161";
        let request = Request::builder()
            .header("Authorization", authorization)
            .header("X-TC-Token", "the token")
            .header("User-Agent", "tester");
        let json = record(request).to_json();
        assert_eq!((&json["secret_id"], &json["signed_headers"]), (&json!("AKID"), &json!("content-type;host")));
        assert_eq!((&json["has_token"], &json["headers"]), (&json!(true), &json!({ "user-agent": "tester" })));
        let text = json.to_string();
        assert!(!text.contains("5161") && !text.contains("the token"));
    }

    #[test]
    fn the_number_of_requests_and_the_length_of_their_texts_are_bounded() {
        let log = RequestLog::default();
        for _ in 0..CAPACITY + 5 {
            log.push(record(Request::builder()));
        }
        let entries = log.entries();
        assert_eq!((entries.records.len(), entries.forgotten), (CAPACITY, 5));
        let long = record(Request::builder().header("User-Agent", "x".repeat(10_000))).to_json();
        assert_eq!(long["headers"]["user-agent"].as_str().unwrap().len(), MAX_TEXT);
        let names = vec!["x".repeat(10_000); 1000];
        let kept = field_names(names.iter().map(String::as_str));
        assert_eq!((kept.len(), kept[0].len()), (MAX_FIELDS, MAX_TEXT));
    }

    #[test]
    fn the_memory_of_the_log_is_bounded() {
        let large = || {
            let headers =
                HEADERS.iter().fold(Request::builder(), |request, name| request.header(*name, "x".repeat(300)));
            let mut record = record(headers);
            record.fields = vec!["x".repeat(MAX_TEXT).into(); MAX_FIELDS];
            record
        };
        let log = RequestLog::default();
        let count = MAX_SIZE / large().size() + 100;
        (0..count).for_each(|_| log.push(large()));
        let entries = log.entries();
        assert!(entries.size <= MAX_SIZE && count < CAPACITY);
        assert_eq!(entries.records.len() + entries.forgotten as usize, count);
        assert!((100..110).contains(&entries.forgotten));
    }
}
