//! The clock for signatures.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use crate::sys::clock::unix_seconds;

/// The system's clock, corrected by the service's time.
#[derive(Default)]
pub(crate) struct Clock {
    offset_seconds: AtomicI64,
}

impl Clock {
    /// Seconds since the Unix epoch, on the service's clock.
    pub fn now(&self) -> i64 {
        unix_seconds(SystemTime::now()) + self.offset_seconds.load(Ordering::Relaxed)
    }

    /// Takes the service's time, from a reply's `Date`, as the truth from now on. Returns by how many seconds it is ahead of
    /// the system's.
    pub fn correct(&self, service_time: SystemTime) -> i64 {
        let offset = unix_seconds(service_time) - unix_seconds(SystemTime::now());
        self.offset_seconds.store(offset, Ordering::Relaxed);
        offset
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_correction_lasts() {
        let clock = Clock::default();
        clock.correct(SystemTime::now() - Duration::from_secs(600));
        let error = clock.now() - (unix_seconds(SystemTime::now()) - 600);
        assert!(error.abs() <= 1, "{error}");
    }
}
