//! Credentials from a callback of the program.

use std::sync::Arc;
use std::time::Duration;

use crate::credentials::{Credentials, ExpiringCredentials, Provider, check_expiry};
use crate::error::{Error, Result};
use crate::status::Status;

/// The result of a credentials callback.
pub struct SuppliedCredentials(ExpiringCredentials);

impl SuppliedCredentials {
    /// Credentials that expire at a time in seconds since the Unix epoch, which is before the year 10000; `None` for never.
    pub fn new(credentials: Credentials, expires_at_seconds: Option<i64>) -> Result<Self> {
        let Some(seconds) = expires_at_seconds else { return Ok(Self(credentials.into())) };
        check_expiry(seconds)?;
        Ok(Self(ExpiringCredentials::until(credentials, seconds, None)))
    }
}

/// A function that supplies credentials whenever new ones are due. The status of a failure becomes that of the call.
pub type CredentialsCallback = dyn Fn() -> std::result::Result<SuppliedCredentials, Status> + Send + Sync;

pub(super) struct Callback(pub Arc<CredentialsCallback>);

impl Provider for Callback {
    fn name(&self) -> &'static str {
        "callback"
    }

    fn fetch(&self, _: Duration) -> Result<ExpiringCredentials> {
        (self.0)().map(|supplied| supplied.0).map_err(failed)
    }
}

fn failed(status: Status) -> Error {
    let message = match status {
        Status::CredentialsCallbackFailed => "the credentials callback supplied no credentials".to_owned(),
        _ => format!("the credentials callback failed: {}", status.message().to_string_lossy()),
    };
    Error::new(status, message)
}
