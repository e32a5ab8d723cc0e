//! The timeouts and the number of attempts of a call.

use std::time::Duration;

const DEFAULT_TRY_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_MAX_ATTEMPTS: u32 = 4;

/// The part of a configuration that applies to each call, and that a derived client may change.
#[derive(Clone, Default)]
pub(crate) struct CallLimits {
    pub try_timeout: Option<Duration>,
    pub total_timeout: Option<Duration>,
    pub max_attempts: Option<u32>,
    pub retry_unsafe: Option<bool>,
}

impl CallLimits {
    pub fn try_timeout(&self) -> Duration {
        self.try_timeout.unwrap_or(DEFAULT_TRY_TIMEOUT)
    }

    pub fn total_timeout(&self) -> Duration {
        self.total_timeout.unwrap_or(DEFAULT_TOTAL_TIMEOUT)
    }

    pub fn max_attempts(&self) -> u32 {
        self.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS)
    }

    /// The values of this configuration, or where they are not set, those of `base`.
    pub fn over(&self, base: &Self) -> Self {
        Self {
            try_timeout: self.try_timeout.or(base.try_timeout),
            total_timeout: self.total_timeout.or(base.total_timeout),
            max_attempts: self.max_attempts.or(base.max_attempts),
            retry_unsafe: self.retry_unsafe.or(base.retry_unsafe),
        }
    }
}
