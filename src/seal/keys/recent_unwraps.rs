//! What recent requests to unwrap data keys came to, so that messages which do not open cause few of them.
//!
//! Anybody who can hand over messages can vary one of them without end. Each variant could cost a request, and the service
//! allows an account only so many. So a wrapped key that the service refused is not sent again for a while, a data key
//! that did not authenticate its message is kept for the next message with the same wrapped key, and requests that came
//! to nothing may only have a share of all requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::seal::cache::lru::Id;
use crate::secret::Secret;
use crate::status::Status;
use crate::sys::clock::Moment;
use crate::sys::per_process::PerProcess;

/// How long an outcome is remembered.
const MEMORY: Duration = Duration::from_secs(10);
/// How many outcomes are remembered.
const ENTRIES_MAX: usize = 1000;
/// How many requests may come to nothing at once, and how many more in each second.
const SHARE_BURST: f64 = 100.0;
const SHARE_PER_SECOND: f64 = 10.0;

/// A data key of a message.
pub(super) struct Unwrapped {
    pub data_key: Arc<Secret>,
    /// Under which the cache keeps it.
    pub id: Id,
    /// Under which it is remembered until the message is authenticated, if a request was made for it.
    pub recent_id: Option<Id>,
}

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

struct State {
    outcomes: HashMap<Id, (Moment, Recent)>,
    /// How many more requests may come to nothing, as of `counted`.
    share: f64,
    counted: Moment,
}

impl RecentUnwraps {
    pub fn find(&self, id: &Id) -> Option<Recent> {
        let state = self.state();
        let (end, outcome) = state.outcomes.get(id)?;
        (Moment::now() < *end).then(|| outcome.clone())
    }

    /// Remembers that the service refuses a wrapped key.
    pub fn remember_failure(&self, id: Id, error: &Error) {
        let mut state = self.state();
        state.remember(id, Recent::Failed(error.clone()), MEMORY);
        state.take_share();
    }

    /// Remembers a data key until it is known whether it authenticates its message, if data keys may be kept at all.
    pub fn remember_unproven(&self, id: Id, data_key: &Arc<Secret>, max_age: Option<Duration>) {
        if let Some(max_age) = max_age {
            self.state().remember(id, Recent::Unproven(Arc::clone(data_key)), max_age.min(MEMORY));
        }
    }

    /// The data key authenticated its message: the cache keeps it now.
    pub fn forget(&self, unwrapped: &Unwrapped) {
        if let Some(id) = &unwrapped.recent_id {
            self.state().outcomes.remove(id);
        }
    }

    /// The data key did not authenticate its message, so the request for it came to nothing.
    pub fn charge(&self, unwrapped: &Unwrapped) {
        if unwrapped.recent_id.is_some() {
            self.state().take_share();
        }
    }

    /// Refuses a request while too many came to nothing.
    pub fn check_share(&self) -> Result<()> {
        let mut state = self.state();
        state.count_time();
        if state.share >= 1.0 {
            return Ok(());
        }
        let message = "too many messages did not open, so this one is not sent to the service now; messages whose data \
                       keys are in the cache open";
        Err(Error::new(Status::OpenLimited, message))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self
            .0
            .get_or_init(|| Mutex::new(State { outcomes: HashMap::new(), share: SHARE_BURST, counted: Moment::now() }));
        state.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn take_share(&mut self) {
        self.count_time();
        self.share = (self.share - 1.0).max(0.0);
    }

    fn count_time(&mut self) {
        let now = Moment::now();
        let earned = now.since(self.counted).as_secs_f64() * SHARE_PER_SECOND;
        (self.share, self.counted) = ((self.share + earned).min(SHARE_BURST), now);
    }
}
