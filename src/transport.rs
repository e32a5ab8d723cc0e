//! HTTP over `hyper`, made late and forgotten after a fork.
//!
//! All connections live on one thread ([`HttpThread`]). It is started by the first call, with every signal blocked, so
//! that no signal of the host reaches that thread and a SIGPIPE raised there stays there. A forked child has no such
//! thread, so each process makes one of its own ([`PerProcess`]).

use std::error::Error as _;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{DATE, HeaderMap, RETRY_AFTER};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::api::response::HttpReply;
use crate::connector::{ConnectionCounter, Connector};
use crate::error::{Error, Result, cause_chain};
use crate::http_thread::{Head, HttpThread, Silence};
use crate::proxy::Proxy;
use crate::resolver::ResolveError;
use crate::secret::Secret;
use crate::status::Status;
use crate::sys::fork_lock;
use crate::sys::per_process::PerProcess;
use crate::sys::signals;

/// Longest reply that is read. The largest honest one, ListKeyDetail with 200 keys, has about 200 KiB.
pub const RESPONSE_MAX: usize = 1024 * 1024;

/// A request with the whole of its body, whose memory is wiped by who owns it.
pub(crate) type HttpRequest = http::Request<Full<Bytes>>;
pub(crate) type Client = hyper_util::client::legacy::Client<Connector, Full<Bytes>>;

/// What a transport is made from, as often as that is needed.
pub(crate) struct Settings {
    pub tls: rustls::ClientConfig,
    pub proxy: Option<Proxy>,
    pub connect_timeout: Duration,
}

/// One connection pool, shared by all threads of a process.
pub(crate) struct Transport {
    settings: Settings,
    connections: ConnectionCounter,
    live: PerProcess<HttpThread>,
}

impl Transport {
    pub fn new(settings: Settings) -> Self {
        fork_lock::install_handlers();
        Self { settings, connections: ConnectionCounter::default(), live: PerProcess::new() }
    }

    /// Sends a request and reads the whole reply, both within `timeout`.
    pub fn send(&self, request: HttpRequest, timeout: Duration) -> Result<HttpReply> {
        let thread = self.live.get_or_try_init(HttpThread::is_whole, || start(&self.settings, &self.connections))?;
        thread.fetch(request, timeout).unwrap_or_else(|silence| Err(unanswered(&silence)))
    }

    pub fn connections_opened(&self) -> u64 {
        self.connections.opened()
    }
}

fn start(settings: &Settings, connections: &ConnectionCounter) -> Result<HttpThread> {
    signals::with_signals_blocked(|| HttpThread::start(build(settings, connections)))
        .map_err(|error| unavailable(&error.to_string()).with_os_errno(error.raw_os_error()))
}

fn build(settings: &Settings, connections: &ConnectionCounter) -> Client {
    hyper_util::client::legacy::Builder::new(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(Connector::new(settings, connections))
}

fn unavailable(reason: &str) -> Error {
    Error::new(Status::TransportUnavailable, format!("the HTTP transport is not available: {reason}"))
        .with_retryable(true)
}

fn unanswered(silence: &Silence) -> Error {
    let timed_out = |message| Error::new(Status::TimedOut, message).with_retryable(true);
    match silence {
        Silence::TooLate { http_status: None } => timed_out("no reply came in the time allowed"),
        Silence::TooLate { http_status: Some(status) } => {
            timed_out("the reply broke off: the rest did not come in the time allowed").with_http_status(*status)
        }
        Silence::CutOff => unavailable("its thread has ended or has lost its descriptors"),
    }
    .possibly_carried_out()
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

fn date(headers: &HeaderMap) -> Option<std::time::SystemTime> {
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
    Error::new(Status::ConnectionLost, message).with_retryable(true).possibly_carried_out()
}

/// What a failure to send or to get a reply means.
fn translate(error: &hyper_util::client::legacy::Error) -> Error {
    // The outermost text only says that it is a client's.
    let cause = error.source().unwrap_or(error);
    let chain = cause_chain(cause);
    let retryable = |status, message| Error::new(status, message).with_retryable(true);
    let told = if let Some(reason) = find::<rustls::Error>(cause) {
        Error::new(Status::TlsFailed, format!("TLS failed: {reason}"))
    } else if find::<ResolveError>(cause).is_some() {
        retryable(Status::ResolveFailed, format!("the host name cannot be resolved: {chain}"))
    } else if error.is_connect() {
        retryable(Status::ConnectFailed, format!("no connection could be made: {chain}"))
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
