//! One request and its reply, on the network thread.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{DATE, HeaderMap, RETRY_AFTER};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};

use crate::error::{Error, Result, cause_chain};
use crate::http::connector::Client;
use crate::http::resolver::ResolveError;
use crate::secret::Secret;
use crate::status::Status;

/// Longest reply that is read. The largest honest one, ListKeyDetail with 200 keys, has about 200 KiB.
pub const RESPONSE_MAX: usize = 1024 * 1024;

/// A request with the whole of its body, whose memory is wiped by who owns it.
pub(crate) type HttpRequest = http::Request<Full<Bytes>>;

/// A reply as the transport saw it.
pub(crate) struct HttpReply {
    pub status: u16,
    pub body: Secret,
    pub date: Option<SystemTime>,
    pub retry_after: Option<Duration>,
}

/// The HTTP status of a reply whose head has come and whose body is under way; 0 before that.
#[derive(Clone, Default)]
pub(crate) struct Head(Arc<AtomicU16>);

impl Head {
    pub fn has_come(&self, status: u16) {
        self.0.store(status, Ordering::Relaxed);
    }

    pub fn status(&self) -> Option<u16> {
        Some(self.0.load(Ordering::Relaxed)).filter(|status| *status != 0)
    }
}

/// Sends a request and reads the whole reply, on the thread of the runtime.
pub(crate) async fn exchange(client: Client, request: HttpRequest, head: Head) -> Result<HttpReply> {
    let response = client.request(request).await.map_err(|error| translate(&error))?;
    let status = response.status().as_u16();
    head.has_come(status);
    let (date, retry_after) = (date(response.headers()), retry_after(response.headers()));
    let body = read_body(response.into_body()).await.map_err(|error| error.with_http_status(status))?;
    Ok(HttpReply { status, body, date, retry_after })
}

async fn read_body(mut incoming: Incoming) -> Result<Secret> {
    let announced = incoming.size_hint().exact().and_then(|len| usize::try_from(len).ok());
    if announced.is_some_and(|len| len > RESPONSE_MAX) {
        return Err(too_large());
    }
    let mut body = Secret::with_capacity(announced.unwrap_or(4096))?;
    while let Some(frame) = incoming.frame().await {
        let Ok(chunk) = frame.map_err(|error| broken_off(&error))?.into_data() else { continue };
        if body.len() + chunk.len() > RESPONSE_MAX {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk)?;
    }
    Ok(body)
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok().filter(|date| *date > UNIX_EPOCH)
}

/// Seconds or a date (RFC 9110, 10.2.3); a date is counted from the reply's own `Date`, as our clock may be wrong.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(text).ok()?.duration_since(date(headers)?).ok()
}

fn too_large() -> Error {
    let message = format!("the reply is longer than {RESPONSE_MAX} bytes, the most that is read");
    Error::new(Status::ResponseTooLarge, message).possibly_carried_out()
}

fn broken_off(error: &hyper::Error) -> Error {
    let message = format!("the reply broke off: {}", cause_chain(error));
    lost(message).with_os_errno(os_errno(error))
}

fn lost(message: String) -> Error {
    Error::new(Status::ConnectionLost, message).possibly_carried_out()
}

/// What a failure to send or to get a reply means.
fn translate(error: &hyper_util::client::legacy::Error) -> Error {
    // The outermost text only says that it is a client's.
    let cause = error.source().unwrap_or(error);
    let chain = cause_chain(cause);
    let told = if let Some(reason) = find::<rustls::Error>(cause) {
        Error::new(Status::TlsFailed, format!("TLS failed: {reason}"))
    } else if find::<ResolveError>(cause).is_some() {
        Error::new(Status::ResolveFailed, format!("the host name cannot be resolved: {chain}"))
    } else if error.is_connect() {
        Error::new(Status::ConnectFailed, format!("no connection could be made: {chain}"))
    } else {
        lost(format!("the connection broke before a reply came: {chain}"))
    };
    told.with_os_errno(os_errno(cause))
}

/// The first cause of type `T`. rustls errors travel inside `io::Error`, whose `source` skips what it wraps.
fn find<'a, T: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|wrapped| find::<T>(wrapped)) {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

fn os_errno(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(errno) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Some(errno);
        }
        cause = error.source();
    }
    None
}
