//! The service as a client reaches it: every attempt of every call goes through here.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::blocking::Request as HttpRequest;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};

use crate::clock::Clock;
use crate::config::{CallLimits, Config, DEFAULT_CONNECT_TIMEOUT};
use crate::credentials::Credentials;
use crate::endpoint::{DEFAULT_ENDPOINT, Endpoint};
use crate::error::{Error, Result};
use crate::log::{Log, LogLevel};
use crate::rate::RateLimiter;
use crate::reply::{HttpReply, Response};
use crate::request::Request;
use crate::retry::{Decision, Policy};
use crate::sign::{Signable, hex_sha256};
use crate::stats::{Counters, Stats};
use crate::status::Status;
use crate::transport::{Settings, Transport};
use crate::trust::{self, CaBundle};

const SERVICE: &str = "kms";
const VERSION: &str = "2019-01-18";
/// Signed and sent as it stands here; the service compares the two.
const CONTENT_TYPE_JSON: &str = "application/json";

/// What a client and those derived from it have in common.
pub(crate) struct Service {
    endpoint: Endpoint,
    credentials: Arc<Credentials>,
    fixed_headers: HeaderMap,
    rate_limiter: Option<Arc<RateLimiter>>,
    log: Option<Arc<Log>>,
    clock: Clock,
    counters: Counters,
    transport: Transport,
}

impl Service {
    pub fn new(config: &Config) -> Result<Self> {
        let endpoint = config.endpoint.clone().map_or_else(|| Endpoint::parse(DEFAULT_ENDPOINT), Ok)?;
        if !endpoint.is_protected() && !config.plaintext_http_allowed {
            let message = "plain http is allowed to localhost, 127.0.0.0/8 and [::1] only; use https";
            return Err(Error::new(Status::InsecureEndpoint, message));
        }
        let credentials = config.credentials.clone().ok_or_else(|| {
            Error::new(Status::NoCredentials, "the configuration has no credentials; set a secret id and a secret key")
        })?;
        Ok(Self {
            credentials,
            fixed_headers: fixed_headers(config, &endpoint)?,
            rate_limiter: config.rate_limiter.clone(),
            log: config.log.clone(),
            clock: Clock::default(),
            counters: Counters::default(),
            transport: Transport::new(transport_settings(config, &endpoint)?),
            endpoint,
        })
    }

