//! Calls one service of the cloud: signs, sends and retries.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};

use super::clock::Clock;
use super::limits::CallLimits;
use super::rate_limiter::RateLimiter;
use super::request::Request;
use super::response::Response;
use super::retry::{Decision, Policy};
use crate::block_on::OutOfLine;
use crate::call_control;
use crate::credentials::tc3::{Signable, hex_sha256};
use crate::credentials::{CachedCredentials, Credentials};
use crate::error::{Error, Result};
use crate::http::endpoint::Endpoint;
use crate::http::exchange::{HttpReply, HttpRequest};
use crate::http::pool::Reuse;
use crate::http::transport::Transport;
use crate::last_request;
use crate::log::{Log, LogContext, LogLevel};
use crate::stats::{Counters, Stats};
use crate::status::{Category, Status};
use crate::sys::random;

/// A product of Tencent Cloud.
pub(crate) struct Product {
    /// The short name in the signature's scope.
    name: &'static str,
    version: &'static str,
}

pub(crate) const KMS: Product = Product { name: "kms", version: "2019-01-18" };
pub(crate) const STS: Product = Product { name: "sts", version: "2018-08-13" };

const X_TC_ACTION: HeaderName = HeaderName::from_static("x-tc-action");
const X_TC_TIMESTAMP: HeaderName = HeaderName::from_static("x-tc-timestamp");
const X_TC_TOKEN: HeaderName = HeaderName::from_static("x-tc-token");
/// Signed and sent in exactly this form: the service compares the two.
const CONTENT_TYPE_JSON: &str = "application/json";
/// Replaces the signature of actions whose body has a token that authenticates them.
const SKIP_SIGNATURE: HeaderValue = HeaderValue::from_static("SKIP");
/// The beginning of `X-TC-RequestClient`.
const LIBRARY_NAME: &str = concat!("TCKMS_", env!("CARGO_PKG_VERSION"));

/// The shared state of a client and those derived from it.
pub(crate) struct ApiCaller {
    /// Unique in this process.
    instance_id: u64,
    product: &'static Product,
    endpoint: Endpoint,
    region: String,
    auth: Auth,
    fixed_headers: HeaderMap,
    rate_limiter: Option<Arc<RateLimiter>>,
    log: Option<Arc<Log>>,
    clock: Clock,
    counters: Counters,
    transport: Arc<Transport>,
}

/// How requests are authenticated.
pub(crate) enum Auth {
    Signed(Arc<CachedCredentials>),
    Anonymous,
}

impl ApiCaller {
    pub fn for_product(
        product: &'static Product,
        endpoint: Endpoint,
        region: &str,
        auth: Auth,
        transport: Arc<Transport>,
        log: Option<Arc<Log>>,
    ) -> Result<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Ok(Self {
            instance_id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            product,
            fixed_headers: fixed_headers(product, &endpoint, region)?,
            endpoint,
            region: region.to_owned(),
            auth,
            rate_limiter: None,
            log,
            clock: Clock::default(),
            counters: Counters::default(),
            transport,
        })
    }

    /// Limits the rate of all calls.
    pub fn set_rate_limiter(&mut self, rate_limiter: Option<Arc<RateLimiter>>) {
        self.rate_limiter = rate_limiter;
    }

    /// Adds the program's name and the language of the service's messages to every request.
    pub fn set_client_headers(&mut self, user_agent_suffix: Option<&str>, language: Option<&str>) -> Result<()> {
        if let Some(suffix) = user_agent_suffix {
            let name = header_value(format!("{LIBRARY_NAME}; {suffix}").as_bytes())?;
            self.fixed_headers.insert("x-tc-requestclient", name);
        }
        if let Some(language) = language {
            self.fixed_headers.insert("x-tc-language", header_value(language.as_bytes())?);
        }
        Ok(())
    }

    /// Sends a request, and retries it if that is allowed.
    ///
    /// `extract` gets the caller's result from a successful response.
    pub async fn call<T: Send>(
        &self,
        request: &Request<'_>,
        limits: &CallLimits,
        extract: impl Fn(&Response<'_>, &HttpReply) -> Result<T> + Send + Sync,
    ) -> Result<T> {
        let mut value = None;
        let mut accept = |response: &Response<'_>, reply: &HttpReply| {
            value = Some(extract(response, reply)?);
            Ok(())
        };
        self.run(request, limits, &mut accept).await?;
        value.ok_or_else(|| Error::new(Status::Internal, "a call succeeded without a reply"))
    }

    /// Not generic: with each kind of call it would be in the library once more, which takes 0.3 MB.
    async fn run(&self, request: &Request<'_>, limits: &CallLimits, accept: &mut Accept<'_>) -> Result<()> {
        let mut call = Call {
            caller: self,
            request,
            limits,
            started: Instant::now(),
            attempts: 0,
            sent: 0,
            reuse: if request.repeatable { Reuse::Allowed } else { Reuse::Never },
            clock_corrected: false,
            credentials_replaced: false,
        };
        loop {
            call_control::check().map_err(|error| call.give_up(error))?;
            call.wait_for_rate().await.map_err(|error| call.give_up(error))?;
            let credentials = call.credentials().await.map_err(|error| call.give_up(error))?;
            let error = match OutOfLine(pin!(call.attempt(credentials.as_ref(), accept))).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if call.takes_fresh_connection(&error) {
                continue;
            }
            match call.correct(&error, credentials.as_ref()).await {
                Correction::Made => continue,
                Correction::Failed(cause) if cause.status() == Status::Canceled => return Err(call.give_up(cause)),
                Correction::Failed(cause) => return Err(call.give_up(not_renewed(error, &cause))),
                Correction::None => {}
            }
            match call.decide(&error) {
                Decision::Wait(wait) => call.pause(wait).await.map_err(|error| call.give_up(error))?,
                Decision::Stop => return Err(call.give_up(error)),
            }
        }
    }

    /// The network thread's owner.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    pub fn instance_id(&self) -> u64 {
        self.instance_id
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub fn stats(&self) -> Stats {
        self.counters.read(self.transport.connections())
    }

    pub fn log(&self, level: LogLevel, context: LogContext<'_>, message: std::fmt::Arguments<'_>) {
        if let Some(log) = &self.log {
            log.write_about(level, context, message);
        }
    }
}

