//! A cache of public keys. That of a CMK never changes, so entries do not expire.

use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use super::public_key::PublicKey;
use crate::call_control;
use crate::error::Result;
use crate::sys::per_process::PerProcess;
use crate::sys::single_flight::SingleFlight;

/// The maximum number of keys. An account has 200 unless its limit was raised.
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

    /// The key with this id. If it is not cached, one call fetches it and the others wait.
    pub async fn get(&self, key_id: &str, fetch: impl Future<Output = Result<PublicKey>>) -> Result<Arc<PublicKey>> {
        let keys = self.keys.get_or_init(|| SingleFlight::new(Keys::default()));
        let flight = match self.known_or_flight(keys, key_id).await? {
            Found::Known(key) => return Ok(key),
            Found::Flight(flight) => flight,
        };
        let key = Arc::new(fetch.await?);
        let mut state = flight.keys.lock();
        if state.known.len() >= KEYS_MAX {
            state.known.clear();
        }
        state.known.insert(key_id.to_owned(), Arc::clone(&key));
        Ok(key)
    }

    async fn known_or_flight<'a>(&self, keys: &'a SingleFlight<Keys>, key_id: &'a str) -> Result<Found<'a>> {
        poll_fn(|context| {
            let mut state = keys.lock();
            if let Some(key) = state.known.get(key_id) {
                return Poll::Ready(Ok(Found::Known(Arc::clone(key))));
            }
            if state.in_flight.insert(key_id.to_owned()) {
                return Poll::Ready(Ok(Found::Flight(Flight { keys, key_id })));
            }
            if let Err(error) = call_control::check() {
                return Poll::Ready(Err(error));
            }
            keys.wake_at_end(&state, context.waker());
            call_control::wake_at_deadline();
            Poll::Pending
        })
        .await
    }
}

enum Found<'a> {
    Known(Arc<PublicKey>),
    Flight(Flight<'a>),
}

/// A fetch, which ends when this is dropped, whatever its result.
struct Flight<'a> {
    keys: &'a SingleFlight<Keys>,
    key_id: &'a str,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.keys.end(|state| state.in_flight.remove(self.key_id));
    }
}
