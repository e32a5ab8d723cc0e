//! An LRU cache with single flight: enforces the usage limits of its values, evicts the least recently used one when it is full,
//! and runs one fetch for each value at a time.
//!
//! [`LruCache`] has the type of its values, and [`Entries`] does the work without it: the code exists once for all types.

use std::any::Any;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::call_control::{self, CHECK_INTERVAL};
use crate::error::{Error, Result};
use crate::status::{Category, Status};
use crate::sys::clock::Moment;
use crate::sys::random;
use crate::sys::single_flight::SingleFlight;

/// The key of a value: a digest of everything that it depends on.
pub(crate) type Id = [u8; 32];

/// Values are refreshed at a random time within this part of their life: random, so that a fleet that started together does not
/// refresh together, and early, so that a throttled service has time to recover.
pub(crate) const REFRESH: Refresh = Refresh { starts: 0.75, spread: 0.2 };
/// The interval between a failed refresh and the next one.
const REFRESH_PAUSE: Duration = Duration::from_secs(1);
/// How often expired values are removed while the cache is in use.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The part of a value's life in which it is refreshed: it begins at `starts` and is `spread` long.
#[derive(Clone, Copy)]
pub(crate) struct Refresh {
    pub starts: f64,
    pub spread: f64,
}

/// The usage limits of one value.
#[derive(Clone, Copy)]
pub(crate) struct UsageLimits {
    pub max_age: Duration,
    pub messages: u64,
    pub bytes: u64,
    pub refresh: Refresh,
}

pub(crate) struct LruCache<V> {
    entries: Entries,
    values: PhantomData<fn() -> V>,
}

/// A value, whose type only its [`LruCache`] knows.
type Value = Arc<dyn Any + Send + Sync>;

struct Entries {
    limits: UsageLimits,
    max_entries: usize,
    flights: SingleFlight<State>,
}

/// The request of a caller.
pub(crate) struct Wanted<'a> {
    /// The ids of acceptable values, the preferred one first.
    pub ids: &'a [Id],
    /// Callers with the same id share one fetch.
    pub flight: Id,
    /// The bytes that are counted against the limits of the value.
    pub bytes: u64,
}

struct State {
    entries: HashMap<Id, Entry>,
    /// The fetches in flight, with their results for callers that wait.
    in_flight: HashMap<Id, Flight>,
    uses: u64,
    swept: Moment,
}

struct Entry {
    value: Value,
    fetched: Moment,
    refresh_at: Moment,
    refreshing: bool,
    messages: u64,
    bytes: u64,
    last_use: u64,
}

/// The result of a lookup without a fetch.
pub(crate) enum Peek<V> {
    Value(Arc<V>),
    /// A value that is due for a refresh, which [`LruCache::get`] does.
    RefreshDue,
    Nothing,
}

/// Set when a fetch has ended, with the error if it applies to all waiting callers.
type Flight = Arc<OnceLock<Option<Error>>>;

/// The result of a lookup.
enum Lookup {
    Value(Value),
    /// The value can be used, and this caller refreshes it.
    RefreshDue(Id, Value),
    InFlight(Flight),
    Nothing,
}

impl UsageLimits {
    fn refresh_age(&self) -> Duration {
        self.max_age.mul_f64(self.refresh.starts + self.refresh.spread * random::fraction())
    }
}

impl<V: Send + Sync + 'static> LruCache<V> {
    pub fn new(limits: UsageLimits, max_entries: usize) -> Self {
        let state = State { entries: HashMap::new(), in_flight: HashMap::new(), uses: 0, swept: Moment::now() };
        let entries = Entries { limits, max_entries, flights: SingleFlight::new(state) };
        Self { entries, values: PhantomData }
    }

    /// Returns a value within its limits. `accept` checks a cached value. `fetch` returns a new value with its id; it is called
    /// outside the lock, by one caller at a time for each flight. Its argument is whether a valid value exists.
    pub fn get(
        &self,
        wanted: &Wanted<'_>,
        accept: impl Fn(&V) -> Result<()>,
        fetch: impl Fn(bool) -> Result<(Id, Arc<V>)>,
    ) -> Result<Arc<V>> {
        let accept = |value: &Value| value.downcast_ref().map_or_else(|| Err(other_type()), &accept);
        let fetch = |early| fetch(early).map(|(id, value)| (id, value as Value));
        self.entries.get(wanted, &accept, &fetch)?.downcast().map_err(|_| other_type())
    }

    /// Looks up a value without a fetch.
    pub fn peek(&self, id: &Id) -> Peek<V> {
        match self.entries.peek(id) {
            Lookup::Value(value) => value.downcast().map_or(Peek::Nothing, Peek::Value),
            Lookup::RefreshDue(..) => Peek::RefreshDue,
            Lookup::InFlight(_) | Lookup::Nothing => Peek::Nothing,
        }
    }
}

