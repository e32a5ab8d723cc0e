//! The interface of providers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Credentials;
use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::clock;

/// Credentials and their lifetime.
pub(crate) struct ExpiringCredentials {
    pub credentials: Arc<Credentials>,
    /// From now on; `None` if they do not expire.
    pub lifetime: Option<Duration>,
}

/// The first second of the year 10000. A later time is probably not in seconds.
const EXPIRY_MAX: i64 = 253_402_300_800;

impl ExpiringCredentials {
    /// Credentials that expire at a time in seconds since the Unix epoch, by the clock of their issuer; `now` is the time on that
    /// clock if it is known.
    pub fn until(credentials: Credentials, expires_at: i64, now: Option<SystemTime>) -> Self {
        Self { credentials: Arc::new(credentials), lifetime: Some(clock::time_until(expires_at, now)) }
    }

    /// These credentials, unless they have expired.
    pub fn unexpired(self) -> Result<Self> {
        if self.lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
            let message = "the provider returned expired credentials";
            return Err(Error::new(Status::CredentialsExpired, message).with_retryable(true));
        }
        Ok(self)
    }
}

/// Refuses an expiry that is probably not in seconds.
pub(crate) fn check_expiry(expires_at_seconds: i64) -> Result<()> {
    if expires_at_seconds < EXPIRY_MAX {
        return Ok(());
    }
    let message = format!("the expiry {expires_at_seconds} is after the year 9999; pass seconds since 1970");
    Err(Error::new(Status::OutOfRange, message))
}

impl From<Credentials> for ExpiringCredentials {
    fn from(credentials: Credentials) -> Self {
        Self { credentials: Arc::new(credentials), lifetime: None }
    }
}

/// A source of credentials.
pub(crate) trait Provider: Send + Sync {
    /// Its name in errors.
    fn name(&self) -> &'static str;

    /// Credentials from files and memory of this machine, fetched when the client is made: afterwards the process may
    /// change its root directory. `None` if that needs the network.
    fn preload(&self) -> Option<Result<ExpiringCredentials>> {
        None
    }

    /// Whether another fetch may return other credentials.
    fn can_renew(&self) -> bool {
        true
    }

    /// Whether a fetch only reads local files, so no back-off is needed.
    fn is_local(&self) -> bool {
        false
    }

    /// Gets credentials, within about `timeout`.
    fn fetch(&self, timeout: Duration) -> Result<ExpiringCredentials>;
}
