//! Credentials from the program itself.

use std::sync::Arc;
use std::time::Duration;

use crate::credentials::{Credentials, ExpiringCredentials, Provider};
use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::clock;

/// What a callback supplies.
pub struct SuppliedCredentials {
    /// The identity.
    pub credentials: Credentials,
    /// When it expires, in seconds since the Unix epoch; `None` for never.
    pub expires_at: Option<i64>,
}

/// A function that supplies credentials whenever new ones are due, or `None` when it has none now.
pub type CredentialsCallback = dyn Fn() -> Option<SuppliedCredentials> + Send + Sync;

pub(super) struct Callback(pub Arc<CredentialsCallback>);

impl Provider for Callback {
    fn name(&self) -> &'static str {
        "callback"
    }

    fn fetch(&self, _: Duration) -> Result<ExpiringCredentials> {
        let supplied = (self.0)().ok_or_else(|| {
            let message = "the credentials callback supplied none";
            Error::new(Status::CredentialsCallbackFailed, message).with_retryable(true)
        })?;
        let lifetime = supplied.expires_at.map(|expires_at| clock::time_until(expires_at, None));
        Ok(ExpiringCredentials { credentials: Arc::new(supplied.credentials), lifetime })
    }
}
