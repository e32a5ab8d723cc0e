//! Caches of data keys, so that one data key serves more than one message and a fleet sends few requests.
//!
//! Each process has its own caches. A forked child starts with empty ones: two processes must not share one usage limit, and
//! another thread may have held the lock of a cache during the fork.

pub(super) mod id_memo;
pub(super) mod lru;

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::seal::cache::lru::{Id, LruCache, REFRESH, UsageLimits, Wanted};
use crate::seal::format::context::Context;
use crate::seal::format::limits::checked;
use crate::seal::materials::Materials;
use crate::secret::Secret;
use crate::sys::per_process::PerProcess;

/// The maximal age that can be set: one day.
pub const CACHE_AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// The maximal message limit of one data key, from the format.
pub const CACHE_MESSAGES_MAX: u64 = 1 << 32;
/// The maximal number of entries in each direction.
pub const CACHE_ENTRIES_MAX: usize = 100_000;

/// The limits of cached data keys. The defaults are those of [`Default`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// The maximal age of a data key for sealing. 300 seconds.
    pub seal_max_age: Duration,
    /// The maximal age of an unwrapped data key. 3600 seconds.
    pub open_max_age: Duration,
    /// The maximal number of messages that a data key seals. 2^20.
    pub max_messages: u64,
    /// The maximal number of plaintext bytes that a data key seals. 2^40.
    pub max_bytes: u64,
    /// The maximal number of data keys in each direction. The least recently used one is evicted. 1000.
    pub max_entries: usize,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            seal_max_age: Duration::from_secs(300),
            open_max_age: Duration::from_secs(3600),
            max_messages: 1 << 20,
            max_bytes: 1 << 40,
            max_entries: 1000,
        }
    }
}

/// A cache for one or several keyrings. Entries of keyrings with different keys, policies or suites are separate.
pub struct Cache {
    limits: CacheLimits,
    live: PerProcess<Directions>,
}

struct Directions {
    sealing: LruCache<Materials>,
    opening: LruCache<Secret>,
}

impl Cache {
    /// Creates an empty cache.
    pub fn new(limits: CacheLimits) -> Result<Self> {
        let millis = |age: Duration| usize::try_from(age.as_millis()).unwrap_or(usize::MAX);
        checked("cache's age for sealing in ms", millis(limits.seal_max_age), millis(CACHE_AGE_MAX))?;
        checked("cache's age for opening in ms", millis(limits.open_max_age), millis(CACHE_AGE_MAX))?;
        checked("cache's number of messages", limits.max_messages as usize, CACHE_MESSAGES_MAX as usize)?;
        checked("cache's number of bytes", limits.max_bytes as usize, i64::MAX as usize)?;
        checked("cache's number of entries", limits.max_entries, CACHE_ENTRIES_MAX)?;
        Ok(Self { limits, live: PerProcess::new() })
    }

    pub(crate) fn open_max_age(&self) -> Duration {
        self.limits.open_max_age
    }

    /// Materials for one message of `bytes`, from the cache or from `fetch`, whose argument is whether this is an early renewal.
    pub(crate) fn sealing(
        &self,
        id: Id,
        bytes: u64,
        fetch: impl Fn(bool) -> Result<Materials>,
    ) -> Result<Arc<Materials>> {
        let wanted = Wanted { ids: &[id], flight: id, bytes };
        self.live().sealing.get(&wanted, |_| Ok(()), |early| Ok((id, Arc::new(fetch(early)?))))
    }

    /// The data key of a message that has one of the wrapped keys with these `ids`. `accept` checks a cached data key. `fetch`
    /// returns the id of the wrapped key that it unwrapped.
    pub(crate) fn opening(
        &self,
        ids: &[Id],
        accept: impl Fn(&Secret) -> Result<()>,
        fetch: impl Fn(bool) -> Result<(Id, Arc<Secret>)>,
    ) -> Result<Arc<Secret>> {
        let flight = match ids {
            [only] => *only,
            _ => ids.iter().fold(IdMaker::new("flight"), |flight, id| flight.part(id)).finish(),
        };
        self.live().opening.get(&Wanted { ids, flight, bytes: 0 }, accept, fetch)
    }

    fn live(&self) -> &Directions {
        self.live.get_or_init(|| Directions::new(&self.limits))
    }
}

impl Directions {
    fn new(limits: &CacheLimits) -> Self {
        let sealing = UsageLimits {
            max_age: limits.seal_max_age,
            messages: limits.max_messages,
            bytes: limits.max_bytes,
            refresh: REFRESH,
        };
        // Opening has no usage limits: a reader can open a message any number of times.
        let opening =
            UsageLimits { max_age: limits.open_max_age, messages: u64::MAX, bytes: u64::MAX, refresh: REFRESH };
        Self {
            sealing: LruCache::new(sealing, limits.max_entries),
            opening: LruCache::new(opening, limits.max_entries),
        }
    }
}

/// Hashes parts into an id. Each part is hashed with its length, so different sequences of parts have different ids.
pub(crate) struct IdMaker(Sha256);

impl IdMaker {
    pub fn new(purpose: &str) -> Self {
        Self(Sha256::new()).part(purpose.as_bytes())
    }

    pub fn part(mut self, part: &[u8]) -> Self {
        // 32 bits are enough: no part is longer than a header.
        self.0.update((part.len() as u32).to_be_bytes());
        self.0.update(part);
        self
    }

    /// All pairs. Comes last, for their number is not told apart from what would follow.
    pub fn context(self, context: &Context) -> Self {
        context.pairs().fold(self, |id, (key, value)| id.part(key.as_bytes()).part(value.as_bytes()))
    }

    pub fn finish(self) -> Id {
        self.0.finalize().into()
    }
}