/// Takes the caller's result from a successful response, or refuses it.
type Accept<'a> = dyn FnMut(&Response<'_>, &HttpReply) -> Result<()> + Send + 'a;

/// One call with all its attempts.
struct Call<'a> {
    caller: &'a ApiCaller,
    request: &'a Request<'a>,
    limits: &'a CallLimits,
    started: Instant,
    attempts: u32,
    /// How often the request was sent, also where that does not count as an attempt.
    sent: u32,
    /// A request that must not be sent twice never uses a connection that may be broken.
    reuse: Reuse,
    clock_corrected: bool,
    credentials_replaced: bool,
}

/// The result of correcting the cause of a refusal.
enum Correction {
    /// Send the request again at once.
    Made,
    /// There is nothing to correct.
    None,
    Failed(Error),
}

impl Call<'_> {
    async fn attempt(&mut self, credentials: Option<&Arc<Credentials>>, accept: &mut Accept<'_>) -> Result<()> {
        let timeout = self.limits.try_timeout().min(self.time_left());
        if timeout.is_zero() {
            return Err(Error::new(Status::TimedOut, "the timeout of the call has expired"));
        }
        self.attempts += 1;
        self.sent += 1;
        self.caller.counters.attempt(self.sent, self.request.body.len());
        let began = Instant::now();
        let outcome = match self.signed(credentials) {
            Ok(http) => self.caller.transport.send(http, self.reuse, timeout).await,
            Err(error) => Err(error),
        };
        let outcome = outcome.map_err(|error| self.with_timeout_named(error, timeout));
        let result = outcome.and_then(|reply| {
            self.caller.counters.reply(reply.body.len());
            let response = reply.response()?;
            // An error of `accept` concerns this reply, so it gets the reply's request id.
            accept(&response, &reply)
                .map_err(|error| error.with_http_status(200).with_request_id(response.request_id()))?;
            // Only now, because a reply that `accept` refuses is a failure, and an attempt has one log line.
            self.succeeded_attempt(&response, began.elapsed());
            Ok(())
        });
        if let (Some(credentials), true) = (credentials, accepted(&result)) {
            credentials.set_accepted();
        }
        result.inspect_err(|error| self.failed_attempt(error, began.elapsed()))
    }

    async fn credentials(&self) -> Result<Option<Arc<Credentials>>> {
        match &self.caller.auth {
            Auth::Signed(credentials) => credentials.current(self.time_left()).await.map(Some),
            Auth::Anonymous => Ok(None),
        }
    }

    /// The request as it is sent. Each attempt has its own timestamp, and so its own signature.
    fn signed(&self, credentials: Option<&Arc<Credentials>>) -> Result<Box<HttpRequest>> {
        let timestamp = self.caller.clock.now();
        let mut http = Box::new(HttpRequest::new(self.request.body.clone().into()));
        *http.method_mut() = Method::POST;
        *http.uri_mut() = self.caller.endpoint.uri().clone();
        let headers = http.headers_mut();
        headers.clone_from(&self.caller.fixed_headers);
        headers.insert(X_TC_ACTION, header_value(self.request.action.as_bytes())?);
        headers.insert(X_TC_TIMESTAMP, HeaderValue::from(timestamp));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(self.request.body.len()));
        let Some(credentials) = credentials else {
            headers.insert(AUTHORIZATION, SKIP_SIGNATURE);
            return Ok(http);
        };
        headers.insert(AUTHORIZATION, sensitive(self.authorization(credentials, timestamp).into())?);
        if let Some(token) = credentials.token() {
            headers.insert(X_TC_TOKEN, sensitive(Bytes::copy_from_slice(token.expose()))?);
        }
        Ok(http)
    }

    fn authorization(&self, credentials: &Credentials, timestamp: i64) -> String {
        let signable = Signable {
            method: "POST",
            query: "",
            headers: &[("content-type", CONTENT_TYPE_JSON), ("host", self.caller.endpoint.host_header())],
            payload_sha256: &hex_sha256(&self.request.body),
            timestamp,
            service: self.caller.product.name,
        };
        let key = credentials.signing_key(timestamp, signable.service);
        signable.authorization(credentials.secret_id(), &key)
    }

    async fn wait_for_rate(&self) -> Result<()> {
        let Some(limiter) = &self.caller.rate_limiter else { return Ok(()) };
        match limiter.reserve(self.time_left()) {
            Some(wait) => call_control::sleep(wait).await,
            None => {
                let message = "the client's rate limit does not allow the call within its timeout";
                Err(Error::new(Status::TimedOut, message))
            }
        }
    }

    fn time_left(&self) -> Duration {
        call_control::time_left(self.limits.total_timeout().saturating_sub(self.started.elapsed()))
    }

    /// After a connection that broke or brought no reply, the next attempts use new ones. Returns whether to
    /// retry at once: an attempt that cannot have been executed, because an idle connection was already
    /// broken, does not count.
    fn takes_fresh_connection(&mut self, error: &Error) -> bool {
        if !matches!(error.status(), Status::ConnectionLost | Status::TimedOut) {
            return false;
        }
        let was_stale = error.is_on_stale_connection() && self.reuse == Reuse::Allowed;
        self.reuse = Reuse::Never;
        self.attempts -= u32::from(was_stale);
        was_stale
    }

    fn with_timeout_named(&self, error: Error, timeout: Duration) -> Error {
        if error.status() != Status::TimedOut {
            return error;
        }
        let (of_try, in_all) = (self.limits.try_timeout(), self.limits.total_timeout());
        // This includes the timeout of a keyring, or the part of it for one of several keys.
        let of_outer = call_control::timeout_that_ends_before(self.started + in_all);
        let (name, length) = match of_outer {
            _ if timeout >= of_try => ("try timeout", of_try),
            Some(outer) if outer < in_all => ("time left for this request", outer),
            _ => ("total timeout", in_all),
        };
        error.with_addition(&format!(" ({name}: {} ms)", length.as_millis()))
    }

    /// Corrects the cause of a refusal, each cause once per call.
    async fn correct(&mut self, error: &Error, credentials: Option<&Arc<Credentials>>) -> Correction {
        match error.status() {
            Status::AuthSignatureExpired if !self.clock_corrected => {
                self.clock_corrected = true;
                self.correct_clock(error)
            }
            Status::AuthTokenFailure | Status::AuthSecretIdNotFound | Status::AuthSignatureFailure
                if !self.credentials_replaced =>
            {
                self.credentials_replaced = true;
                self.replace_credentials(credentials).await
            }
            _ => Correction::None,
        }
    }

    fn correct_clock(&self, error: &Error) -> Correction {
        let Some(service_time) = error.service_time() else { return Correction::None };
        let offset = self.caller.clock.correct(service_time);
        self.caller.log(
            LogLevel::Warn,
            LogContext { action: Some(self.request.action), ..LogContext::default() },
            format_args!(
                "the system's clock is {} s {} the service's; requests are signed with the service's time from now on, \
                 and the system's clock stays as it is",
                offset.unsigned_abs(),
                if offset > 0 { "behind" } else { "ahead of" },
            ),
        );
        Correction::Made
    }

    async fn replace_credentials(&self, refused: Option<&Arc<Credentials>>) -> Correction {
        let (Auth::Signed(credentials), Some(refused)) = (&self.caller.auth, refused) else { return Correction::None };
        match credentials.replace(refused, self.time_left()).await {
            Ok(true) => Correction::Made,
            Ok(false) => Correction::None,
            Err(cause) => Correction::Failed(cause),
        }
    }

    fn decide(&self, error: &Error) -> Decision {
        let policy = Policy {
            max_attempts: self.limits.max_attempts(),
            total_timeout: self.started.elapsed() + self.time_left(),
            repeatable: self.request.repeatable,
        };
        match policy.decide(self.attempts, error, self.started.elapsed(), random::fraction()) {
            Decision::Wait(_) if !call_control::take_retry() => Decision::Stop,
            decision => decision,
        }
    }

    async fn pause(&self, wait: Duration) -> Result<()> {
        self.caller.log(
            LogLevel::Debug,
            LogContext {
                action: Some(self.request.action),
                attempt: Some(self.attempts + 1),
                elapsed: Some(wait),
                ..LogContext::default()
            },
            format_args!(
                "action={} waits {} ms before attempt {}",
                self.request.action,
                wait.as_millis(),
                self.attempts + 1
            ),
        );
        call_control::sleep(wait).await
    }

    fn give_up(&self, error: Error) -> Error {
        let error = error.with_attempts(self.attempts);
        let elapsed = self.started.elapsed();
        self.caller.log(
            LogLevel::Error,
            self.log_context(Some(error.status()), elapsed, error.request_id()),
            format_args!(
                "{} failed after {} attempts and {} ms: {error}",
                self.request.action,
                self.attempts,
                elapsed.as_millis()
            ),
        );
        error
    }

    fn log_context<'a>(&'a self, status: Option<Status>, took: Duration, id: Option<&'a str>) -> LogContext<'a> {
        LogContext {
            action: Some(self.request.action),
            status,
            attempt: Some(self.attempts),
            elapsed: Some(took),
            request_id: id,
        }
    }

    fn succeeded_attempt(&self, response: &Response<'_>, took: Duration) {
        let request_id = response.request_id();
        self.record_request(request_id, response.key_id().ok());
        self.caller.log(
            LogLevel::Info,
            self.log_context(Some(Status::Ok), took, request_id),
            format_args!(
                "action={} endpoint={} attempt={} status=TCKMS_OK http=200 code=- request_id={} ms={}",
                self.request.action,
                self.caller.endpoint.host_header(),
                self.attempts,
                request_id.unwrap_or("-"),
                took.as_millis(),
            ),
        );
    }

    /// Not for STS: the program called KMS.
    fn record_request(&self, request_id: Option<&str>, key_id: Option<&str>) {
        if self.caller.product.name == KMS.name {
            last_request::record(request_id, key_id);
        }
    }

    fn failed_attempt(&self, error: &Error, took: Duration) {
        self.record_request(error.request_id(), None);
        self.caller.counters.failed_attempt(error);
        self.caller.log(
            LogLevel::Warn,
            self.log_context(Some(error.status()), took, error.request_id()),
            format_args!(
                "action={} endpoint={} attempt={} status={} http={} code={} request_id={} ms={}",
                self.request.action,
                self.caller.endpoint.host_header(),
                self.attempts,
                error.status().name().to_string_lossy(),
                error.http_status().map_or("-".to_owned(), |status| status.to_string()),
                error.service_code().unwrap_or("-"),
                error.request_id().unwrap_or("-"),
                took.as_millis(),
            ),
        );
    }
}

