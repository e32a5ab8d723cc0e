//! How many requests of a keyring may be useless, and which messages wait when there were too many.
//!
//! Anyone who can send messages can make any number of variants of one. Each variant can cost a request, and the service allows
//! an account only so many. So a request to unwrap a data key takes a token, and a message that opens returns its tokens:
//! honest messages cost nothing.
//!
//! Before its header is authenticated, all that is known of a message was written by its author. Only two facts distinguish
//! honest messages from forged ones: what opened before, and the pairs that the caller expects. So messages form groups,
//! by the wrapping key with the context, and by the wrapping key with the expected pairs. A group of which a message
//! opened has tokens that messages of other groups cannot take. All other messages take the common tokens, in the order
//! of their arrival, and wait for one if there is none.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::call_control::{self, CHECK_INTERVAL};
use crate::error::{Error, Result};
use crate::log;
use crate::seal::cache::lru::Id;
use crate::status::Status;
use crate::sys::clock::Moment;
use crate::sys::per_process::PerProcess;

/// How many tokens come in each second, for all messages together.
const TOKENS_PER_SECOND: f64 = 10.0;
/// The most tokens for messages of all kinds, and the most that are kept for groups that have opened.
const COMMON_TOKENS: f64 = 100.0;
const RESERVED_TOKENS: f64 = 40.0;
/// With as many common tokens, a request takes none before it turns out to be useless. Without this, many honest requests at
/// once would wait for each other.
const DEFERRED_CHARGE_ABOVE: f64 = 50.0;
/// The same for one group.
const GROUP_TOKENS: f64 = 10.0;
const GROUP_TOKENS_PER_SECOND: f64 = 1.0;
/// How many groups are remembered. The one that opened the longest time ago is dropped first.
const GROUPS_MAX: usize = 1000;
/// How many calls of queues wait at once: fewer than a queue has workers, which other calls need too.
const QUEUED_WAITING_MAX: usize = 4;

/// Belongs to a keyring and its clones. A forked child begins with all tokens.
#[derive(Default)]
pub(super) struct RequestShare(PerProcess<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The reserved tokens and the common ones above them, as of `counted`.
    tokens: f64,
    counted: Moment,
    groups: HashMap<Id, Group>,
    uses: u64,
    /// The calls that wait, by their numbers, in the order of their arrival.
    waiting: VecDeque<u64>,
    queued_waiting: usize,
    arrivals: u64,
}

/// Messages of which one opened.
struct Group {
    tokens: f64,
    counted: Moment,
    last_use: u64,
}

/// Permits one request. It is returned if it is dropped, unless the request was useless.
pub(super) struct Token<'a> {
    share: &'a RequestShare,
    source: Source,
    is_useless: bool,
}

/// Where a token was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Nowhere yet.
    Plenty,
    Common,
    Group(Id),
}

impl RequestShare {
    /// A token for a message of these groups. `report` is told how long the call expects to wait.
    pub fn take(&self, groups: &[Id], report: impl FnOnce(Duration)) -> Result<Token<'_>> {
        let mut state = self.shared().lock();
        let is_first = state.waiting.is_empty();
        if let Some(source) = state.take(groups, is_first) {
            return Ok(self.token(source));
        }
        let wait = state.expected_wait();
        let is_queued = log::is_deferred();
        if wait > call_control::time_left(Duration::MAX) || is_queued && state.queued_waiting >= QUEUED_WAITING_MAX {
            return Err(limited(wait));
        }
        let waiting = Waiting { share: self, number: state.arrive(is_queued), is_queued };
        drop(state);
        report(wait);
        waiting.wait(groups)
    }

    /// A message of these groups opened.
    pub fn opened(&self, groups: &[Id]) {
        if !groups.is_empty() {
            self.shared().lock().remember(groups);
        }
    }

    fn token(&self, source: Source) -> Token<'_> {
        Token { share: self, source, is_useless: false }
    }

    fn shared(&self) -> &Shared {
        self.0.get_or_init(|| Shared { state: Mutex::new(State::new()), changed: Condvar::new() })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Token<'_> {
    /// The request was for a message that does not open.
    pub fn spend(&mut self) {
        self.is_useless = true;
    }
}

impl Drop for Token<'_> {
    fn drop(&mut self) {
        let shared = self.share.shared();
        match (self.source, self.is_useless) {
            (Source::Plenty, true) => shared.lock().charge(),
            (Source::Plenty, false) | (_, true) => return,
            (source, false) => shared.lock().give_back(source),
        }
        shared.changed.notify_all();
    }
}

/// A call that waits for a token.
struct Waiting<'a> {
    share: &'a RequestShare,
    number: u64,
    is_queued: bool,
}

impl<'a> Waiting<'a> {
    fn wait(&self, groups: &[Id]) -> Result<Token<'a>> {
        // Not that of the caller: the program's log callback may have forked.
        let shared = self.share.shared();
        let mut state = shared.lock();
        loop {
            let is_first = state.waiting.front().is_none_or(|first| *first == self.number);
            if let Some(source) = state.take(groups, is_first) {
                return Ok(self.share.token(source));
            }
            if call_control::is_canceled() {
                return Err(call_control::canceled());
            }
            let left = call_control::time_left(CHECK_INTERVAL);
            if left.is_zero() {
                return Err(limited(state.expected_wait()));
            }
            state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let shared = self.share.shared();
        shared.lock().leave(self.number, self.is_queued);
        shared.changed.notify_all();
    }
}

impl State {
    fn new() -> Self {
        Self {
            tokens: RESERVED_TOKENS + COMMON_TOKENS,
            counted: Moment::now(),
            groups: HashMap::new(),
            uses: 0,
            waiting: VecDeque::new(),
            queued_waiting: 0,
            arrivals: 0,
        }
    }

