//! What recent requests to unwrap data keys came to, so that messages which do not open cause few of them.
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

/// How long an outcome is remembered.
const MEMORY: Duration = Duration::from_secs(10);
/// How many outcomes are remembered.
const ENTRIES_MAX: usize = 1000;
/// Belongs to a keyring and its clones. A forked child begins with nothing.
#[derive(Default)]
pub(super) struct RecentUnwraps(PerProcess<Mutex<State>>);

/// What a request came to.
#[derive(Clone)]
pub(super) enum Recent {
    Failed(Error),
    /// The data key, which has not authenticated a message yet.
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

    /// Remembers that the service refuses a wrapped key.
    pub fn remember_failure(&self, id: Id, error: &Error) {
        self.state().remember(id, Recent::Failed(error.clone()), MEMORY);
    }

    /// Remembers a data key until it is known whether it authenticates its message, if data keys may be kept at all.
    pub fn remember_unproven(&self, id: Id, data_key: &Arc<Secret>, max_age: Option<Duration>) {
        if let Some(max_age) = max_age {
            self.state().remember(id, Recent::Unproven(Arc::clone(data_key)), max_age.min(MEMORY));
        }
    }

    /// The data key authenticated its message: the cache keeps it now.
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