    /// Sends a request until it succeeds, fails for good, or may not be tried any more.
    ///
    /// `extract` takes what the caller needs out of a successful response.
    pub fn call<T>(
        &self,
        request: &Request<'_>,
        limits: &CallLimits,
        extract: impl Fn(&Response<'_>, &HttpReply) -> Result<T>,
    ) -> Result<T> {
        let mut call =
            Call { service: self, request, limits, started: Instant::now(), attempts: 0, clock_corrected: false };
        loop {
            let error = match call.attempt(&extract) {
                Ok(value) => return Ok(value),
                Err(error) => call.complete(error),
            };
            if call.correct_clock(&error) {
                continue;
            }
            match call.decide(&error) {
                Decision::Wait(wait) => call.pause(wait),
                Decision::Stop => return Err(call.give_up(error)),
            }
        }
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub fn stats(&self) -> Stats {
        self.counters.read(self.transport.connections_opened())
    }

    fn log(&self, level: LogLevel, message: std::fmt::Arguments<'_>) {
        if let Some(log) = &self.log {
            log.write(level, message);
        }
    }
}

/// One call with all its attempts.
struct Call<'a> {
    service: &'a Service,
    request: &'a Request<'a>,
    limits: &'a CallLimits,
    started: Instant,
    attempts: u32,
    clock_corrected: bool,
}

impl Call<'_> {
    fn attempt<T>(&mut self, extract: impl Fn(&Response<'_>, &HttpReply) -> Result<T>) -> Result<T> {
        self.wait_for_rate()?;
        let timeout = self.limits.try_timeout().min(self.time_left());
        if timeout.is_zero() {
            return Err(Error::new(Status::TimedOut, "the time allowed for the call is over").with_retryable(true));
        }
        self.attempts += 1;
        self.service.counters.attempt(self.attempts, self.request.body.len());
        let began = Instant::now();
        let outcome = self.signed().and_then(|http| self.service.transport.send(http, timeout));
        let result = outcome.and_then(|reply| {
            self.service.counters.reply(reply.body.len());
            let response = reply.response()?;
            self.succeeded_attempt(&response, began.elapsed());
            extract(&response, &reply)
        });
        result.inspect_err(|error| self.failed_attempt(error, began.elapsed()))
    }

    /// The request with a signature of its own: every attempt has the time at which it is sent.
    fn signed(&self) -> Result<HttpRequest> {
        let Service { endpoint, credentials, clock, .. } = self.service;
        let timestamp = clock.now();
        let authorization = Signable {
            method: "POST",
            query: "",
            headers: &[("content-type", CONTENT_TYPE_JSON), ("host", endpoint.host_header())],
            payload_sha256: &hex_sha256(&self.request.body),
            timestamp,
            service: SERVICE,
        }
        .authorization(credentials.secret_id(), credentials.secret_key().expose());

        let mut http = HttpRequest::new(Method::POST, endpoint.url().clone());
        let headers = http.headers_mut();
        headers.clone_from(&self.service.fixed_headers);
        headers.insert(AUTHORIZATION, sensitive(authorization.as_bytes())?);
        headers.insert("x-tc-action", header_value(self.request.action.as_bytes())?);
        headers.insert("x-tc-timestamp", HeaderValue::from(timestamp));
        if let Some(token) = credentials.token() {
            headers.insert("x-tc-token", sensitive(token.expose())?);
        }
        *http.body_mut() = Some(self.request.body.clone().into());
        Ok(http)
    }

    fn wait_for_rate(&self) -> Result<()> {
        let Some(limiter) = &self.service.rate_limiter else { return Ok(()) };
        match limiter.reserve(self.time_left()) {
            Some(wait) => {
                thread::sleep(wait);
                Ok(())
            }
            None => {
                let message = "the client's own rate limit leaves no room within the time allowed for the call";
                Err(Error::new(Status::TimedOut, message).with_retryable(true))
            }
        }
    }

    fn time_left(&self) -> Duration {
        self.limits.total_timeout().saturating_sub(self.started.elapsed())
    }

    fn complete(&self, error: Error) -> Error {
        let error = error.with_attempts(self.attempts);
        match self.request.key_id {
            Some(key_id) if error.key_id().is_none() => error.with_key_id(key_id),
            _ => error,
        }
    }

    /// After `AuthFailure.SignatureExpire`, once: takes the time of the reply's `Date` and says whether it could.
    fn correct_clock(&mut self, error: &Error) -> bool {
        if error.status() != Status::SignatureExpired || self.clock_corrected {
            return false;
        }
        let Some(service_time) = error.service_time() else { return false };
        self.clock_corrected = true;
        self.service.clock.correct(service_time);
        self.service.log(LogLevel::Warn, format_args!("the clock differs from the service's and is corrected"));
        true
    }

    fn decide(&self, error: &Error) -> Decision {
        let policy = Policy {
            max_attempts: self.limits.max_attempts(),
            total_timeout: self.limits.total_timeout(),
            repeatable: self.request.repeatable,
        };
        policy.decide(self.attempts, error, self.started.elapsed(), random_fraction())
    }

    fn pause(&self, wait: Duration) {
        self.service.log(
            LogLevel::Debug,
            format_args!(
                "action={} waits {} ms before attempt {}",
                self.request.action,
                wait.as_millis(),
                self.attempts + 1
            ),
        );
        thread::sleep(wait);
    }

    fn give_up(&self, error: Error) -> Error {
        let elapsed = self.started.elapsed().as_millis();
        self.service.log(
            LogLevel::Error,
            format_args!("{} failed after {} attempts and {elapsed} ms: {error}", self.request.action, self.attempts),
        );
        error
    }

    fn succeeded_attempt(&self, response: &Response<'_>, took: Duration) {
        self.service.log(
            LogLevel::Info,
            format_args!(
                "action={} endpoint={} attempt={} status=TCKMS_OK http=200 code=- request_id={} ms={}",
                self.request.action,
                self.service.endpoint.host_header(),
                self.attempts,
                response.request_id().unwrap_or("-"),
                took.as_millis(),
            ),
        );
    }

    fn failed_attempt(&self, error: &Error, took: Duration) {
        self.service.counters.failed_attempt(error);
        self.service.log(
            LogLevel::Warn,
            format_args!(
                "action={} endpoint={} attempt={} status={} http={} code={} request_id={} ms={}",
                self.request.action,
                self.service.endpoint.host_header(),
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
fn fixed_headers(config: &Config, endpoint: &Endpoint) -> Result<HeaderMap> {
    let region = config.region.as_deref().ok_or_else(|| {
        Error::new(Status::InvalidRegion, "the configuration has no region; set one like \"ap-guangzhou\"")
    })?;
    let name = concat!("TCKMS_", env!("CARGO_PKG_VERSION"));
    let request_client =
        config.user_agent_suffix.as_ref().map_or(name.to_owned(), |suffix| format!("{name}; {suffix}"));
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(HOST, header_value(endpoint.host_header().as_bytes())?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_JSON));
    for (header, value) in [
        ("x-tc-version", VERSION),
        ("x-tc-region", region),
        ("x-tc-language", config.language.as_deref().unwrap_or("en-US")),
        ("x-tc-requestclient", &request_client),
    ] {
        headers.insert(HeaderName::from_static(header), header_value(value.as_bytes())?);
    }
    Ok(headers)
}

fn transport_settings(config: &Config, endpoint: &Endpoint) -> Result<Settings> {
    let ca_bundle = config.ca_bundle.clone().unwrap_or(CaBundle::System);
    let needs_trust = endpoint.is_tls() || config.proxy.as_ref().is_some_and(|proxy| proxy.scheme() == "https");
    Ok(Settings {
        tls: if needs_trust { trust::tls_config(&ca_bundle)? } else { trust::tls_config_without_trust()? },
        proxy: config.proxy.clone(),
        connect_timeout: config.connect_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT),
    })
}

/// Marked, so that no debug output of the HTTP stack shows the value.
fn sensitive(value: &[u8]) -> Result<HeaderValue> {
    let mut value = header_value(value)?;
    value.set_sensitive(true);
    Ok(value)
}

fn header_value(value: &[u8]) -> Result<HeaderValue> {
    HeaderValue::from_bytes(value)
        .map_err(|_| Error::new(Status::InvalidHeaderText, "a value cannot be sent in a header"))
}

/// Chance for the jitter, from the operating system's generator: a forked child must not repeat its parent's.
fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}
