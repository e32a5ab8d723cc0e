//! Public keys that were fetched already. That of a CMK never changes, so none expires.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::public_key::PublicKey;
use crate::call_control::{self, CHECK_INTERVAL};
use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::per_process::PerProcess;
use crate::sys::single_flight::SingleFlight;

/// The most keys that are kept. An account has 200 unless its limit was raised.
const KEYS_MAX: usize = 4096;

/// The public keys of one client, and of those derived from it.
pub(crate) struct PublicKeyCache {
    keys: PerProcess<SingleFlight<Keys>>,
}

#[derive(Default)]
struct Keys {
    known: HashMap<String, Arc<PublicKey>>,
    in_flight: HashSet<String>,
}

impl PublicKeyCache {
    pub fn new() -> Self {
        Self { keys: PerProcess::new() }
    }

    /// The key of this id. If it is not known yet, one thread fetches it and the others wait, no longer than `timeout`.
    pub fn get(
        &self,
        key_id: &str,
        timeout: Duration,
        fetch: impl FnOnce() -> Result<PublicKey>,
    ) -> Result<Arc<PublicKey>> {
        let deadline = Instant::now() + timeout;
        let keys = self.keys.get_or_init(|| SingleFlight::new(Keys::default()));
        let mut state = keys.lock();
        while state.in_flight.contains(key_id) {
            let left = deadline.saturating_duration_since(Instant::now());
            if call_control::is_canceled() {
                return Err(call_control::canceled());
            }
            if left.is_zero() {
                let message = "another thread has not fetched the public key within the time allowed for the call";
                return Err(Error::new(Status::TimedOut, message));
            }
            state = keys.wait(state, left.min(CHECK_INTERVAL));
        }
        if let Some(key) = state.known.get(key_id) {
            return Ok(Arc::clone(key));
        }
        state.in_flight.insert(key_id.to_owned());
        keys.run(state, fetch, |state, fetched| {
            state.in_flight.remove(key_id);
            let key = Arc::new(fetched.unwrap_or_else(|| Err(Error::new(Status::Internal, "the fetch panicked")))?);
            if state.known.len() >= KEYS_MAX {
                state.known.clear();
            }
            state.known.insert(key_id.to_owned(), Arc::clone(&key));
            Ok(key)
        })
    }
}
