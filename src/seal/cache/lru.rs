//! The cache of one process in one direction: keeps values within their budgets and fetches each only once at a time.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::clock::Moment;
use crate::sys::random;

/// What tells one value from another: a digest of all that it depends on.
pub(crate) type Id = [u8; 32];

/// A value is renewed somewhere between these parts of its life: spread out, so that a fleet which started together
/// does not come back together, and early, so that a throttled service has time to recover.
const REFRESH_STARTS: f64 = 0.75;
const REFRESH_SPREAD: f64 = 0.2;
/// How long after a failed renewal the next one is tried.
const REFRESH_PAUSE: Duration = Duration::from_secs(1);
/// How often the cache is looked through for what is too old, while it is in use.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What one value may be used for.
#[derive(Clone, Copy)]
pub(crate) struct UsageLimits {
    pub max_age: Duration,
    pub messages: u64,
    pub bytes: u64,
}

pub(crate) struct LruCache<V> {
    limits: UsageLimits,
    max_entries: usize,
    state: Mutex<State<V>>,
    fetched: Condvar,
}

struct State<V> {
    slots: HashMap<Id, Slot<V>>,
    clock: u64,
    swept: Moment,
}

enum Slot<V> {
    /// Somebody is fetching the value. Whoever waits learns the outcome here when that fails.
    Fetching(Arc<OnceLock<Error>>),
    Held(Entry<V>),
}

struct Entry<V> {
    value: Arc<V>,
    born: Moment,
    renew_at: Moment,
    renewing: bool,
    messages: u64,
    bytes: u64,
    last_use: u64,
}

/// What a look at the cache says about the next step.
enum Lookup<V> {
    Value(Arc<V>),
    /// It can be used, and this caller is the one who renews it.
    RefreshDue(Arc<V>),
    Wait(Arc<OnceLock<Error>>),
    Nothing,
}

impl<V> LruCache<V> {
    pub fn new(limits: UsageLimits, max_entries: usize) -> Self {
        let state = State { slots: HashMap::new(), clock: 0, swept: Moment::now() };
        Self { limits, max_entries, state: Mutex::new(state), fetched: Condvar::new() }
    }

    /// The value for one message of `bytes`. `fetch` is called outside the lock, by one caller at a time for each id;
    /// it is told whether a value exists that still works.
    pub fn get(&self, id: &Id, bytes: u64, fetch: impl Fn(bool) -> Result<V>) -> Result<Arc<V>> {
        if bytes > self.limits.bytes {
            return fetch(false).map(Arc::new);
        }
        let mut state = self.lock();
        loop {
            match state.lookup(id, bytes, &self.limits) {
                Lookup::Value(value) => return Ok(value),
                Lookup::RefreshDue(value) => {
                    drop(state);
                    return self.renew(id, bytes, value, fetch);
                }
                Lookup::Wait(failure) => {
                    state = self.fetched.wait(state).unwrap_or_else(PoisonError::into_inner);
                    if let Some(error) = failure.get() {
                        return Err(error.clone());
                    }
                }
                Lookup::Nothing => {
                    let failure = Arc::new(OnceLock::new());
                    state.slots.insert(*id, Slot::Fetching(Arc::clone(&failure)));
                    drop(state);
                    return self.fetch(id, bytes, failure, fetch);
                }
            }
        }
    }

    fn fetch(
        &self,
        id: &Id,
        bytes: u64,
        failure: Arc<OnceLock<Error>>,
        fetch: impl Fn(bool) -> Result<V>,
    ) -> Result<Arc<V>> {
        let flight = Flight { cache: self, id, failure };
        // The age counts from before the fetch: that is when the service looked at the key's state at the earliest.
        let born = Moment::now();
        match fetch(false) {
            Ok(value) => Ok(self.put(id, bytes, born, value)),
            Err(error) => {
                let _ = flight.failure.set(error.clone());
                Err(error)
            }
        }
    }

    /// Tries to replace a value that still works. During an outage the old one goes on until its end; any other refusal is
    /// about the key, and ends it.
    fn renew(&self, id: &Id, bytes: u64, old: Arc<V>, fetch: impl Fn(bool) -> Result<V>) -> Result<Arc<V>> {
        let renewal = Renewal { cache: self, id };
        let born = Moment::now();
        match fetch(true) {
            Ok(value) => Ok(self.put(id, bytes, born, value)),
            Err(error) if error.is_outage() => Ok(old),
            Err(error) => {
                drop(renewal);
                self.lock().remove(id, &old);
                Err(error)
            }
        }
    }

