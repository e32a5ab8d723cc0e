//! When to retry: a pure function of the attempt, its error, the elapsed time and a random number.

use std::time::Duration;

use crate::error::Error;

/// The ceiling of the first wait; it doubles with every attempt. KMS itself advises `2^n x 100 ms`
/// (cloud.tencent.com/document/product/573/50894).
const FIRST_CEILING: Duration = Duration::from_millis(100);
/// No wait is longer than this unless the service asks for it.
const LAST_CEILING: Duration = Duration::from_secs(5);

/// The limits within which a call may retry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// How often a request may be sent, the first time included.
    pub max_attempts: u32,
    /// How long the call may take in all.
    pub total_timeout: Duration,
    /// Whether a request that may have been carried out may be sent again.
    pub repeatable: bool,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Wait(Duration),
    Stop,
}

impl Policy {
    /// Decides after attempt number `attempt` (from 1) failed with `error`, `elapsed` after the call began.
    ///
    /// `random` is in `[0, 1)`: the wait is uniformly distributed between 0 and the ceiling ("full jitter"), so that
    /// clients which failed together do not retry together. A `Retry-After` of the service is a lower bound.
    pub fn decide(&self, attempt: u32, error: &Error, elapsed: Duration, random: f64) -> Decision {
        let safe = self.repeatable || !error.may_have_been_executed();
        if !error.is_retryable() || !safe || attempt >= self.max_attempts {
            return Decision::Stop;
        }
        let wait = ceiling(attempt).mul_f64(random).max(error.retry_after().unwrap_or_default());
        if elapsed.saturating_add(wait) < self.total_timeout { Decision::Wait(wait) } else { Decision::Stop }
    }
}

fn ceiling(attempt: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
    FIRST_CEILING.saturating_mul(doubled).min(LAST_CEILING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    const POLICY: Policy = Policy { max_attempts: 4, total_timeout: Duration::from_secs(30), repeatable: true };

    fn throttled() -> Error {
        Error::new(Status::RequestLimitExceeded, "throttled")
    }

    fn millis(decision: Decision) -> u128 {
        match decision {
            Decision::Wait(wait) => wait.as_millis(),
            Decision::Stop => panic!("stopped"),
        }
    }

    #[test]
    fn the_ceiling_doubles_from_100_ms_and_is_capped() {
        let policy = Policy { max_attempts: 100, total_timeout: Duration::from_secs(3600), ..POLICY };
        let waits: Vec<_> =
            (1..10).map(|attempt| millis(policy.decide(attempt, &throttled(), Duration::ZERO, 0.5))).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 2500, 2500, 2500]);
        assert_eq!(millis(policy.decide(99, &throttled(), Duration::ZERO, 0.5)), 2500);
    }

    #[test]
    fn the_wait_is_spread_evenly_from_zero() {
        assert_eq!(millis(POLICY.decide(2, &throttled(), Duration::ZERO, 0.0)), 0);
        assert_eq!(millis(POLICY.decide(2, &throttled(), Duration::ZERO, 0.25)), 50);
        assert_eq!(millis(POLICY.decide(2, &throttled(), Duration::ZERO, 0.5)), 100);
    }

    #[test]
    fn attempts_are_counted_with_the_first() {
        assert_ne!(POLICY.decide(3, &throttled(), Duration::ZERO, 0.5), Decision::Stop);
        assert_eq!(POLICY.decide(4, &throttled(), Duration::ZERO, 0.5), Decision::Stop);
    }

    #[test]
    fn what_will_not_change_is_not_tried_again() {
        let error = Error::new(Status::CmkDisabled, "disabled");
        assert_eq!(POLICY.decide(1, &error, Duration::ZERO, 0.5), Decision::Stop);
    }

    #[test]
    fn retry_after_is_a_lower_bound() {
        let error = throttled().with_retry_after(Some(Duration::from_secs(2)));
        assert_eq!(millis(POLICY.decide(1, &error, Duration::ZERO, 0.5)), 2000);
    }

    #[test]
    fn no_wait_reaches_beyond_the_total_timeout() {
        let error = throttled().with_retry_after(Some(Duration::from_secs(2)));
        assert_eq!(
            POLICY.decide(1, &error, Duration::from_millis(27_999), 0.0),
            Decision::Wait(Duration::from_secs(2))
        );
        assert_eq!(POLICY.decide(1, &error, Duration::from_secs(28), 0.0), Decision::Stop);
    }

    #[test]
    fn a_request_that_may_have_been_carried_out_is_not_repeated_unless_that_is_harmless() {
        let once = Policy { repeatable: false, ..POLICY };
        let lost = Error::new(Status::ConnectionLost, "lost").possibly_carried_out();
        assert_eq!(once.decide(1, &lost, Duration::ZERO, 0.5), Decision::Stop);
        assert_ne!(POLICY.decide(1, &lost, Duration::ZERO, 0.5), Decision::Stop);
        assert_ne!(once.decide(1, &throttled(), Duration::ZERO, 0.5), Decision::Stop);
    }
}
