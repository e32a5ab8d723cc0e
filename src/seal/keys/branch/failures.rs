//! Failures in a row, and the back-off after them.

use std::time::Duration;

use crate::error::Error;
use crate::seal::format::branch_wrap::BranchForm;
use crate::sys::clock::Moment;
use crate::sys::random;

/// The back-off after a failure of the store: first and maximal.
pub(super) const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(20);
/// The maximal one if sealing fails meanwhile.
const BACKOFF_BY_REFERENCE: Duration = Duration::from_secs(2);
/// The back-off after a failed request to the service. Calls wait for its end.
const SERVICE_BACKOFF_FIRST: Duration = Duration::from_millis(500);
const SERVICE_BACKOFF_MAX: Duration = Duration::from_secs(4);
/// The same if a retry does not correct the failure.
const REFUSAL_BACKOFF_FIRST: Duration = Duration::from_secs(1);
const REFUSAL_BACKOFF_MAX: Duration = Duration::from_secs(10);

/// What failed. A store has a shorter back-off if messages need its records.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    Service,
    Store(BranchForm),
}

/// The failures since the last success.
#[derive(Default)]
pub(super) struct Failures {
    count: u32,
    /// The end of the back-off.
    next_try: Option<Moment>,
    /// The last one.
    pub error: Option<Error>,
    /// Whether it was one of the service, not of the store.
    is_of_service: bool,
}

impl Failures {
    pub fn add(&mut self, error: Error, cause: Cause) {
        let (first, most) = match cause {
            Cause::Service if error.is_retryable() => (SERVICE_BACKOFF_FIRST, SERVICE_BACKOFF_MAX),
            Cause::Service => (REFUSAL_BACKOFF_FIRST, REFUSAL_BACKOFF_MAX),
            Cause::Store(BranchForm::ByReference) => (BACKOFF_FIRST, BACKOFF_BY_REFERENCE),
            Cause::Store(BranchForm::Embedded) => (BACKOFF_FIRST, BACKOFF_MAX),
        };
        let backoff = first.saturating_mul(1 << self.count.min(6)).min(most);
        self.count = self.count.saturating_add(1);
        self.next_try = Some(Moment::now() + backoff.mul_f64(0.5 + random::fraction() / 2.0));
        (self.error, self.is_of_service) = (Some(error), matches!(cause, Cause::Service));
    }

    pub fn is_backing_off(&self, now: Moment) -> bool {
        self.next_try.is_some_and(|moment| now < moment)
    }

    pub fn is_of_service(&self) -> bool {
        self.is_of_service
    }

    pub fn are_of_store(&self) -> bool {
        self.error.is_some() && !self.is_of_service
    }
}