impl<V> LruCache<V> {
    /// Drops expired values while other caches are in use.
    pub fn sweep(&self) {
        self.entries.flights.lock().sweep(Moment::now(), self.entries.limits.max_age);
    }
}

fn other_type() -> Error {
    Error::new(Status::Internal, "a cache has a value of another type")
}

impl Entries {
    fn get(
        &self,
        wanted: &Wanted<'_>,
        accept: &dyn Fn(&Value) -> Result<()>,
        fetch: &dyn Fn(bool) -> Result<(Id, Value)>,
    ) -> Result<Value> {
        if wanted.bytes > self.limits.bytes {
            return fetch(false).map(|(_, value)| value);
        }
        let mut state = self.flights.lock();
        loop {
            match state.lookup(wanted, &self.limits) {
                Lookup::Value(value) => {
                    drop(state);
                    return accept(&value).map(|()| value);
                }
                Lookup::RefreshDue(id, value) => {
                    drop(state);
                    return self.refresh(wanted, &id, value, accept, fetch);
                }
                Lookup::InFlight(flight) => {
                    while flight.get().is_none() {
                        call_control::check()?;
                        let wait = call_control::time_left(CHECK_INTERVAL);
                        state = self.flights.wait(state, wait);
                    }
                    if let Some(Some(error)) = flight.get() {
                        return Err(error.clone());
                    }
                }
                Lookup::Nothing => {
                    let flight = Flight::default();
                    state.in_flight.insert(wanted.flight, Arc::clone(&flight));
                    // The age counts from before the fetch, the earliest time at which the service checked the state of the key.
                    let fetched = Moment::now();
                    let settle = |state: &mut State, outcome: Option<Result<(Id, Value)>>| {
                        state.in_flight.remove(&wanted.flight);
                        let outcome = outcome.unwrap_or_else(|| Err(not_fetched()));
                        let _ = flight.set(outcome.as_ref().err().filter(|error| concerns_all(error)).cloned());
                        let (id, value) = outcome?;
                        self.put(state, &id, wanted.bytes, fetched, &value);
                        Ok(value)
                    };
                    return self.flights.run(state, || fetch(false), settle);
                }
            }
        }
    }

    /// Looks up a value that the caller does not refresh.
    fn peek(&self, id: &Id) -> Lookup {
        let mut state = self.flights.lock();
        let found = state.lookup(&Wanted { ids: &[*id], flight: *id, bytes: 0 }, &self.limits);
        if let (Lookup::RefreshDue(..), Some(entry)) = (&found, state.entries.get_mut(id)) {
            entry.refreshing = false;
        }
        found
    }

    /// Tries to replace a valid value. After an outage the old value is used until it expires. Any other failure is about the
    /// key, and removes the value.
    fn refresh(
        &self,
        wanted: &Wanted<'_>,
        id: &Id,
        old: Value,
        accept: &dyn Fn(&Value) -> Result<()>,
        fetch: &dyn Fn(bool) -> Result<(Id, Value)>,
    ) -> Result<Value> {
        let mut guard = RefreshGuard { entries: self, id, pause: Duration::ZERO };
        accept(&old)?;
        guard.pause = REFRESH_PAUSE;
        let fetched = Moment::now();
        match fetch(true) {
            Ok((id, value)) => {
                self.put(&mut self.flights.lock(), &id, wanted.bytes, fetched, &value);
                Ok(value)
            }
            Err(error) if error.is_outage() || error.status() == Status::Canceled => Ok(old),
            Err(error) => {
                drop(guard);
                self.flights.lock().remove(id, &old);
                Err(error)
            }
        }
    }

