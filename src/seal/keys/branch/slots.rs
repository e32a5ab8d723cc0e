//! Time in slots of the rotation period. All writers of a branch count them from 1970 in UTC, so that they agree on the current one.

use std::time::Duration;

/// The minimal interval between loads of the records of a branch for an unknown version.
pub(super) const LOAD_INTERVAL: Duration = Duration::from_secs(1);
/// The part of the time to live after which records are loaded again in the background.
const RELOAD: u32 = 2;

/// The periods of the branch keys of a store.
#[derive(Clone, Copy)]
pub(super) struct Slots {
    pub rotation: Duration,
    /// The time to live of a key in memory.
    pub ttl: Duration,
}

impl Slots {
    /// The slot of a time in seconds since 1970.
    pub fn slot_of(self, seconds: i64) -> i64 {
        seconds.div_euclid(self.len())
    }

    /// Whether a key of a slot may be cached, and so used until the key of the next slot exists.
    pub fn may_be_cached(self, slot: i64, now: i64) -> bool {
        let ttl = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        now < slot.saturating_add(1).saturating_mul(self.len()).saturating_add(ttl)
    }

    /// The length in seconds.
    fn len(self) -> i64 {
        i64::try_from(self.rotation.as_secs()).unwrap_or(i64::MAX).max(1)
    }

    /// The maximal time between loads. A shorter time to live does not cause more of them.
    pub fn reload_age(self) -> Duration {
        self.ttl.max(LOAD_INTERVAL)
    }

    /// The age from which records are loaded again in the background.
    pub fn early_reload_age(self) -> Duration {
        self.reload_age() / RELOAD
    }

    /// Limits a random delay to a tenth of the rotation period.
    pub fn delay(self, max: Duration) -> Duration {
        max.min(self.rotation / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOURS: Slots = Slots { rotation: Duration::from_secs(3600), ttl: Duration::from_secs(60) };

    #[test]
    fn slots_begin_at_multiples_of_the_period() {
        assert_eq!([-3601, -1, 0, 3599, 3600].map(|seconds| HOURS.slot_of(seconds)), [-2, -1, 0, 0, 1]);
        // A period below a second, which the options refuse, is not a division by zero.
        assert_eq!(Slots { rotation: Duration::ZERO, ..HOURS }.slot_of(7), 7);
    }

    #[test]
    fn the_key_of_a_slot_is_used_until_its_time_to_live_after_the_slot() {
        assert!(HOURS.may_be_cached(0, 3659) && !HOURS.may_be_cached(0, 3660));
        assert!(Slots { rotation: Duration::MAX, ttl: Duration::MAX }.may_be_cached(0, i64::MAX - 1));
    }

    #[test]
    fn records_are_loaded_at_most_once_a_second() {
        assert_eq!(HOURS.early_reload_age(), Duration::from_secs(30));
        assert_eq!(Slots { ttl: Duration::from_millis(1), ..HOURS }.reload_age(), LOAD_INTERVAL);
        assert_eq!(HOURS.delay(Duration::from_secs(5)), Duration::from_secs(5));
        assert_eq!(
            Slots { rotation: Duration::from_secs(10), ..HOURS }.delay(Duration::from_secs(5)),
            Duration::from_secs(1)
        );
    }
}
