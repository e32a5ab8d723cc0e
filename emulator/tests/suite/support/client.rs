//! Signed calls. The signature is implemented from the documents, independently of the emulator's implementation.

use std::process::Command;

use aws_lc_rs::{digest, hmac};
use base16ct::lower;
use serde_json::Value;

use super::http::{Connection, Reply};
use super::unix_now;

/// The result of a call: the fields of `Response`, or the error's code.
pub type Outcome = Result<Value, String>;

/// Credentials and the address of an emulator.
#[derive(Clone)]
pub struct Client {
    pub address: String,
    pub secret_id: String,
    pub secret_key: String,
    pub token: Option<String>,
}

/// One request. A test can change any part before it is signed and sent.
#[derive(Clone)]
pub struct Call {
    pub client: Client,
    pub method: &'static str,
    pub query: String,
    pub body: Vec<u8>,
    pub content_type: String,
    /// Further headers, besides those of every call.
    pub headers: Vec<(String, String)>,
    /// The Host header.
    pub host: String,
    /// The host in the canonical request.
    pub signed_host: String,
    /// Names of further signed headers, in order after `host`.
    pub signed: Vec<&'static str>,
    pub service: String,
    pub timestamp: i64,
    pub date: String,
    /// Hashed instead of the body.
    pub payload: Option<Vec<u8>>,
}

impl Client {
    pub fn new(address: &str, secret_id: &str, secret_key: &str) -> Self {
        Self {
            address: address.to_owned(),
            secret_id: secret_id.to_owned(),
            secret_key: secret_key.to_owned(),
            token: None,
        }
    }

    /// A call of a KMS action as the official SDKs make it.
    pub fn call(&self, action: &str, body: &Value) -> Call {
        let timestamp = unix_now();
        let headers = [("X-TC-Action", action), ("X-TC-Version", "2019-01-18"), ("X-TC-Region", "ap-guangzhou")];
        Call {
            client: self.clone(),
            method: "POST",
            query: String::new(),
            body: body.to_string().into_bytes(),
            content_type: "application/json".to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            host: self.address.clone(),
            signed_host: self.address.clone(),
            signed: Vec::new(),
            service: "kms".to_owned(),
            timestamp,
            date: utc_date(timestamp),
            payload: None,
        }
    }

    /// Calls and returns the outcome.
    pub fn invoke(&self, action: &str, body: Value) -> Outcome {
        self.call(action, &body).outcome()
    }

    /// Calls and expects a success.
    pub fn expect(&self, action: &str, body: Value) -> Value {
        self.invoke(action, body).unwrap_or_else(|code| panic!("{action}: {code}"))
    }

    /// Calls and returns the error's code, or `OK`.
    pub fn code(&self, action: &str, body: Value) -> String {
        self.call(action, &body).code()
    }
}

impl Call {
    pub fn set_header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(found, _)| found != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| found != name);
        self
    }

    /// Sets the time of the signature.
    pub fn set_time(&mut self, timestamp: i64) {
        self.timestamp = timestamp;
        self.date = utc_date(timestamp);
    }

    /// Sends the call over a new connection.
    pub fn reply(&self) -> Reply {
        Connection::open(&self.client.address).exchange(&self.bytes()).expect("a reply")
    }

    pub fn outcome(&self) -> Outcome {
        outcome(&self.reply())
    }

    pub fn code(&self) -> String {
        match self.outcome() {
            Ok(_) => "OK".to_owned(),
            Err(code) => code,
        }
    }

    /// The request as it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_with_authorization(&self.authorization())
    }

    pub fn bytes_with_authorization(&self, authorization: &str) -> Vec<u8> {
        let target = if self.query.is_empty() { "/".to_owned() } else { format!("/?{}", self.query) };
        let mut head = format!("{} {target} HTTP/1.1\r\nHost: {}\r\n", self.method, self.host);
        let mut put = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        put("Content-Type", &self.content_type);
        put("Content-Length", &self.body.len().to_string());
        put("X-TC-Timestamp", &self.timestamp.to_string());
        put("Authorization", authorization);
        if let Some(token) = &self.client.token {
            put("X-TC-Token", token);
        }
        self.headers.iter().for_each(|(name, value)| put(name, value));
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }

    /// The TC3-HMAC-SHA256 header of this call.
    pub fn authorization(&self) -> String {
        let Self { service, date, timestamp, .. } = self;
        let (headers, names) = self.canonical_headers();
        let payload = hex_sha256(self.payload.as_ref().unwrap_or(&self.body));
        let canonical = format!("{}\n/\n{}\n{headers}\n{names}\n{payload}", self.method, self.query);
        let hash = hex_sha256(canonical.as_bytes());
        let scope = format!("{date}/{service}/tc3_request");
        let to_sign = format!("TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{hash}");
        let seed = format!("TC3{}", self.client.secret_key).into_bytes();
        let key = [date, service, "tc3_request"].iter().fold(seed, |key, part| hmac(&key, part));
        let signature = lower::encode_string(&hmac(&key, &to_sign));
        let id = &self.client.secret_id;
        format!("TC3-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
    }

    fn canonical_headers(&self) -> (String, String) {
        let mut lines = format!("content-type:{}\nhost:{}\n", self.content_type, self.signed_host);
        let mut names = "content-type;host".to_owned();
        for name in &self.signed {
            let sent = self.headers.iter().find(|(found, _)| found.to_lowercase() == *name);
            let value = sent.map(|(_, value)| value.to_lowercase()).unwrap_or_default();
            lines.push_str(&format!("{name}:{value}\n"));
            names.push_str(&format!(";{name}"));
        }
        (lines, names)
    }
}

/// The outcome in a reply, after a check of what every reply must have.
pub fn outcome(reply: &Reply) -> Outcome {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(reply.header("date").is_some());
    let response = reply.json()["Response"].clone();
    assert_eq!(response["RequestId"].as_str().expect("a RequestId").len(), 36);
    match response["Error"]["Code"].as_str() {
        Some(code) => Err(code.to_owned()),
        None => Ok(response),
    }
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes()).as_ref().to_vec()
}

fn hex_sha256(bytes: &[u8]) -> String {
    lower::encode_string(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The date of a Unix time from the program `date`, independently of the emulator's calendar.
fn utc_date(timestamp: i64) -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d", "-d", &format!("@{timestamp}")]).output();
    String::from_utf8(output.expect("date runs").stdout).expect("text").trim().to_owned()
}
