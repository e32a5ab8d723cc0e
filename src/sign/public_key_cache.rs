//! A cache of public keys and of what they are for. Neither changes during the life of a CMK, so entries do not expire.

use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use super::key_purpose::KeyPurpose;
use super::public_key::PublicKey;
use crate::call_control;
use crate::error::Result;
use crate::status::Status;
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
    known: HashMap<String, Known>,
    in_flight: HashSet<String>,
}

#[derive(Clone)]
struct Known {
    key: Arc<PublicKey>,
    purpose: Purpose,
}

#[derive(Clone, Copy)]
enum Purpose {
    /// No call needed it yet.
    NotRequested,
    /// `None` if it cannot be found out.
    Requested(Option<KeyPurpose>),
}

impl PublicKeyCache {
    pub fn new() -> Self {
        Self { keys: PerProcess::new() }
    }

    /// The key with this id. If it is not cached, one call fetches it and the others wait.
    pub async fn get(&self, key_id: &str, fetch: impl Future<Output = Result<PublicKey>>) -> Result<Arc<PublicKey>> {
        let flight = match self.known_or_flight(key_id, |_| true).await? {
            Found::Known(known) => return Ok(known.key),
            Found::Flight(flight) => flight,
        };
        let key = Arc::new(fetch.await?);
        let mut state = flight.keys.lock();
        if state.known.len() >= KEYS_MAX {
            state.known.clear();
        }
        state.known.insert(key_id.to_owned(), Known { key: Arc::clone(&key), purpose: Purpose::NotRequested });
        Ok(key)
    }

    /// What the key with this id is for. If it is not cached, one call fetches it and the others wait. The key itself was
    /// returned by [`get`](Self::get) before.
    pub async fn purpose(
        &self,
        key_id: &str,
        fetch: impl Future<Output = Result<Option<KeyPurpose>>>,
    ) -> Result<Option<KeyPurpose>> {
        let is_known = |known: &Known| matches!(known.purpose, Purpose::Requested(_));
        let flight = match self.known_or_flight(key_id, is_known).await? {
            Found::Known(Known { purpose: Purpose::Requested(purpose), .. }) => return Ok(purpose),
            Found::Known(_) => return Ok(None),
            Found::Flight(flight) => flight,
        };
        let fetched = fetch.await;
        let mut state = flight.keys.lock();
        match &fetched {
            Ok(purpose) => {
                if let Some(known) = state.known.get_mut(key_id) {
                    known.purpose = Purpose::Requested(*purpose);
                }
            }
            // The key may be the wrong part.
            Err(error) if error.status() == Status::ResponseMalformed => drop(state.known.remove(key_id)),
            Err(_) => {}
        }
        fetched
    }

    async fn known_or_flight<'a>(&'a self, key_id: &'a str, is_enough: fn(&Known) -> bool) -> Result<Found<'a>> {
        let keys = self.keys.get_or_init(|| SingleFlight::new(Keys::default()));
        poll_fn(|context| {
            let mut state = keys.lock();
            if let Some(known) = state.known.get(key_id).filter(|known| is_enough(known)) {
                return Poll::Ready(Ok(Found::Known(known.clone())));
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
    Known(Known),
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