    fn put(&self, state: &mut State, id: &Id, bytes: u64, fetched: Moment, value: &Value) {
        state.uses += 1;
        let entry = Entry {
            value: Arc::clone(value),
            fetched,
            refresh_at: fetched + self.limits.refresh_age(),
            refreshing: false,
            messages: 1,
            bytes,
            last_use: state.uses,
        };
        state.entries.insert(*id, entry);
        state.drop_expired(self.limits.max_age);
        state.evict_lru(self.max_entries);
    }
}

/// Whether the failure of a fetch applies to all waiting callers, and not only to the caller that fetched.
pub(crate) fn concerns_all(error: &Error) -> bool {
    let own_limit = call_control::check().is_err();
    // Whether a request is sent depends on what the caller expects of the message.
    let is_own = matches!(error.status(), Status::Canceled | Status::OpenLimited);
    !own_limit && !is_own && error.status().category() != Category::Integrity
}

fn not_fetched() -> Error {
    Error::new(Status::Internal, "the data key was not fetched")
}

impl State {
    /// Looks up a value and, if there is one, counts a message of `wanted.bytes` against its limits.
    fn lookup(&mut self, wanted: &Wanted<'_>, limits: &UsageLimits) -> Lookup {
        self.uses += 1;
        let now = Moment::now();
        self.sweep(now, limits.max_age);
        for id in wanted.ids {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            if !entry.serves(now, wanted.bytes, limits) {
                self.entries.remove(id);
                continue;
            }
            entry.messages += 1;
            entry.bytes += wanted.bytes;
            entry.last_use = self.uses;
            let value = Arc::clone(&entry.value);
            if now < entry.refresh_at || entry.refreshing {
                return Lookup::Value(value);
            }
            entry.refreshing = true;
            return Lookup::RefreshDue(*id, value);
        }
        match self.in_flight.get(&wanted.flight) {
            Some(flight) => Lookup::InFlight(Arc::clone(flight)),
            None => Lookup::Nothing,
        }
    }

    fn sweep(&mut self, now: Moment, max_age: Duration) {
        if now.since(self.swept) >= SWEEP_INTERVAL.min(max_age) {
            self.drop_expired(max_age);
        }
    }

    /// Drops expired values, so that unused keys do not stay in memory.
    fn drop_expired(&mut self, max_age: Duration) {
        let now = Moment::now();
        self.entries.retain(|_, entry| now.since(entry.fetched) < max_age);
        self.swept = now;
    }

    /// Drops a value, unless another one has replaced it.
    fn remove(&mut self, id: &Id, value: &Value) {
        if self.entries.get(id).is_some_and(|entry| Arc::ptr_eq(&entry.value, value)) {
            self.entries.remove(id);
        }
    }

    /// Drops the least recently used values until there are no more than `most`.
    fn evict_lru(&mut self, most: usize) {
        while self.entries.len() > most {
            let Some((_, oldest)) = self.entries.iter().map(|(id, entry)| (entry.last_use, *id)).min() else { return };
            self.entries.remove(&oldest);
        }
    }
}

impl Entry {
    fn serves(&self, now: Moment, bytes: u64, limits: &UsageLimits) -> bool {
        now.since(self.fetched) < limits.max_age
            && self.messages < limits.messages
            && self.bytes.checked_add(bytes).is_some_and(|bytes| bytes <= limits.bytes)
    }
}

/// Ends a refresh that did not replace its value, also after a panic. The next one is tried after an interval.
struct RefreshGuard<'a> {
    entries: &'a Entries,
    id: &'a Id,
    pause: Duration,
}

