//! One request and its reply, on the network thread.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, DATE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::TrySendError;

use crate::error::{Error, Result, cause_chain, find_cause};
use crate::http::connector::Origin;
use crate::http::pool::{HEADS_MAX, Lease, Pool, Reuse};
use crate::http::stream::{AllowanceExceeded, Meter};
use crate::http::tls;
use crate::sanitize::excerpt;
use crate::secret::Secret;
use crate::status::Status;

/// The allowed overhead of a body: the lengths of chunks, their extensions, trailers.
const FRAMING_MAX: usize = 64 * 1024;

/// A request with its complete body, whose owner wipes its memory. Its URI is absolute. It is passed on in a box, as it has a
/// quarter of a kilobyte.
pub(crate) type HttpRequest = Request<Full<Bytes>>;

/// A reply as the transport saw it.
pub(crate) struct HttpReply {
    pub status: u16,
    pub body: Secret,
    pub date: Option<SystemTime>,
    pub retry_after: Option<Duration>,
}

/// The stage of a request, for its caller, whose timeout may expire.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// A stage, or the HTTP status of a reply whose body is being read.
    stage: AtomicU16,
    is_out_of_time: AtomicBool,
}

/// The stages of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waits for a connection.
    Waiting,
    Connecting,
    /// It may have reached the service.
    Sent,
    /// The head of the reply has arrived, with this HTTP status.
    Replying(u16),
}

impl Progress {
    pub fn stage(&self) -> Stage {
        match self.0.stage.load(Ordering::Relaxed) {
            0 => Stage::Waiting,
            1 => Stage::Connecting,
            2 => Stage::Sent,
            status => Stage::Replying(status),
        }
    }

    fn enter(&self, stage: Stage) {
        let number = match stage {
            Stage::Waiting => 0,
            Stage::Connecting => 1,
            Stage::Sent => 2,
            Stage::Replying(status) => status,
        };
        self.0.stage.store(number, Ordering::Relaxed);
    }

    /// The caller's timeout has expired without a reply.
    pub fn out_of_time(&self) {
        self.0.is_out_of_time.store(true, Ordering::Relaxed);
    }

    fn is_out_of_time(&self) -> bool {
        self.0.is_out_of_time.load(Ordering::Relaxed)
    }
}

/// Sends a request and reads the whole reply.
///
/// In a separate allocation from the beginning: the task that runs it would otherwise move it several times.
pub(crate) fn exchange(
    pool: Arc<Pool>,
    request: Box<HttpRequest>,
    reuse: Reuse,
    progress: Progress,
) -> impl Future<Output = Result<HttpReply>> + Send + Unpin {
    Box::pin(carry_out(pool, request, reuse, progress))
}

async fn carry_out(
    pool: Arc<Pool>,
    mut request: Box<HttpRequest>,
    reuse: Reuse,
    progress: Progress,
) -> Result<HttpReply> {
    let origin = address(&mut request)?;
    loop {
        progress.enter(Stage::Waiting);
        let permit = pool.permit().await;
        progress.enter(Stage::Connecting);
        let lease = permit.connect(&origin, reuse).await?;
        progress.enter(Stage::Sent);
        let mut exchange = Exchange { lease, is_broken: false, origin: &origin, progress: &progress };
        match exchange.send(*request).await {
            Ok(response) => return exchange.read(response, pool.reply_max()).await,
            Err(SendError::NotSent(unsent)) => request = unsent,
            Err(SendError::Failed(error)) => return Err(error),
        }
    }
}

/// Reduces the URI to the path and moves the host to a header, as sent to the server; returns the destination.
fn address(request: &mut HttpRequest) -> Result<Origin> {
    let origin =
        Origin::of(request.uri()).ok_or_else(|| Error::new(Status::Internal, "a request has no absolute URL"))?;
    let path = request.uri_mut().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    if !request.headers().contains_key(HOST) {
        let host = HeaderValue::from_str(origin.authority().as_str())
            .map_err(|_| Error::new(Status::Internal, "a host cannot be sent in a header"))?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(origin)
}

/// One request on one connection.
struct Exchange<'a> {
    lease: Lease<'a>,
    is_broken: bool,
    origin: &'a Origin,
    progress: &'a Progress,
}

/// Why there is no reply.
enum SendError {
    /// The connection was closed before anything was sent: another one can send the request.
    NotSent(Box<HttpRequest>),
    Failed(Error),
}

