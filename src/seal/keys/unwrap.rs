//! Unwraps the data key of a message: selects wrapped keys and keys of the keyring, and bounds the cost.
//!
//! The message is not authenticated yet, so its cost is bounded: each wrapped key is tried once, a service that does not reply gets
//! no further request, and each key gets a part of the time.

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::branch_supplier::SuppliedBranch;
use super::recent_unwraps::{Recent, RecentUnwraps};
use super::request_share::{RequestShare, Token};
use super::wrapping_key::{KeyRequest, UnwrapCost, WrappingKey};
use crate::call_control;
use crate::error::{Error, Result};
use crate::sanitize::quoted_up_to;
use crate::seal::cache::IdMaker;
use crate::seal::cache::lru::Id;
use crate::seal::format::context::Context;
use crate::seal::format::header::Header;
use crate::seal::format::wrapped_key::WrappedKey;
use crate::secret::Secret;
use crate::status::{Category, Status};
use crate::sys::clock::Moment;

/// The parts of a keyring that unwrapping needs.
pub(super) struct KeyringView<'a> {
    pub keys: Vec<&'a dyn WrappingKey>,
    pub total_timeout: Duration,
    pub max_private_key_operations: usize,
    pub recent_unwraps: &'a RecentUnwraps,
    pub request_share: &'a RequestShare,
    /// The pairs that the caller expects.
    pub expected: &'a Context,
    /// The branch that the keyring's supplier names for the message.
    pub branch: &'a SuppliedBranch,
    /// How long an unwrapped data key may be kept; `None` without a cache.
    pub open_max_age: Option<Duration>,
    /// The cache id of the data key of a wrapped key.
    pub id_of: &'a dyn Fn(&WrappedKey) -> Id,
}

/// A data key of a message.
pub(super) struct Unwrapped<'a> {
    pub data_key: Arc<Secret>,
    /// Under which the cache keeps it.
    pub id: Id,
    /// Under which it is remembered until the message is authenticated, if a request was made for it.
    recent_id: Option<Id>,
    requests: Requests<'a>,
    keyring: &'a KeyringView<'a>,
}

/// The requests for a message that count until it is known whether it opens.
#[derive(Default)]
struct Requests<'a> {
    tokens: Vec<Token<'a>>,
    groups: Vec<Id>,
}

/// The work for one message.
struct Unwrapping<'a, 'r> {
    keyring: &'a KeyringView<'a>,
    header: &'a Header,
    request: KeyRequest<'r>,
    requests: Requests<'a>,
    failures: Vec<Error>,
    /// Services that could not be reached or did not reply, with the reason.
    outages: Vec<(u64, Error)>,
    private_key_operations: usize,
}

/// Tries the keys in the order of the keyring, each only with the wrapped keys that name it. Those that would wait come last.
pub(super) fn unwrap<'a>(
    keyring: &'a KeyringView<'a>,
    header: &'a Header,
    context: &'a Context,
    early: bool,
) -> Result<Unwrapped<'a>> {
    // A key that unwraps locally needs none.
    let needs_json = keyring.keys.iter().any(|key| !key.is_local());
    let json = needs_json.then(|| context.canonical_json()).flatten();
    let request = KeyRequest {
        context,
        context_json: json.as_deref(),
        data_key_len: header.suite.key_len,
        early,
        branch: keyring.branch,
        begun: None,
    };
    let mut unwrapping = Unwrapping {
        keyring,
        header,
        request,
        requests: Requests::default(),
        failures: Vec::new(),
        outages: Vec::new(),
        private_key_operations: 0,
    };
    match unwrapping.run() {
        Ok(found) => Ok(unwrapping.unwrapped(found)),
        Err(error) => {
            unwrapping.requests.spend();
            Err(error)
        }
    }
}

impl Unwrapped<'_> {
    /// The data key authenticated its message: the cache keeps it now.
    pub fn accept(self) -> (Id, Arc<Secret>) {
        if let Some(id) = &self.recent_id {
            self.keyring.recent_unwraps.forget(id);
        }
        self.keyring.request_share.opened(&self.requests.groups);
        (self.id, self.data_key)
    }

    /// The data key did not authenticate its message.
    pub fn refuse(mut self) {
        self.requests.spend();
    }
}

impl Requests<'_> {
    /// The message does not open.
    fn spend(&mut self) {
        self.tokens.iter_mut().for_each(Token::spend);
    }
}

/// A data key with the ids of [`Unwrapped`].
struct Found {
    data_key: Arc<Secret>,
    id: Id,
    recent_id: Option<Id>,
}

