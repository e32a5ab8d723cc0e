//! HTTP messages: headers, bodies read up to a limit, complete replies.

use std::time::SystemTime;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, DATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use crate::clock::Clock;

/// Largest request body (docs/kms-service.md, "Requests").
const MAX_BODY: usize = 10 * 1024 * 1024;

/// Why there is no request body.
pub enum BodyError {
    TooLarge,
    /// The client went away or sent something that is not HTTP.
    Broken,
}

/// Reads a request body to its end. One that is too large is also read, but not stored: otherwise its sender, still
/// writing, would never see the reply.
pub async fn read_body(mut body: Body) -> Result<Bytes, BodyError> {
    let mut kept = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        length += data.len();
        if length <= MAX_BODY {
            kept.extend_from_slice(&data);
        }
    }
    if length <= MAX_BODY { Ok(kept.freeze()) } else { Err(BodyError::TooLarge) }
}

/// Reads and discards the first `limit` bytes of a body, or all if it has fewer.
pub async fn discard(mut body: Body, limit: usize) {
    let mut length = 0;
    while length < limit {
        let Some(Ok(frame)) = body.frame().await else { break };
        length += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// The framing of a reply's body.
pub enum Framing {
    Length(usize),
    Chunked,
}

/// A complete reply.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self { status, headers, body: body.into() }
    }

    /// JSON of an API reply. The content type must be exactly this: with a charset the Python SDK ignores errors
    /// (docs/kms-service.md, "Replies").
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, "application/json", body)
    }

    /// The reply's status line and headers as they are sent. `framing` need not be true of the body.
    pub fn head(&self, framing: Framing) -> Bytes {
        let mut head = format!("HTTP/1.1 {}\r\n", self.status).into_bytes();
        let mut put = |name: &str, value: &[u8]| head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        self.headers.iter().for_each(|(name, value)| put(name.as_str(), value.as_bytes()));
        if !self.headers.contains_key(DATE) {
            put("date", httpdate::fmt_http_date(SystemTime::now()).as_bytes());
        }
        match framing {
            Framing::Length(length) => put("content-length", length.to_string().as_bytes()),
            Framing::Chunked => put("transfer-encoding", b"chunked"),
        }
        head.extend(b"\r\n");
        head.into()
    }

    /// Sets the date of `clock`; hyper would set the system's.
    pub fn dated_by(mut self, clock: &Clock) -> Self {
        if clock.shift() != 0
            && let Ok(date) = HeaderValue::try_from(clock.http_date())
        {
            self.headers.insert(DATE, date);
        }
        self
    }
}

impl From<Reply> for Response {
    fn from(reply: Reply) -> Self {
        let mut response = Self::new(Body::from(reply.body));
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }
}

/// The value of a header that is present once and is text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// A host without the port that may follow it.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}