    fn put(&self, id: &Id, bytes: u64, born: Moment, value: V) -> Arc<V> {
        let value = Arc::new(value);
        let mut state = self.lock();
        state.clock += 1;
        let entry = Entry {
            value: Arc::clone(&value),
            born,
            renew_at: born + self.limits.max_age.mul_f64(REFRESH_STARTS + REFRESH_SPREAD * random::fraction()),
            renewing: false,
            messages: 1,
            bytes,
            last_use: state.clock,
        };
        state.slots.insert(*id, Slot::Held(entry));
        state.drop_expired(self.limits.max_age);
        state.evict_lru(self.max_entries);
        drop(state);
        self.fetched.notify_all();
        value
    }

    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> State<V> {
    /// Looks for a value and, where there is one, takes a message and `bytes` out of its limits.
    fn lookup(&mut self, id: &Id, bytes: u64, limits: &UsageLimits) -> Lookup<V> {
        self.clock += 1;
        let now = Moment::now();
        if now.since(self.swept) >= SWEEP_EVERY {
            self.drop_expired(limits.max_age);
        }
        let entry = match self.slots.get_mut(id) {
            None => return Lookup::Nothing,
            Some(Slot::Fetching(failure)) => return Lookup::Wait(Arc::clone(failure)),
            Some(Slot::Held(entry)) => entry,
        };
        if !entry.serves(now, bytes, limits) {
            self.slots.remove(id);
            return Lookup::Nothing;
        }
        entry.messages += 1;
        entry.bytes += bytes;
        entry.last_use = self.clock;
        let value = Arc::clone(&entry.value);
        if now < entry.renew_at || entry.renewing {
            return Lookup::Value(value);
        }
        entry.renewing = true;
        Lookup::RefreshDue(value)
    }

    /// Drops what no longer serves, so that no key stays in memory for want of somebody who asks for it.
    fn drop_expired(&mut self, max_age: Duration) {
        let now = Moment::now();
        self.slots.retain(|_, slot| !matches!(slot, Slot::Held(entry) if now.since(entry.born) >= max_age));
        self.swept = now;
    }

    /// Drops a value, but not what came after it.
    fn remove(&mut self, id: &Id, value: &Arc<V>) {
        if matches!(self.slots.get(id), Some(Slot::Held(entry)) if Arc::ptr_eq(&entry.value, value)) {
            self.slots.remove(id);
        }
    }

    /// Drops what was not used for the longest time until there are no more than `most` values.
    fn evict_lru(&mut self, most: usize) {
        while self.slots.values().filter(|slot| matches!(slot, Slot::Held(_))).count() > most {
            let held = self.slots.iter().filter_map(|(id, slot)| match slot {
                Slot::Held(entry) => Some((entry.last_use, *id)),
                Slot::Fetching(_) => None,
            });
            let Some((_, oldest)) = held.min() else { return };
            self.slots.remove(&oldest);
        }
    }
}

impl<V> Entry<V> {
    fn serves(&self, now: Moment, bytes: u64, limits: &UsageLimits) -> bool {
        now.since(self.born) < limits.max_age
            && self.messages < limits.messages
            && self.bytes.checked_add(bytes).is_some_and(|bytes| bytes <= limits.bytes)
    }
}

/// Ends a fetch that put nothing on the cache, however it ended, so that nobody waits for ever.
struct Flight<'a, V> {
    cache: &'a LruCache<V>,
    id: &'a Id,
    failure: Arc<OnceLock<Error>>,
}

impl<V> Drop for Flight<'_, V> {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        if matches!(state.slots.get(self.id), Some(Slot::Fetching(failure)) if Arc::ptr_eq(failure, &self.failure)) {
            let _ = self.failure.set(Error::new(Status::Internal, "the data key was not fetched"));
            state.slots.remove(self.id);
            drop(state);
            self.cache.fetched.notify_all();
        }
    }
}

/// Ends a renewal that did not replace its value: the next one is tried after a pause.
struct Renewal<'a, V> {
    cache: &'a LruCache<V>,
    id: &'a Id,
}