impl<'a> Unwrapping<'a, '_> {
    fn unwrapped(self, found: Found) -> Unwrapped<'a> {
        let Found { data_key, id, recent_id } = found;
        Unwrapped { data_key, id, recent_id, requests: self.requests, keyring: self.keyring }
    }

    fn run(&mut self) -> Result<Found> {
        let claims = self.claims();
        let waits = |(key, wrapped_keys): &(&dyn WrappingKey, Vec<&WrappedKey>)| {
            claims.len() > 1 && wrapped_keys.iter().any(|wrapped| key.waits(wrapped))
        };
        let (last, first): (Vec<_>, Vec<_>) = claims.iter().partition(|claim| waits(claim));
        for (place, (key, wrapped_keys)) in first.iter().chain(&last).enumerate() {
            // Leaves time for the services after one that does not reply.
            let share = call_control::time_left(self.keyring.total_timeout) / (claims.len() - place) as u32;
            let unwrapped = call_control::with_timeout(share, || self.unwrap_with(*key, wrapped_keys));
            if let Some(unwrapped) = unwrapped? {
                return Ok(unwrapped);
            }
        }
        Err(self.failed())
    }

    /// The keys that the message names, each with its wrapped keys, without duplicates.
    fn claims(&self) -> Vec<(&'a dyn WrappingKey, Vec<&'a WrappedKey>)> {
        let distinct = distinct(&self.header.wrapped_keys);
        let claims = self.keyring.keys.iter().map(|key| {
            let claimed = distinct.iter().copied().filter(|wrapped| key.claims(wrapped));
            (*key, claimed.collect::<Vec<_>>())
        });
        claims.filter(|(_, wrapped_keys)| !wrapped_keys.is_empty()).collect()
    }

    fn unwrap_with(&mut self, key: &dyn WrappingKey, wrapped_keys: &[&'a WrappedKey]) -> Result<Option<Found>> {
        for wrapped in wrapped_keys {
            if call_control::is_canceled() {
                return Err(call_control::canceled());
            }
            match self.unwrap_one(key, wrapped) {
                Ok(unwrapped) => return Ok(Some(unwrapped)),
                Err(error) if error.status() == Status::Canceled => return Err(error),
                Err(error) => {
                    let is_down = match key.unwrap_cost() {
                        UnwrapCost::Request(service) => self.outage(service).is_some(),
                        _ => error.is_outage(),
                    };
                    self.failures.push(error);
                    if is_down {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(None)
    }

    fn unwrap_one(&mut self, key: &dyn WrappingKey, wrapped: &'a WrappedKey) -> Result<Found> {
        if let Some(data_key) = key.unwrap_locally(&self.request, wrapped) {
            return Ok(self.found(self.checked(data_key?)?, wrapped));
        }
        match key.unwrap_cost() {
            UnwrapCost::Request(service) => {
                let id = (self.keyring.id_of)(wrapped);
                let recent_id = IdMaker::new("recent").part(&key.identity()).part(&id).finish();
                let data_key = self.request_unwrap(key, wrapped, service, recent_id)?;
                Ok(Found { data_key, id, recent_id: Some(recent_id) })
            }
            UnwrapCost::PrivateKeyOperation => {
                self.count_private_key_operation()?;
                Ok(self.found(self.checked_unwrap(key, wrapped)?, wrapped))
            }
            UnwrapCost::Callback => {
                call_control::check()?;
                Ok(self.found(self.checked_unwrap(key, wrapped)?, wrapped))
            }
        }
    }

    /// A data key for which no request was made. Nothing is kept of it without a cache, so it needs no id then.
    fn found(&self, data_key: Arc<Secret>, wrapped: &WrappedKey) -> Found {
        let id = self.keyring.open_max_age.map_or_else(Id::default, |_| (self.keyring.id_of)(wrapped));
        Found { data_key, id, recent_id: None }
    }

    /// Sends a request to a service, unless the result is already known.
    fn request_unwrap(
        &mut self,
        key: &dyn WrappingKey,
        wrapped: &WrappedKey,
        service: u64,
        recent_id: Id,
    ) -> Result<Arc<Secret>> {
        let recent = self.keyring.recent_unwraps;
        match recent.find(&recent_id) {
            Some(Recent::Failed(error)) => return Err(error),
            Some(Recent::Unproven(data_key)) if !self.request.early => return Ok(data_key),
            _ => {}
        }
        if let Some(outage) = self.outage(service) {
            return Err(outage.clone());
        }
        let token = self.token(key, wrapped)?;
        let request = KeyRequest { begun: Some(Moment::now()), ..self.request };
        let prepared = key.prepare(&request, wrapped);
        let is_sent = prepared.is_ok();
        let unwrapped = prepared.and_then(|()| self.checked(key.unwrap(&request, wrapped)?));
        match &unwrapped {
            Ok(data_key) => recent.remember_unproven(recent_id, data_key, self.keyring.open_max_age),
            Err(error) if is_caused_by_message(error) => recent.remember_failure(recent_id, error),
            Err(error) if is_sent && error.is_outage() => self.outages.push((service, error.clone())),
            Err(_) => {}
        }
        // Whatever else the service refuses may be due to the message too: a wrapped key says of which CMK it is.
        if !unwrapped.as_ref().is_err_and(Error::is_outage) {
            self.requests.tokens.extend(token);
        }
        unwrapped
    }

    /// Why a service gets no further request for this message.
    fn outage(&self, service: u64) -> Option<&Error> {
        self.outages.iter().find(|(known, _)| *known == service).map(|(_, error)| error)
    }

    /// Permits a request. The renewal of a data key needs no permission: a message opened with it before.
    fn token(&mut self, key: &dyn WrappingKey, wrapped: &WrappedKey) -> Result<Option<Token<'a>>> {
        if self.request.early {
            return Ok(None);
        }
        let groups = self.groups(key, wrapped)?;
        let report = |wait: Duration| {
            let millis = wait.as_millis();
            key.warn(format_args!("too many messages did not open: the next request for one waits up to {millis} ms"));
        };
        let mut token = Err(call_control::canceled());
        key.cancelable(&mut || token = self.keyring.request_share.take(&groups, report));
        let token = token?;
        self.requests.groups.extend(groups);
        Ok(Some(token))
    }

    /// What the message has in common with others that its author cannot choose without knowing one that opens.
    fn groups(&self, key: &dyn WrappingKey, wrapped: &WrappedKey) -> Result<Vec<Id>> {
        let group = |kind: &str, pairs: &Context| -> Result<Id> {
            let mut bytes = Vec::with_capacity(256);
            pairs.without_public_key().write(&mut bytes)?;
            Ok(IdMaker::new(kind).part(&key.identity()).part(&bytes).finish())
        };
        let mut groups = match key.request_group(wrapped) {
            Some(name) => vec![IdMaker::new("named group").part(&key.identity()).part(name.as_bytes()).finish()],
            None => vec![group("context group", self.request.context)?],
        };
        if !self.keyring.expected.is_empty() {
            groups.push(group("expected group", self.keyring.expected)?);
        }
        Ok(groups)
    }

    fn count_private_key_operation(&mut self) -> Result<()> {
        let most = self.keyring.max_private_key_operations;
        if self.private_key_operations >= most {
            let message = format!("the message has more than {most} data keys that name RSA keys of the keyring");
            return Err(Error::new(Status::TooManyDataKeys, message));
        }
        self.private_key_operations += 1;
        Ok(())
    }

    fn checked_unwrap(&self, key: &dyn WrappingKey, wrapped: &WrappedKey) -> Result<Arc<Secret>> {
        self.checked(key.unwrap(&self.request, wrapped)?)
    }

    fn checked(&self, data_key: Secret) -> Result<Arc<Secret>> {
        self.header.suite.check_data_key(data_key.expose())?;
        Ok(Arc::new(data_key))
    }

    fn failed(&mut self) -> Error {
        most_informative(mem::take(&mut self.failures)).unwrap_or_else(|| no_match(self.keyring, self.header))
    }
}

/// Each wrapped key once.
fn distinct(wrapped_keys: &[WrappedKey]) -> Vec<&WrappedKey> {
    if let [only] = wrapped_keys {
        return vec![only];
    }
    let mut seen = HashSet::new();
    wrapped_keys.iter().filter(|wrapped| seen.insert(*wrapped)).collect()
}

/// Whether the failure is about the wrapped key itself, so that sending it again would fail as well. A missing record was not sent,
/// and may arrive later.
fn is_caused_by_message(error: &Error) -> bool {
    let status = error.status();
    status == Status::InvalidCiphertext
        || status.category() == Category::Integrity && status != Status::BranchRecordMissing
}

/// The most informative of several failures: neither an outage nor a disabled key must look like a message that cannot be opened.
fn most_informative(mut failures: Vec<Error>) -> Option<Error> {
    let rank = |error: &Error| match error.status().category() {
        _ if error.is_retryable() => 0,
        _ if error.is_outage() => 1,
        Category::Identity => 2,
        // Not all keys were tried.
        _ if error.status() == Status::TooManyDataKeys => 3,
        Category::Integrity => 4,
        _ => 3,
    };
    let best = failures.iter().enumerate().min_by_key(|(place, error)| (rank(error), *place))?.0;
    Some(failures.swap_remove(best))
}

/// The error for a message that names none of the keyring's keys.
fn no_match(keyring: &KeyringView<'_>, header: &Header) -> Error {
    if keyring.keys.is_empty() {
        return Error::new(Status::NoUsableKey, "the keyring has no key");
    }
    let named = header.wrapped_keys.iter().map(|key| {
        let info = String::from_utf8_lossy(&key.provider_info);
        format!("{} of {}", beginning_of(&info), beginning_of(&key.provider_id))
    });
    let named = named.take(8).collect::<Vec<_>>().join(", ");
    let message = format!("the message names none of the keys of the keyring, but {named}");
    Error::new(Status::NoMatchingKey, message)
}

/// A prefix of a text from a header that is not authenticated.
fn beginning_of(text: &str) -> String {
    quoted_up_to(text, 100)
}
