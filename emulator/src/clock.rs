//! The clock of the emulated service.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// The service's clock: the system's, shifted by a number of seconds that a test may set.
#[derive(Default)]
pub struct Clock {
    shift: AtomicI64,
}

impl Clock {
    /// Unix seconds on the shifted clock.
    pub fn now(&self) -> i64 {
        unix_now() + self.shift()
    }

    /// Seconds by which this clock is ahead of the system's (negative: behind).
    pub fn shift(&self) -> i64 {
        self.shift.load(Ordering::Relaxed)
    }

    /// Shifts the clock; 0 removes the shift.
    pub fn set_shift(&self, seconds: i64) {
        self.shift.store(seconds, Ordering::Relaxed);
    }

    /// The value of a `Date` header on the shifted clock.
    pub fn http_date(&self) -> String {
        let seconds = u64::try_from(self.now()).unwrap_or(0);
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
    }
}

/// Unix seconds on the system's clock.
pub fn unix_now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

/// The UTC date of a Unix time as `YYYY-MM-DD`, or None outside the calendar.
pub fn utc_date(unix_seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(unix_seconds).ok().map(|moment| moment.date().to_string())
}

/// A Unix time as ISO 8601 in UTC, e.g. `2023-11-14T22:13:20Z`.
pub fn iso_8601(unix_seconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(unix_seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second) = moment.to_hms();
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", moment.date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_utc() {
        assert_eq!(utc_date(1_700_000_000).as_deref(), Some("2023-11-14"));
        assert_eq!(utc_date(1_551_113_065).as_deref(), Some("2019-02-25"));
        assert_eq!(iso_8601(1_700_000_000), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn a_shift_moves_now_and_the_date_header() {
        let clock = Clock::default();
        clock.set_shift(-unix_now());
        assert!(clock.http_date().starts_with("Thu, 01 Jan 1970 00:00:0"));
    }
}