/// The headers that are the same in every request.
fn fixed_headers(product: &Product, endpoint: &Endpoint, region: &str) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(12);
    // Placeholders, which each attempt fills: the map then does not have to grow.
    for header in [AUTHORIZATION, CONTENT_LENGTH, X_TC_ACTION, X_TC_TIMESTAMP] {
        headers.insert(header, HeaderValue::from_static(""));
    }
    headers.insert(HOST, header_value(endpoint.host_header().as_bytes())?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_JSON));
    for (header, value) in [
        ("accept-encoding", "identity"),
        ("x-tc-version", product.version),
        ("x-tc-region", region),
        ("x-tc-language", "en-US"),
        ("x-tc-requestclient", LIBRARY_NAME),
    ] {
        headers.insert(HeaderName::from_static(header), header_value(value.as_bytes())?);
    }
    Ok(headers)
}

/// Whether the service accepted the credentials, even if it refused the request.
fn accepted<T>(result: &Result<T>) -> bool {
    match result {
        Ok(_) => true,
        Err(error) => error.service_code().is_some() && error.status().category() == Category::Request,
    }
}

/// A refusal of credentials, with the reason why no others are available.
fn not_renewed(refusal: Error, cause: &Error) -> Error {
    let retryable = cause.is_retryable();
    refusal.with_reason(format_args!("and other credentials are not available: {cause}")).with_retryable(retryable)
}

/// Marked, so that no debug output of the HTTP stack shows the value.
fn sensitive(value: Bytes) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(value).map_err(|_| not_a_header())?;
    value.set_sensitive(true);
    Ok(value)
}

fn header_value(value: &[u8]) -> Result<HeaderValue> {
    HeaderValue::from_bytes(value).map_err(|_| not_a_header())
}

fn not_a_header() -> Error {
    Error::new(Status::InvalidHeaderText, "a value cannot be sent in a header")
}
