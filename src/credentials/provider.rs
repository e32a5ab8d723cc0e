//! What a place that credentials come from has to offer.

use std::sync::Arc;
use std::time::Duration;

use super::Credentials;
use crate::error::{Error, Result};
use crate::status::Status;

/// Credentials with the time for which they are good.
pub(crate) struct ExpiringCredentials {
    pub credentials: Arc<Credentials>,
    /// Counted from now; `None` for ever.
    pub lifetime: Option<Duration>,
}

impl ExpiringCredentials {
    /// These, unless they came too late, which is as good as none.
    pub fn unexpired(self) -> Result<Self> {
        if self.lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
            let message = "the credentials that came were expired already";
            return Err(Error::new(Status::CredentialsExpired, message).with_retryable(true));
        }
        Ok(self)
    }
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