impl Drop for RefreshGuard<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.entries.flights.lock().entries.get_mut(self.id)
            && entry.refreshing
        {
            entry.refreshing = false;
            entry.refresh_at = Moment::now() + self.pause.mul_f64(0.5 + random::fraction());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache lookup with a single id.
    trait GetOne<V> {
        fn get_one(&self, id: &Id, bytes: u64, fetch: impl Fn(bool) -> Result<V>) -> Result<Arc<V>>;
    }

    impl<V: Send + Sync + 'static> GetOne<V> for LruCache<V> {
        fn get_one(&self, id: &Id, bytes: u64, fetch: impl Fn(bool) -> Result<V>) -> Result<Arc<V>> {
            let wanted = Wanted { ids: &[*id], flight: *id, bytes };
            self.get(&wanted, |_| Ok(()), |early| fetch(early).map(|value| (*id, Arc::new(value))))
        }
    }

    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    const ID: Id = [7; 32];
    const LIMITS: UsageLimits =
        UsageLimits { max_age: Duration::from_secs(3600), messages: 3, bytes: 100, refresh: REFRESH };

    /// A value that is due for a refresh soon, and still serves for a long time then: other work on the machine must not
    /// make it too old.
    const AGEING: UsageLimits = UsageLimits {
        max_age: Duration::from_secs(30),
        messages: 1000,
        refresh: Refresh { starts: 0.001, spread: 0.001 },
        ..LIMITS
    };
    const UNTIL_REFRESH: Duration = Duration::from_millis(80);

    fn counted(calls: &AtomicU32) -> impl Fn(bool) -> Result<u32> {
        |_| Ok(calls.fetch_add(1, Ordering::Relaxed))
    }

    fn throttled() -> Error {
        Error::new(Status::RequestLimitExceeded, "throttled")
    }

    #[test]
    fn the_message_limit_includes_the_first_message() {
        let (cache, calls) = (LruCache::new(LIMITS, 10), AtomicU32::new(0));
        let values: Vec<_> = (0..7).map(|_| *cache.get_one(&ID, 0, counted(&calls)).unwrap()).collect();
        assert_eq!(values, [0, 0, 0, 1, 1, 1, 2]);
    }

    #[test]
    fn the_byte_limit_includes_the_current_message() {
        let (cache, calls) = (LruCache::new(UsageLimits { messages: 1000, ..LIMITS }, 10), AtomicU32::new(0));
        let values: Vec<_> =
            [40, 60, 1, 99, 1].iter().map(|bytes| *cache.get_one(&ID, *bytes, counted(&calls)).unwrap()).collect();
        assert_eq!(values, [0, 0, 1, 1, 2]);
    }

    #[test]
    fn a_message_beyond_every_limit_gets_a_separate_value() {
        let (cache, calls) = (LruCache::new(LIMITS, 10), AtomicU32::new(0));
        assert_eq!(*cache.get_one(&ID, 101, counted(&calls)).unwrap(), 0);
        assert_eq!(*cache.get_one(&ID, 1, counted(&calls)).unwrap(), 1);
        assert_eq!(*cache.get_one(&ID, 1, counted(&calls)).unwrap(), 1);
    }

    #[test]
    fn an_expired_value_is_not_used() {
        let limits = UsageLimits { max_age: Duration::from_millis(30), messages: 1000, ..LIMITS };
        let (cache, calls) = (LruCache::new(limits, 10), AtomicU32::new(0));
        cache.get_one(&ID, 0, counted(&calls)).unwrap();
        thread::sleep(Duration::from_millis(40));
        // An expired value is not used even if there is no other.
        let error = cache.get_one(&ID, 0, |_| Err(throttled())).err().unwrap();
        assert_eq!(error.status(), Status::RequestLimitExceeded);
    }

    #[test]
    fn expired_values_are_removed() {
        let limits = UsageLimits { max_age: Duration::from_millis(30), messages: 1000, ..LIMITS };
        let (cache, calls) = (LruCache::new(limits, 10), AtomicU32::new(0));
        let old = Arc::downgrade(&cache.get_one(&ID, 0, counted(&calls)).unwrap());
        thread::sleep(Duration::from_millis(40));
        assert!(old.upgrade().is_some());
        cache.get_one(&[8; 32], 0, counted(&calls)).unwrap();
        assert!(old.upgrade().is_none());
    }

    #[test]
    fn expired_values_are_removed_while_another_cache_is_used() {
        let limits = UsageLimits { max_age: Duration::from_millis(30), messages: 1000, ..LIMITS };
        let cache = LruCache::new(limits, 10);
        let old = Arc::downgrade(&cache.get_one(&ID, 0, |_| Ok(1)).unwrap());
        cache.sweep();
        assert!(old.upgrade().is_some());
        thread::sleep(Duration::from_millis(40));
        cache.sweep();
        assert!(old.upgrade().is_none());
    }

    #[test]
    fn one_caller_refreshes_a_value_and_others_use_it_during_an_outage() {
        let (cache, early_calls) = (LruCache::new(AGEING, 10), AtomicU32::new(0));
        cache.get_one(&ID, 0, |_| Ok(1)).unwrap();
        thread::sleep(UNTIL_REFRESH);
        for _ in 0..5 {
            let value = cache.get_one(&ID, 0, |early| {
                assert!(early);
                early_calls.fetch_add(1, Ordering::Relaxed);
                Err(throttled())
            });
            assert_eq!(*value.unwrap(), 1);
        }
        assert_eq!(early_calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_refused_refresh_removes_the_value() {
        let cache = LruCache::new(AGEING, 10);
        cache.get_one(&ID, 0, |_| Ok(1)).unwrap();
        thread::sleep(UNTIL_REFRESH);
        let refused = cache.get_one(&ID, 0, |_| Err(Error::new(Status::CmkDisabled, "disabled")));
        assert_eq!(refused.err().unwrap().status(), Status::CmkDisabled);
        assert_eq!(*cache.get_one(&ID, 0, |early| Ok(if early { 8 } else { 9 })).unwrap(), 9);
    }

    #[test]
    fn a_refused_refresh_does_not_affect_a_later_fetch() {
        let limits = UsageLimits { messages: 2, ..AGEING };
        let cache = LruCache::new(limits, 10);
        let disabled = || Err(Error::new(Status::CmkDisabled, "disabled"));
        let slowly = |millis: u64| {
            thread::sleep(Duration::from_millis(millis));
            disabled()
        };
        cache.get_one(&ID, 0, |_| Ok(1)).unwrap();
        thread::sleep(UNTIL_REFRESH);
        thread::scope(|scope| {
            // The refresh uses the last message of the value, so the next caller fetches meanwhile.
            let renewing = scope.spawn(|| cache.get_one(&ID, 0, |_| slowly(100)).err().map(|error| error.status()));
            thread::sleep(Duration::from_millis(30));
            let fetching = scope.spawn(|| cache.get_one(&ID, 0, |_| slowly(200)).err().map(|error| error.status()));
            thread::sleep(Duration::from_millis(30));
            let waiting = scope.spawn(|| cache.get_one(&ID, 0, |_| Ok(2)).err().map(|error| error.status()));
            for caller in [renewing, fetching, waiting] {
                assert_eq!(caller.join().unwrap(), Some(Status::CmkDisabled));
            }
        });
    }

    #[test]
    fn a_valid_value_is_used_during_every_kind_of_outage() {
        for status in [Status::TlsFailed, Status::HttpStatus, Status::ResponseNotJson, Status::NoCredentials] {
            let cache = LruCache::new(AGEING, 10);
            cache.get_one(&ID, 0, |_| Ok(1)).unwrap();
            thread::sleep(UNTIL_REFRESH);
            assert_eq!(*cache.get_one(&ID, 0, |_| Err(Error::new(status, "an outage"))).unwrap(), 1, "{status:?}");
        }
    }

    #[test]
    fn the_least_recently_used_value_is_evicted() {
        let (cache, calls) = (LruCache::new(UsageLimits { messages: 1000, ..LIMITS }, 2), AtomicU32::new(0));
        let get = |id: u8| *cache.get_one(&[id; 32], 0, counted(&calls)).unwrap();
        assert_eq!([get(1), get(2), get(1), get(3), get(1), get(2)], [0, 1, 0, 2, 0, 3]);
    }

    #[test]
    fn many_threads_fetch_once_and_share_a_failure() {
        let (cache, calls) = (LruCache::new(UsageLimits { messages: 1000, ..LIMITS }, 2), AtomicU32::new(0));
        let slowly = |result: fn() -> Result<u32>| {
            thread::scope(|scope| {
                let get = || {
                    cache.get_one(&ID, 0, |_| {
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
    fn a_panic_in_a_fetch_releases_waiting_callers() {
        let cache = LruCache::<u32>::new(LIMITS, 2);
        thread::scope(|scope| {
            let panics = scope.spawn(|| {
                cache.get_one(&ID, 0, |_| {
                    thread::sleep(Duration::from_millis(100));
                    std::panic::resume_unwind(Box::new("test"))
                })
            });
            thread::sleep(Duration::from_millis(30));
            assert_eq!(cache.get_one(&ID, 0, |_| Ok(1)).err().unwrap().status(), Status::Internal);
            assert!(panics.join().is_err());
        });
    }
}
