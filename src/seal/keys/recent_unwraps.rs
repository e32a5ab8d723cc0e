//! Remembers the results of recent unwrap requests, so that forged messages cause few requests.
//!
//! A wrapped key that the service refused is not sent again for a while, and a data key that did not authenticate its message
//! is kept for the next message with the same wrapped key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::seal::cache::lru::Id;
use crate::secret::Secret;
use crate::sys::clock::Moment;
use crate::sys::per_process::PerProcess;

/// How long a result is remembered.
const MEMORY: Duration = Duration::from_secs(10);
/// The maximal number of results.
const ENTRIES_MAX: usize = 1000;
/// Shared by a keyring and its clones. A forked child starts empty.
#[derive(Default)]
pub(super) struct RecentUnwraps(PerProcess<Mutex<State>>);

/// The result of a request.
#[derive(Clone)]
pub(super) enum Recent {
    Failed(Error),
    /// A data key that has not authenticated a message yet.
    Unproven(Arc<Secret>),
}

#[derive(Default)]
struct State {
    outcomes: HashMap<Id, (Moment, Recent)>,
}

impl RecentUnwraps {
    pub fn find(&self, id: &Id) -> Option<Recent> {
        let state = self.state();
        let (end, outcome) = state.outcomes.get(id)?;
        (Moment::now() < *end).then(|| outcome.clone())
    }

    /// Remembers that the service refused a wrapped key.
    pub fn remember_failure(&self, id: Id, error: &Error) {
        self.state().remember(id, Recent::Failed(error.clone()), MEMORY);
    }

    /// Remembers a data key until it authenticates a message, if the keyring may keep data keys.
    pub fn remember_unproven(&self, id: Id, data_key: &Arc<Secret>, max_age: Option<Duration>) {
        if let Some(max_age) = max_age {
            self.state().remember(id, Recent::Unproven(Arc::clone(data_key)), max_age.min(MEMORY));
        }
    }

    /// The data key authenticated its message, and is now in the cache.
    pub fn forget(&self, id: &Id) {
        self.state().outcomes.remove(id);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, id: Id, outcome: Recent, age: Duration) {
        let now = Moment::now();
        if self.outcomes.len() >= ENTRIES_MAX {
            self.outcomes.retain(|_, (end, _)| now < *end);
        }
        if self.outcomes.len() >= ENTRIES_MAX
            && let Some((_, first)) = self.outcomes.iter().map(|(id, (end, _))| (*end, *id)).min()
        {
            self.outcomes.remove(&first);
        }
        self.outcomes.insert(id, (now + age, outcome));
    }
}
