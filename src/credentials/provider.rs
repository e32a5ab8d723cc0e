//! What a place that credentials come from has to offer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Credentials;
use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::clock;

/// Credentials with the time for which they are good.
pub(crate) struct ExpiringCredentials {
    pub credentials: Arc<Credentials>,
    /// Counted from now; `None` if they do not expire.
    pub lifetime: Option<Duration>,
}

/// The first second of the year 10000. What is later was not counted in seconds.
const EXPIRY_MAX: i64 = 253_402_300_800;

impl ExpiringCredentials {
    /// Credentials that expire at a time in seconds since the Unix epoch, by the clock of whoever named it; `now` is the time
    /// on that clock if it is known.
    pub fn until(credentials: Credentials, expires_at: i64, now: Option<SystemTime>) -> Self {
        Self { credentials: Arc::new(credentials), lifetime: Some(clock::time_until(expires_at, now)) }
    }

    /// These, unless they came too late, which is as good as none.
    pub fn unexpired(self) -> Result<Self> {
        if self.lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
            let message = "the credentials that came were expired already";
            return Err(Error::new(Status::CredentialsExpired, message).with_retryable(true));
        }
        Ok(self)
    }
}

/// Refuses an expiry that a user gave in another unit than seconds.
pub(crate) fn check_expiry(expires_at_seconds: i64) -> Result<()> {
    if expires_at_seconds < EXPIRY_MAX {
        return Ok(());
    }
    let message =
        format!("the expiry {expires_at_seconds} is beyond the year 9999; it is counted in seconds since 1970");
    Err(Error::new(Status::OutOfRange, message))
}

impl From<Credentials> for ExpiringCredentials {
    fn from(credentials: Credentials) -> Self {
        Self { credentials: Arc::new(credentials), lifetime: None }
    }
}

/// A place that credentials come from.
pub(crate) trait Provider: Send + Sync {
    /// What an error calls it.
    fn name(&self) -> &'static str;

    /// What can be had from this machine's files and memory alone, when the client is made: afterwards the process may
    /// change its root directory. `None` when the answer takes the network.
    fn preload(&self) -> Option<Result<ExpiringCredentials>> {
        None
    }

    /// Whether fetching again could give other credentials.
    fn can_renew(&self) -> bool {
        true
    }

    /// Whether fetching takes nothing but files of this machine, so that it may be done as often as one likes.
    fn is_local(&self) -> bool {
        false
    }

    /// Gets credentials, within about `timeout`.
    fn fetch(&self, timeout: Duration) -> Result<ExpiringCredentials>;
}
