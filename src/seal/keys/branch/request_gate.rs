//! Limits the requests that sealing sends while the service fails. Otherwise each message would send one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::call_control::{self, CHECK_INTERVAL};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::seal::cache::lru::{Id, concerns_all};
use crate::seal::keys::branch::failures::{Cause, Failures};
use crate::sys::clock::Moment;

/// How many keys may have failures.
const KEYS_MAX: usize = 1024;

/// The failed requests for each key.
#[derive(Default)]
pub(super) struct RequestGate(Mutex<HashMap<Id, Failures>>);

impl RequestGate {
    /// Sends a request for a key. During the back-off after a failure, it waits if a retry may help, and fails otherwise.
    pub fn send<T>(&self, id: &Id, client: &Client, request: impl FnOnce() -> Result<T>) -> Result<T> {
        self.wait(id, client)?;
        let outcome = request();
        match &outcome {
            Ok(_) => drop(self.lock().remove(id)),
            Err(error) if concerns_all(error) => self.add(id, error),
            Err(_) => {}
        }
        outcome
    }

    fn wait(&self, id: &Id, client: &Client) -> Result<()> {
        let end = Moment::now() + call_control::time_left(client.total_timeout());
        while let Some(error) = self.last_error(id) {
            if !error.is_retryable() || end <= Moment::now() {
                return Err(error);
            }
            client.cancelable(call_control::check)?;
            thread::sleep(call_control::time_left(CHECK_INTERVAL));
        }
        Ok(())
    }

    /// The last failure of a key, during the back-off.
    fn last_error(&self, id: &Id) -> Option<Error> {
        let failures = self.lock();
        failures.get(id).filter(|failures| failures.is_backing_off(Moment::now()))?.error.clone()
    }

    fn add(&self, id: &Id, error: &Error) {
        let mut failures = self.lock();
        if failures.len() >= KEYS_MAX {
            failures.clear();
        }
        failures.entry(*id).or_default().add(error.clone(), Cause::Service);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
