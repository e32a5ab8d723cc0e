//! The system's clocks: the time of day, and a monotonic time that measures ages.

use std::ops::Add;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time until `end`, which is in seconds since the Unix epoch. `now` is the time on the clock of the peer that set
/// `end`. The clock of this machine, which may be wrong, is read only without it.
pub(crate) fn time_until(end: i64, now: Option<SystemTime>) -> Duration {
    let left = end.saturating_sub(unix_seconds(now.unwrap_or_else(SystemTime::now)));
    Duration::from_secs(u64::try_from(left).unwrap_or(0))
}

/// Seconds since the Unix epoch, negative before it.
pub(crate) fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_secs() as i64,
        Err(before) => -(before.duration().as_secs() as i64),
    }
}

/// A moment on a clock that cannot be set and that, unlike `Instant`, includes the time in which the
/// machine sleeps. Otherwise, an object with a limited lifetime would be used for longer if the
/// machine slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Duration);

impl Moment {
    pub fn now() -> Self {
        Self(time_since_boot())
    }

    /// Milliseconds since the clock's beginning.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// The time since `earlier`; zero if that is in the future.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

/// The time on a clock that cannot be set and that includes the time in which the machine sleeps.
pub(super) fn time_since_boot() -> Duration {
    #[cfg(all(target_os = "linux", not(miri)))]
    const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
    #[cfg(any(not(target_os = "linux"), miri))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills a timespec of our own; Linux has the clock since 2.6.39.
    unsafe { libc::clock_gettime(CLOCK, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_increase() {
        let first = Moment::now();
        std::thread::sleep(Duration::from_millis(20));
        let passed = Moment::now().since(first);
        assert!(passed >= Duration::from_millis(20) && passed < Duration::from_secs(20), "{passed:?}");
        assert_eq!(first.since(first + Duration::from_secs(1)), Duration::ZERO);
    }

    #[test]
    fn time_is_measured_with_the_clock_of_the_deadline() {
        let service_now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert_eq!(time_until(1_000_060, Some(service_now)), Duration::from_secs(60));
        assert_eq!(time_until(999_999, Some(service_now)), Duration::ZERO);
    }
}
