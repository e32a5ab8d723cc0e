//! A token bucket that limits the rate of requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lock-free, so that a forked child cannot find it locked: the whole state is one number, the time at which the bucket
/// will be full again (the "theoretical arrival time" of the generic cell rate algorithm, ITU-T I.371).
pub(crate) struct RateLimiter {
    start: Instant,
    full_at_nanos: AtomicU64,
    interval_nanos: u64,
    burst: u32,
}

impl RateLimiter {
    /// `per_second` requests on average and `burst` at once; both at least 1.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval_nanos = 1_000_000_000 / u64::from(per_second.max(1));
        Self { start: Instant::now(), full_at_nanos: AtomicU64::new(0), interval_nanos, burst: burst.max(1) }
    }

    /// Takes a token and returns how long to wait before using it, or takes none and returns `None` if that would be
    /// longer than `timeout`.
    pub fn reserve(&self, timeout: Duration) -> Option<Duration> {
        self.reserve_at(self.start.elapsed(), timeout)
    }

    fn reserve_at(&self, now: Duration, timeout: Duration) -> Option<Duration> {
        let now = now.as_nanos() as u64;
        let tolerance = self.interval_nanos * u64::from(self.burst - 1);
        let mut full_at = self.full_at_nanos.load(Ordering::Relaxed);
        loop {
            let start = full_at.max(now);
            let wait = Duration::from_nanos(start.saturating_sub(tolerance).saturating_sub(now));
            if wait > timeout {
                return None;
            }
            let taken = start + self.interval_nanos;
            match self.full_at_nanos.compare_exchange_weak(full_at, taken, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(wait),
                Err(seen) => full_at = seen,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn waits(limiter: &RateLimiter, now_ms: u64, count: usize) -> Vec<u64> {
        let now = Duration::from_millis(now_ms);
        (0..count).map(|_| limiter.reserve_at(now, LONG).unwrap().as_millis() as u64).collect()
    }

    #[test]
    fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let limiter = RateLimiter::new(10, 3);
        assert_eq!(waits(&limiter, 0, 6), [0, 0, 0, 100, 200, 300]);
    }

    #[test]
    fn the_bucket_fills_again_but_never_beyond_the_burst() {
        let limiter = RateLimiter::new(10, 2);
        assert_eq!(waits(&limiter, 0, 2), [0, 0]);
        assert_eq!(waits(&limiter, 60_000, 3), [0, 0, 100]);
    }

    #[test]
    fn a_wait_beyond_the_timeout_takes_no_token() {
        let limiter = RateLimiter::new(10, 1);
        assert_eq!(limiter.reserve_at(Duration::ZERO, Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(limiter.reserve_at(Duration::ZERO, Duration::from_millis(99)), None);
        assert_eq!(limiter.reserve_at(Duration::ZERO, Duration::from_millis(100)), Some(Duration::from_millis(100)));
    }
}