impl Exchange<'_> {
    async fn send(&mut self, request: HttpRequest) -> std::result::Result<Response<Incoming>, SendError> {
        match self.lease.send(request).await {
            Ok(response) => {
                self.progress.enter(Stage::Replying(response.status().as_u16()));
                Ok(response)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn read(mut self, response: Response<Incoming>, reply_max: usize) -> Result<HttpReply> {
        if let Some(meter) = self.lease.meter() {
            meter.allow(reply_max + FRAMING_MAX);
        }
        let status = response.status().as_u16();
        let (date, retry_after) = (date(response.headers()), retry_after(response.headers()));
        if let (200, Some(coding)) = (status, coding(response.headers())) {
            return Err(coded(&coding));
        }
        let body = read_body(response.into_body(), reply_max).await.map_err(|error| error.with_http_status(status))?;
        self.lease.give_back();
        Ok(HttpReply { status, body, date, retry_after })
    }

    fn failed(&mut self, mut failure: TrySendError<HttpRequest>) -> SendError {
        let is_reused = self.lease.is_reused();
        if let Some(request) = failure.take_message().filter(|_| is_reused) {
            return SendError::NotSent(Box::new(request));
        }
        self.is_broken = true;
        let was_stale = is_reused && self.meter(Meter::ended_before_request);
        let error = self.lost(&failure.into_error());
        SendError::Failed(if was_stale { error.on_stale_connection() } else { error })
    }

    /// The error for a missing reply.
    fn lost(&self, error: &hyper::Error) -> Error {
        let origin = self.origin;
        if let Some(error) = tls::find_error(error) {
            return Error::new(Status::TlsFailed, format!("TLS with {origin} failed: {}", tls::explain(error)));
        }
        if find_cause::<AllowanceExceeded>(error).is_some() || has_too_many_headers(error) {
            let message = format!(
                "the head of the reply of {origin} is longer than {HEADS_MAX} bytes or 100 fields, the most that is read"
            );
            return Error::new(Status::ResponseTooLarge, message).possibly_carried_out();
        }
        if error.is_parse() && self.meter(|meter| meter.began_with_tls()) {
            let message = format!("{origin} speaks TLS, as an https port does; the URL says http");
            return Error::new(Status::TlsFailed, message);
        }
        let reason = if error.is_parse() { "the reply is not HTTP".to_owned() } else { reason(error) };
        lost(format!("the connection to {origin} broke before a reply came: {reason}")).with_os_errno(os_errno(error))
    }

    fn meter(&self, check: impl FnOnce(&Meter) -> bool) -> bool {
        self.lease.meter().is_some_and(check)
    }
}

impl Drop for Exchange<'_> {
    /// If a reused connection brought no reply, or broke, other idle ones are probably broken too.
    fn drop(&mut self) {
        if self.lease.is_reused() && (self.is_broken || self.progress.is_out_of_time()) {
            self.lease.close_siblings();
        }
    }
}

async fn read_body(mut incoming: Incoming, max: usize) -> Result<Secret> {
    let announced = incoming.size_hint().exact().and_then(|len| usize::try_from(len).ok());
    if announced.is_some_and(|len| len > max) {
        return Err(too_large(max));
    }
    let mut body = Secret::with_capacity(announced.unwrap_or(4096))?;
    while let Some(frame) = incoming.frame().await {
        let Ok(chunk) = frame.map_err(|error| broken_off(&error, max))?.into_data() else { continue };
        if body.len() + chunk.len() > max {
            return Err(too_large(max));
        }
        body.extend_from_slice(&chunk)?;
    }
    Ok(body)
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok().filter(|date| *date > UNIX_EPOCH)
}

/// Seconds or a date (RFC 9110, 10.2.3); a date is compared with the reply's `Date`, because the local clock may be
/// wrong.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(text).ok()?.duration_since(date(headers)?).ok()
}

/// The content coding of the body, if any.
fn coding(headers: &HeaderMap) -> Option<String> {
    let named = |header: HeaderName, plain: &str| {
        let values = headers.get_all(header).into_iter();
        let codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        let mut codings = codings.map(|coding| String::from_utf8_lossy(coding.trim_ascii()).into_owned());
        codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(plain))
    };
    named(CONTENT_ENCODING, "identity").or_else(|| named(TRANSFER_ENCODING, "chunked"))
}

fn coded(coding: &str) -> Error {
    let coding = excerpt(coding);
    let message = format!("the reply has the content coding {coding}, although only identity was asked for");
    Error::new(Status::ResponseNotJson, message).with_http_status(200).possibly_carried_out()
}

fn too_large(max: usize) -> Error {
    let message = format!("the reply is longer than {max} bytes, the most that is read");
    Error::new(Status::ResponseTooLarge, message).possibly_carried_out()
}

fn broken_off(error: &hyper::Error, max: usize) -> Error {
    if find_cause::<AllowanceExceeded>(error).is_some() {
        return too_large(max);
    }
    lost(format!("the reply broke off: {}", reason(error))).with_os_errno(os_errno(error))
}

fn lost(message: String) -> Error {
    Error::new(Status::ConnectionLost, message).possibly_carried_out()
}

/// hyper reports this only in its text, unless its server side is compiled in.
fn has_too_many_headers(error: &hyper::Error) -> bool {
    error.is_parse() && error.to_string().contains("too large")
}

/// The error of the system, or else of the HTTP layer.
fn reason(error: &hyper::Error) -> String {
    match find_cause::<io::Error>(error) {
        Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was closed before the end of the reply".to_owned()
        }
        Some(error) => error.to_string(),
        None => cause_chain(error),
    }
}

fn os_errno(error: &hyper::Error) -> Option<i32> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(errno) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Some(errno);
        }
        cause = error.source();
    }
    None
}