    /// Takes a common token, if the message is the first one that waits, or else one of a group.
    fn take(&mut self, groups: &[Id], is_first: bool) -> Option<Source> {
        let now = Moment::now();
        refill(&mut self.tokens, &mut self.counted, now, TOKENS_PER_SECOND, RESERVED_TOKENS + COMMON_TOKENS);
        let common = self.tokens - RESERVED_TOKENS;
        if common >= DEFERRED_CHARGE_ABOVE {
            return Some(Source::Plenty);
        }
        if is_first && common >= 1.0 {
            self.tokens -= 1.0;
            return Some(Source::Common);
        }
        let group = groups.iter().find(|id| self.tokens >= 1.0 && self.take_of_group(id, now))?;
        self.tokens -= 1.0;
        Some(Source::Group(*group))
    }

    fn take_of_group(&mut self, id: &Id, now: Moment) -> bool {
        let Some(group) = self.groups.get_mut(id) else { return false };
        refill(&mut group.tokens, &mut group.counted, now, GROUP_TOKENS_PER_SECOND, GROUP_TOKENS);
        let has_token = group.tokens >= 1.0;
        if has_token {
            group.tokens -= 1.0;
        }
        has_token
    }

    fn give_back(&mut self, source: Source) {
        self.tokens = (self.tokens + 1.0).min(RESERVED_TOKENS + COMMON_TOKENS);
        if let Source::Group(id) = source
            && let Some(group) = self.groups.get_mut(&id)
        {
            group.tokens = (group.tokens + 1.0).min(GROUP_TOKENS);
        }
    }

    /// Takes a common token for a request that turned out to be useless.
    fn charge(&mut self) {
        self.tokens = (self.tokens - 1.0).max(self.tokens.min(RESERVED_TOKENS));
    }

    fn remember(&mut self, groups: &[Id]) {
        for id in groups {
            self.uses += 1;
            let fresh = Group { tokens: GROUP_TOKENS, counted: Moment::now(), last_use: 0 };
            self.groups.entry(*id).or_insert(fresh).last_use = self.uses;
            if self.groups.len() > GROUPS_MAX
                && let Some((_, oldest)) = self.groups.iter().map(|(id, group)| (group.last_use, *id)).min()
            {
                self.groups.remove(&oldest);
            }
        }
    }

    /// The time until a message that arrives now has a common token, if all requests before it are useless.
    fn expected_wait(&self) -> Duration {
        let missing = RESERVED_TOKENS + 1.0 + self.waiting.len() as f64 - self.tokens;
        Duration::from_secs_f64(missing.max(0.0) / TOKENS_PER_SECOND)
    }

    fn arrive(&mut self, is_queued: bool) -> u64 {
        self.arrivals += 1;
        self.queued_waiting += usize::from(is_queued);
        self.waiting.push_back(self.arrivals);
        self.arrivals
    }

    fn leave(&mut self, number: u64, is_queued: bool) {
        // In a child that was forked within the call, the list does not contain it.
        if let Some(place) = self.waiting.iter().position(|other| *other == number) {
            self.waiting.remove(place);
            self.queued_waiting -= usize::from(is_queued);
        }
    }
}

fn refill(tokens: &mut f64, counted: &mut Moment, now: Moment, per_second: f64, most: f64) {
    *tokens = (*tokens + now.since(*counted).as_secs_f64() * per_second).min(most);
    *counted = now;
}

fn limited(wait: Duration) -> Error {
    let message = "too many messages did not open, so this one is not sent to the service now; messages whose data keys \
                   are in the cache open";
    Error::new(Status::OpenLimited, message).with_retry_after(Some(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without common tokens.
    fn used_up() -> State {
        State { tokens: RESERVED_TOKENS, ..State::new() }
    }

    #[test]
    fn useless_requests_use_up_common_tokens_alone() {
        let share = RequestShare::default();
        for _ in 0..1000 {
            share.shared().lock().charge();
        }
        let tokens = share.shared().lock().tokens;
        assert!((RESERVED_TOKENS..RESERVED_TOKENS + 1.0).contains(&tokens), "{tokens}");
    }

    #[test]
    fn only_a_group_that_opened_has_reserved_tokens_and_a_limited_number_of_them() {
        let mut state = used_up();
        state.remember(&[[1; 32]]);
        assert_eq!(state.take(&[[2; 32]], true), None);
        for _ in 0..GROUP_TOKENS as u32 {
            assert_eq!(state.take(&[[2; 32], [1; 32]], false), Some(Source::Group([1; 32])));
        }
        assert_eq!(state.take(&[[1; 32]], true), None);
        state.give_back(Source::Group([1; 32]));
        assert_eq!(state.take(&[[1; 32]], true), Some(Source::Group([1; 32])));
    }

    #[test]
    fn common_tokens_go_to_the_first_that_waits() {
        let mut state = State { tokens: RESERVED_TOKENS + 1.0, ..State::new() };
        let first = state.arrive(false);
        assert_eq!(state.take(&[], false), None);
        assert_eq!(state.take(&[], true), Some(Source::Common));
        state.leave(first, false);
        assert!(state.waiting.is_empty() && state.take(&[], true).is_none());
        assert!(state.expected_wait() <= Duration::from_millis(100));
    }

    #[test]
    fn the_group_that_opened_the_longest_time_ago_is_forgotten() {
        let mut state = used_up();
        let id = |number: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            id
        };
        (0..GROUPS_MAX).for_each(|number| state.remember(&[id(number)]));
        state.remember(&[id(0)]);
        state.remember(&[id(GROUPS_MAX)]);
        assert_eq!(state.groups.len(), GROUPS_MAX);
        assert!(state.groups.contains_key(&id(0)) && !state.groups.contains_key(&id(1)));
    }
}