impl<V> Drop for Renewal<'_, V> {
    fn drop(&mut self) {
        if let Some(Slot::Held(entry)) = self.cache.lock().slots.get_mut(self.id)
            && entry.renewing
        {
            entry.renewing = false;
            entry.renew_at = Moment::now() + REFRESH_PAUSE.mul_f64(0.5 + random::fraction());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    const ID: Id = [7; 32];
    const BUDGET: UsageLimits = UsageLimits { max_age: Duration::from_secs(3600), messages: 3, bytes: 100 };

    fn counted(calls: &AtomicU32) -> impl Fn(bool) -> Result<u32> {
        |_| Ok(calls.fetch_add(1, Ordering::Relaxed))
    }

    fn throttled() -> Error {
        Error::new(Status::RequestLimitExceeded, "throttled").with_retryable(true)
    }

    #[test]
    fn a_value_serves_as_many_messages_as_it_may_the_first_included() {
        let (cache, calls) = (LruCache::new(BUDGET, 10), AtomicU32::new(0));
        let values: Vec<_> = (0..7).map(|_| *cache.get(&ID, 0, counted(&calls)).unwrap()).collect();
        assert_eq!(values, [0, 0, 0, 1, 1, 1, 2]);
    }

    #[test]
    fn a_value_serves_as_many_bytes_as_it_may_and_the_present_message_counts() {
        let (cache, calls) = (LruCache::new(UsageLimits { messages: 1000, ..BUDGET }, 10), AtomicU32::new(0));
        let values: Vec<_> =
            [40, 60, 1, 99, 1].iter().map(|bytes| *cache.get(&ID, *bytes, counted(&calls)).unwrap()).collect();
        assert_eq!(values, [0, 0, 1, 1, 2]);
    }

    #[test]
    fn a_message_beyond_every_budget_gets_a_value_of_its_own() {
        let (cache, calls) = (LruCache::new(BUDGET, 10), AtomicU32::new(0));
        assert_eq!(*cache.get(&ID, 101, counted(&calls)).unwrap(), 0);
        assert_eq!(*cache.get(&ID, 1, counted(&calls)).unwrap(), 1);
        assert_eq!(*cache.get(&ID, 1, counted(&calls)).unwrap(), 1);
    }

    #[test]
    fn nothing_serves_beyond_its_age() {
        let limits = UsageLimits { max_age: Duration::from_millis(30), messages: 1000, bytes: 100 };
        let (cache, calls) = (LruCache::new(limits, 10), AtomicU32::new(0));
        cache.get(&ID, 0, counted(&calls)).unwrap();
        thread::sleep(Duration::from_millis(40));
        // Past its age a value does not serve even when there is no other.
        let error = cache.get(&ID, 0, |_| Err(throttled())).err().unwrap();
        assert_eq!(error.status(), Status::RequestLimitExceeded);
    }

    #[test]
    fn what_is_too_old_does_not_stay_in_memory() {
        let limits = UsageLimits { max_age: Duration::from_millis(30), messages: 1000, bytes: 100 };
        let (cache, calls) = (LruCache::new(limits, 10), AtomicU32::new(0));
        let old = Arc::downgrade(&cache.get(&ID, 0, counted(&calls)).unwrap());
        thread::sleep(Duration::from_millis(40));
        assert!(old.upgrade().is_some());
        cache.get(&[8; 32], 0, counted(&calls)).unwrap();
        assert!(old.upgrade().is_none());
    }

    #[test]
    fn an_ageing_value_is_renewed_by_one_caller_and_serves_while_the_service_is_unable() {
        let limits = UsageLimits { max_age: Duration::from_millis(400), messages: 1000, bytes: 100 };
        let (cache, early_calls) = (LruCache::new(limits, 10), AtomicU32::new(0));
        cache.get(&ID, 0, |_| Ok(1)).unwrap();
        thread::sleep(Duration::from_millis(385));
        for _ in 0..5 {
            let value = cache.get(&ID, 0, |early| {
                assert!(early);
                early_calls.fetch_add(1, Ordering::Relaxed);
                Err(throttled())
            });
            assert_eq!(*value.unwrap(), 1);
        }
        assert_eq!(early_calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_refusal_during_renewal_ends_the_value() {
        let limits = UsageLimits { max_age: Duration::from_millis(400), messages: 1000, bytes: 100 };
        let cache = LruCache::new(limits, 10);
        cache.get(&ID, 0, |_| Ok(1)).unwrap();
        thread::sleep(Duration::from_millis(385));
        let refused = cache.get(&ID, 0, |_| Err(Error::new(Status::CmkDisabled, "disabled")));
        assert_eq!(refused.err().unwrap().status(), Status::CmkDisabled);
        assert_eq!(*cache.get(&ID, 0, |early| Ok(if early { 8 } else { 9 })).unwrap(), 9);
    }

    #[test]
    fn a_refused_renewal_leaves_a_fetch_that_began_since_then_alone() {
        let limits = UsageLimits { messages: 2, bytes: 100, max_age: Duration::from_millis(400) };
        let cache = LruCache::new(limits, 10);
        let disabled = || Err(Error::new(Status::CmkDisabled, "disabled"));
        let slowly = |millis: u64| {
            thread::sleep(Duration::from_millis(millis));
            disabled()
        };
        cache.get(&ID, 0, |_| Ok(1)).unwrap();
        thread::sleep(Duration::from_millis(385));
        thread::scope(|scope| {
            // The renewal takes the value's last message, so the next caller fetches while it goes on.
            let renewing = scope.spawn(|| cache.get(&ID, 0, |_| slowly(100)).err().map(|error| error.status()));
            thread::sleep(Duration::from_millis(30));
            let fetching = scope.spawn(|| cache.get(&ID, 0, |_| slowly(200)).err().map(|error| error.status()));
            thread::sleep(Duration::from_millis(30));
            let waiting = scope.spawn(|| cache.get(&ID, 0, |_| Ok(2)).err().map(|error| error.status()));
            for caller in [renewing, fetching, waiting] {
                assert_eq!(caller.join().unwrap(), Some(Status::CmkDisabled));
            }
        });
    }

    #[test]
    fn a_value_that_works_goes_on_during_every_kind_of_outage() {
        let limits = UsageLimits { max_age: Duration::from_millis(400), messages: 1000, bytes: 100 };
        for status in [Status::TlsFailed, Status::HttpStatus, Status::ResponseNotJson, Status::NoCredentials] {
            let cache = LruCache::new(limits, 10);
            cache.get(&ID, 0, |_| Ok(1)).unwrap();
            thread::sleep(Duration::from_millis(385));
            assert_eq!(*cache.get(&ID, 0, |_| Err(Error::new(status, "an outage"))).unwrap(), 1, "{status:?}");
        }
    }

    #[test]
    fn the_longest_unused_value_goes_first() {
        let (cache, calls) = (LruCache::new(UsageLimits { messages: 1000, ..BUDGET }, 2), AtomicU32::new(0));
        let get = |id: u8| *cache.get(&[id; 32], 0, counted(&calls)).unwrap();
        assert_eq!([get(1), get(2), get(1), get(3), get(1), get(2)], [0, 1, 0, 2, 0, 3]);
    }

    #[test]
    fn many_threads_fetch_once_and_share_a_failure() {
        let (cache, calls) = (LruCache::new(UsageLimits { messages: 1000, ..BUDGET }, 2), AtomicU32::new(0));
        let slowly = |result: fn() -> Result<u32>| {
            thread::scope(|scope| {
                let get = || {
                    cache.get(&ID, 0, |_| {
                        thread::sleep(Duration::from_millis(100));
                        calls.fetch_add(1, Ordering::Relaxed);
                        result()
                    })
                };
                let threads: Vec<_> = (0..32).map(|_| scope.spawn(get)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap().is_ok()).collect::<Vec<_>>()
            })
        };
        assert_eq!(slowly(|| Err(throttled())), [false; 32]);
        assert_eq!(calls.swap(0, Ordering::Relaxed), 1);
        assert_eq!(slowly(|| Ok(1)), [true; 32]);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn nobody_waits_for_a_fetch_that_panicked() {
        let cache = LruCache::<u32>::new(BUDGET, 2);
        thread::scope(|scope| {
            let panics = scope.spawn(|| {
                cache.get(&ID, 0, |_| {
                    thread::sleep(Duration::from_millis(100));
                    std::panic::resume_unwind(Box::new("on purpose"))
                })
            });
            thread::sleep(Duration::from_millis(30));
            assert_eq!(cache.get(&ID, 0, |_| Ok(1)).err().unwrap().status(), Status::Internal);
            assert!(panics.join().is_err());
        });
    }
}
