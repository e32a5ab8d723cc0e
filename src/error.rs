//! The error of a failed call.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::sanitize::sanitized;
use crate::status::{Category, Status};
use crate::sys::random::RandomUnavailable;
use crate::sys::{crypto_memory, memory_reserve};

/// The result of a function that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// The detail of a failure: a status to act on, a message to read, and the service's error.
///
/// No field ever contains a secret, a plaintext, complete credentials, or a character that a terminal interprets.
#[derive(Clone)]
pub struct Error(Box<Detail>);

#[derive(Clone)]
struct Detail {
    status: Status,
    message: String,
    service_code: Option<String>,
    request_id: Option<String>,
    key_id: Option<String>,
    action: Option<String>,
    http_status: Option<u16>,
    retryable: bool,
    may_have_been_executed: bool,
    is_on_stale_connection: bool,
    retry_after: Option<Duration>,
    attempts: u32,
    os_errno: Option<i32>,
    service_time: Option<SystemTime>,
}

impl Error {
    /// Errors are rare and made in hundreds of places, so nothing of this is compiled into their makers.
    #[cold]
    #[inline(never)]
    pub(crate) fn new(status: Status, message: impl Into<String>) -> Self {
        Self::from_text(status, &message.into())
    }

    #[inline(never)]
    fn from_text(status: Status, message: &str) -> Self {
        Self(Box::new(Detail {
            status,
            message: safe(message),
            service_code: None,
            request_id: None,
            key_id: None,
            action: None,
            http_status: None,
            retryable: status.is_retryable(),
            may_have_been_executed: false,
            is_on_stale_connection: false,
            retry_after: None,
            attempts: 0,
            os_errno: None,
            service_time: None,
        }))
    }

    /// Refuses a call while the memory reserve for running calls is low.
    pub(crate) fn check_memory() -> Result<()> {
        if memory_reserve::is_low() || !crypto_memory::prepare_thread() {
            return Err(Self::new(Status::OutOfMemory, "the system has no more memory for the process"));
        }
        Ok(())
    }

    /// The status, as a number to act on.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// What failed and why, with every cause, for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The service's error code, such as `ResourceUnavailable.CmkDisabled`.
    pub fn service_code(&self) -> Option<&str> {
        self.0.service_code.as_deref()
    }

    /// The service's id of the request, for a support ticket.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The key id that the call named or, for [`Status::KeyMismatch`], that the reply named.
    pub fn key_id(&self) -> Option<&str> {
        self.0.key_id.as_deref()
    }

    /// The KMS action, such as `Encrypt`.
    pub fn action(&self) -> Option<&str> {
        self.0.action.as_deref()
    }

    /// The HTTP status of the reply, when there was a reply.
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// Whether the same call may succeed later without any change.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Whether the failure does not concern the key or the message, but the service, the network or the
    /// credentials.
    pub(crate) fn is_outage(&self) -> bool {
        let category = self.status().category();
        self.is_retryable() || matches!(category, Category::Transport | Category::Unavailable | Category::Credentials)
    }

    /// Whether the service may have executed the request although there is no reply that says so.
    pub(crate) fn may_have_been_executed(&self) -> bool {
        self.0.may_have_been_executed
    }

    /// Whether a reused connection broke before the service received any part of the request.
    pub(crate) fn is_on_stale_connection(&self) -> bool {
        self.0.is_on_stale_connection
    }

    /// The wait that the service requested.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The number of attempts to send the request.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The operating system's error number, when the cause has one.
    pub fn os_errno(&self) -> Option<i32> {
        self.0.os_errno
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn with_service(mut self, code: &str, request_id: Option<&str>) -> Self {
        self.0.service_code = Some(safe(code));
        self.0.request_id = request_id.map(safe);
        self
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn with_request_id(mut self, request_id: Option<&str>) -> Self {
        self.0.request_id = request_id.map(safe);
        self
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn with_key_id(mut self, key_id: &str) -> Self {
        self.0.key_id = Some(safe(key_id));
        self
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn with_http_status(mut self, http_status: u16) -> Self {
        self.0.http_status = Some(http_status);
        self
    }

    /// For failures whose cause decides, such as those of a chain or a callback. By default the status decides.
    pub(crate) fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    pub(crate) fn possibly_carried_out(mut self) -> Self {
        self.0.may_have_been_executed = true;
        self
    }

    pub(crate) fn on_stale_connection(mut self) -> Self {
        self.0.is_on_stale_connection = true;
        self
    }

    pub(crate) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    pub(crate) fn with_os_errno(mut self, os_errno: Option<i32>) -> Self {
        self.0.os_errno = os_errno;
        self
    }

    /// The service's time when it refused, if the reply had one.
    pub fn service_time(&self) -> Option<SystemTime> {
        self.0.service_time
    }

    pub(crate) fn with_service_time(mut self, service_time: Option<SystemTime>) -> Self {
        self.0.service_time = service_time;
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Adds detail to the message that is not known where the error is created.
    #[cold]
    #[inline(never)]
    pub(crate) fn with_addition(mut self, addition: &str) -> Self {
        self.0.message.push_str(addition);
        self
    }

    /// Prefixes the message with the name of the step.
    pub(crate) fn in_step(mut self, step: &str) -> Self {
        self.0.message = format!("{}: {}", sanitized(step), self.0.message);
        self
    }

    /// Adds another failure to the message.
    #[cold]
    #[inline(never)]
    pub(crate) fn with_reason(mut self, reason: fmt::Arguments<'_>) -> Self {
        self.0.message = format!("{}; {reason}", self.0.message);
        self
    }

    /// Prefixes the message with the action, once: the first action is the one that failed.
    pub(crate) fn in_action(mut self, action: &str) -> Self {
        if self.0.action.is_none()
            && let Some(action) = shown_action(action)
        {
            self.0.message = format!("{action}: {}", self.0.message);
            self.0.action = Some(action);
        }
        self
    }
}

/// The action, if it is a valid name; otherwise only the prefix that looks like a name: the text may be the
/// request, with a plaintext in it.
fn shown_action(action: &str) -> Option<String> {
    const CHARACTERS_MAX: usize = 32;
    let is_name = action.len() <= 64 && action.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_name {
        return Some(action.to_owned()).filter(|name| !name.is_empty());
    }
    let looks_like_a_name = |character: &char| character.is_ascii_alphanumeric() || "-_".contains(*character);
    let beginning: String = action.chars().take(CHARACTERS_MAX).take_while(looks_like_a_name).collect();
    Some(beginning).filter(|beginning| !beginning.is_empty())
}

impl From<RandomUnavailable> for Error {
    fn from(RandomUnavailable(error): RandomUnavailable) -> Self {
        let message = format!("the operating system gave no random numbers: {error}");
        Self::new(Status::Internal, message).with_os_errno(error.raw_os_error())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.0.status.name().to_string_lossy(), self.0.message)
    }
}

impl std::error::Error for Error {}

/// Makes text of an error safe for a terminal.
fn safe(text: &str) -> String {
    sanitized(text).into_owned()
}

/// An error's text with the texts of all its causes, without repetition.
pub(crate) fn cause_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The first cause of type `T`. rustls errors travel inside `std::io::Error`, whose `source` skips what it wraps.
pub(crate) fn find_cause<'a, T: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|wrapped| find_cause::<T>(wrapped)) {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
