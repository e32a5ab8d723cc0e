//! Records from a store of the program, through which all writers of a branch agree on its key.
//!
//! Time is divided into slots of the rotation period. A writer that finds no record for the current slot generates a branch key and
//! stores its record with put-if-absent; then all writers load the stored record. The store is called on a separate thread, so a
//! callback that hangs does not block other threads: sealing continues with a known record.
//!
//! The records are loaded again within their time to live, because a record that was deleted from the store must not be used for
//! longer. The known ones stay in use while the store fails.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use crate::call_control;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::seal::cache::lru::{LruCache, Wanted};
use crate::seal::format::branch_id::{BranchId, BranchVersion};
use crate::seal::format::branch_record::{self, BranchRecord};
use crate::seal::format::branch_wrap::{BranchForm, BranchSecret};
use crate::seal::keys::branch::counters::Reporter;
use crate::seal::keys::branch::known::{Known, KnownRecords};
use crate::seal::keys::branch::make;
use crate::status::Status;
use crate::sys::clock::Moment;
use crate::sys::lend::{Lender, Lent, NeverRunsAgain};
use crate::sys::single_flight::SingleFlight;
use crate::sys::{random, signals, threads};

/// The maximal random delay before a rotation, so that few writers rotate at once.
const ROTATION_JITTER: Duration = Duration::from_secs(5);
/// Most writers rotate late, so that however many they are, the second one comes about a tenth of the delay after the first one, and
/// finds its record.
const ROTATION_DRAWS: usize = 10;
/// The maximal random delay before the first key of a branch, for which messages wait.
const FIRST_KEY_JITTER: Duration = Duration::from_secs(3);
/// How often the store is checked for a record of another writer during that time.
const FIRST_KEY_POLL: Duration = Duration::from_millis(250);
/// The back-off after a failure of the store: first and maximal.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// After how many failures in a row, of any branches, opening loads no records for a second.
const FAILURES_IN_ROW: u32 = 10;
/// The minimal interval between loads of the records of a branch for an unknown version.
const LOAD_INTERVAL: Duration = Duration::from_secs(1);
/// The part of the time to live after which records are loaded again in the background.
const RELOAD: u32 = 2;
/// The maximal number of branches in memory.
const BRANCHES_MAX: usize = 100_000;
/// How often a thread that waits for the store checks whether its call is canceled or a callback hangs.
const WAIT: Duration = Duration::from_millis(20);

/// How long freeing a keyring waits for the thread, and its poll interval.
const CLOSING_TIME: Duration = Duration::from_millis(200);
const CLOSING_POLL: Duration = Duration::from_millis(1);

/// A store in which the writers of a branch share its records. Calls never overlap within a process.
pub trait BranchStore: Send + Sync {
    /// All records under a name. A record that is missing was deleted. Each text has one line or several.
    fn load(&self, name: &str) -> Result<Vec<String>>;

    /// Stores a record under a name and a slot. An existing record is kept, and is not a failure.
    fn put_if_absent(&self, name: &str, slot: i64, record: &str) -> Result<()>;
}

/// A store, its settings, and what its calls need of the program.
#[derive(Clone)]
pub(super) struct StoreSettings {
    pub store: Arc<dyn BranchStore>,
    pub reporter: Arc<Reporter>,
    pub client: Client,
    pub key_id: String,
    pub rotation: Duration,
    pub timeout: Duration,
    pub ttl: Duration,
    pub form: BranchForm,
}

impl StoreSettings {
    /// The end of a log line about a failing store.
    fn fallback(&self) -> &'static str {
        match self.form {
            BranchForm::Embedded => "sealing continues with the known branch key or a local one",
            BranchForm::ByReference => "sealing continues with the known branch key, and fails without one",
        }
    }
}

/// The state of a store in one process.
pub(super) struct StoreSource {
    shared: Arc<Shared>,
    settings: Lender<StoreSettings>,
}

struct Shared {
    settings: Lent<StoreSettings>,
    cmk: String,
    /// The cache for keys that are generated here.
    keys: Arc<LruCache<BranchSecret>>,
    flight: SingleFlight<State>,
}

#[derive(Default)]
struct State {
    branches: HashMap<BranchId, Branch>,
    /// The tasks of the thread, which ends when there are none.
    queue: VecDeque<Queued>,
    /// The purpose of the last task that was begun.
    last: Purpose,
    /// The branches that rotate soon, and when. The thread waits for them.
    rotations: Vec<(Moment, BranchId)>,
    working: bool,
    /// When the running callback started.
    callback_since: Option<Moment>,
    /// Whether the log already says that it takes too long.
    complained: bool,
    /// Whether the keyring is being freed, so that no callback is started.
    closing: bool,
    /// The failures since the last success, of all branches.
    failures: u32,
    /// The end of the back-off for opening, and why. Otherwise messages that name ever new branches would cause a call each.
    no_loads_until: Option<(Moment, Error)>,
}

/// The greater one includes the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    /// Load the records.
    Load,
    /// Load the records, and generate the key of the current slot if there is none.
    Rotate,
}

/// Whom a task is for. If there are tasks of both kinds, they take turns, so that a flood of messages of many branches does not
/// keep others from being sealed.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Purpose {
    #[default]
    Open,
    Seal,
}

struct Queued {
    branch_id: BranchId,
    task: Task,
    purpose: Purpose,
    /// When it may run.
    at: Moment,
}

#[derive(Default)]
struct Branch {
    records: KnownRecords,
    queued: Option<(Task, Purpose)>,
    /// Whether sealing waited in vain for the queued task, and does not wait again.
    is_overdue: bool,
    /// The number of completed tasks.
    ended: u64,
    failures: u32,
    /// The end of the back-off.
    next_try: Option<Moment>,
    /// When the last successful load began.
    loaded: Option<Moment>,
    /// When this process generates the first key, unless another one does.
    first_key_at: Option<Moment>,
    /// Whether it is one of the rotations.
    is_scheduled: bool,
    last_error: Option<Error>,
    /// The last warning about invalid records.
    complaint: Option<String>,
}

/// The record of a branch for sealing.
enum Choice {
    Current(Arc<Known>),
    /// A record of an earlier slot, or one that the store no longer has, used until the new one exists.
    Earlier(Arc<Known>),
    Nothing,
}

impl StoreSource {
    pub fn new(settings: &StoreSettings, keys: &Arc<LruCache<BranchSecret>>) -> Self {
        let cmk = make::cmk_name(&settings.client, &settings.key_id);
        let (settings, lent) = Lender::lend(settings.clone());
        let flight = SingleFlight::new(State::default());
        Self { shared: Arc::new(Shared { settings: lent, cmk, keys: Arc::clone(keys), flight }), settings }
    }

    /// Frees what this state of another process holds of the program. If a callback ran when the process forked, its userdata may be
    /// in the middle of a change, and is not freed.
    pub fn give_back(&self, proof: &NeverRunsAgain) {
        if self.shared.flight.try_lock().is_some_and(|state| state.callback_since.is_none()) {
            drop(self.settings.take_back(proof));
        }
    }

    /// The current record for sealing. `None` if the store has none, or returns none until `end`, so that a local key is used.
    pub fn current(&self, branch_id: &BranchId, end: Moment) -> Result<Option<Arc<Known>>> {
        let shared = &self.shared;
        let mut state = shared.flight.lock();
        let mut seen = None;
        loop {
            let (slot, now) = (shared.slot_of(branch_record::now()), Moment::now());
            let is_hung = state.is_hung(shared.settings.timeout);
            let branch = state.branch(branch_id);
            branch.records.drop_gone(shared.settings.ttl);
            let choice = branch.choose(shared, slot);
            let is_rotation_due = matches!(choice, Choice::Earlier(_)) && branch.is_rotation_due(now);
            let is_reload_due = !matches!(choice, Choice::Nothing) && branch.is_reload_due(now, shared);
            let wanted = match &choice {
                Choice::Current(_) | Choice::Earlier(_) => branch.is_stale(now, shared).then_some(Task::Load),
                // The CMK refused the record of the slot, which cannot be replaced.
                Choice::Nothing if branch.is_fresh(now, LOAD_INTERVAL) && branch.has_slot(shared, slot) => None,
                Choice::Nothing => Some(Task::Rotate),
            };
            let ended = branch.ended;
            let before = seen.filter(|(task, _)| Some(*task) == wanted).map_or(ended, |(_, before)| before);
            let has_ended = ended > before && branch.queued.is_none();
            let is_over = has_ended || is_hung || branch.is_backing_off(now) || branch.is_overdue;
            if let Some(task) = wanted.filter(|_| !is_over) {
                if end <= now {
                    // By reference there is no other key, so that the next call has to wait again.
                    if shared.settings.form == BranchForm::Embedded {
                        shared.log_overdue(state, branch_id);
                    }
                    return Ok(choice.known());
                }
                seen = Some((task, before));
                state = shared.enqueue_and_wait(state, branch_id, task, Purpose::Seal)?;
                continue;
            }
            if is_rotation_due {
                state = shared.schedule_rotation(state, branch_id);
            } else if is_reload_due {
                state = shared.enqueue(state, branch_id, Task::Load, Purpose::Seal);
            }
            if is_hung {
                shared.log_hung(state);
            }
            return Ok(choice.known());
        }
    }

    /// A known record, and whether the CMK refused it. `None` if it must be loaded first.
    pub fn find(&self, branch_id: &BranchId, version: &BranchVersion) -> Option<(Arc<Known>, bool)> {
        let (shared, now) = (&self.shared, Moment::now());
        let mut state = shared.flight.lock();
        let branch = state.branches.get_mut(branch_id)?;
        branch.records.drop_gone(shared.settings.ttl);
        let found = branch.records.find(version).filter(|_| !branch.is_stale(now, shared));
        if found.is_some() && branch.is_reload_due(now, shared) {
            drop(shared.enqueue(state, branch_id, Task::Load, Purpose::Open));
        }
        found
    }

    /// A record, which is loaded from the store if it is not known, or if the CMK refused the known one.
    pub fn find_or_load(&self, branch_id: &BranchId, version: &BranchVersion) -> Result<Option<Arc<Known>>> {
        let (shared, begun) = (&self.shared, Moment::now());
        let mut state = shared.flight.lock();
        loop {
            let now = Moment::now();
            let is_hung = state.is_hung(shared.settings.timeout);
            let branch = state.branch(branch_id);
            branch.records.drop_gone(shared.settings.ttl);
            let found = branch.records.find(version);
            let is_good = found.as_ref().is_some_and(|(_, is_refused)| !is_refused) && !branch.is_stale(now, shared);
            let known = found.map(|(known, _)| known);
            // A load that began earlier may have missed a record that was stored meanwhile.
            if is_good || branch.loaded.is_some_and(|loaded| loaded >= begun) {
                return Ok(known);
            }
            if branch.is_backing_off(now) {
                let error = branch.last_error.clone();
                return known.map_or(error.map_or(Ok(None), Err), |known| Ok(Some(known)));
            }
            if let Some((_, error)) = state.no_loads_until.as_ref().filter(|(end, _)| now < *end) {
                return known.map_or(Err(error.clone()), |known| Ok(Some(known)));
            }
            let branch = state.branch(branch_id);
            if is_hung {
                let error = shared.log_hung(state);
                return known.map_or(Err(error), |known| Ok(Some(known)));
            }
            state = if branch.queued.is_none() && branch.is_fresh(now, LOAD_INTERVAL) {
                shared.wait(state)?
            } else {
                shared.enqueue_and_wait(state, branch_id, Task::Load, Purpose::Open)?
            };
        }
    }

    /// A record in memory for which `passes` returns true.
    pub fn newest_of(&self, branch_id: &BranchId, passes: &dyn Fn(&Known) -> bool) -> Option<Arc<Known>> {
        self.shared.flight.lock().branches.get(branch_id)?.records.newest(passes)
    }

    /// Why the store returned no record.
    pub fn failure(&self, branch_id: &BranchId) -> Option<Error> {
        let state = self.shared.flight.lock();
        if state.is_hung(self.shared.settings.timeout) {
            return Some(too_long(self.shared.settings.timeout));
        }
        let branch = state.branches.get(branch_id)?;
        let unanswered =
            || Error::new(Status::BranchStoreFailed, "the store did not answer within the time limit of the call");
        branch.last_error.clone().or_else(|| branch.queued.is_some().then(unanswered))
    }

    pub fn refuse(&self, known: &Known) {
        self.shared.flight.lock().branch(&known.record.branch_id).records.refuse(known);
    }
}

/// The thread, and with it the last use of the program's userdata, ends before the keyring is freed, unless a callback or a request
/// takes too long. Then the thread is detached.
impl Drop for StoreSource {
    fn drop(&mut self) {
        self.shared.flight.lock().closing = true;
        let end = Moment::now() + CLOSING_TIME;
        while Arc::strong_count(&self.shared) > 1 && Moment::now() < end {
            std::thread::sleep(CLOSING_POLL);
        }
    }
}

impl State {
    fn branch(&mut self, branch_id: &BranchId) -> &mut Branch {
        if self.branches.len() >= BRANCHES_MAX && !self.branches.contains_key(branch_id) {
            self.branches.retain(|_, branch| branch.queued.is_some() || branch.is_scheduled);
        }
        self.branches.entry(branch_id.clone()).or_default()
    }

    /// Queues a task, unless it is queued or runs already.
    fn add(&mut self, branch_id: &BranchId, task: Task, purpose: Purpose) {
        let branch = self.branch(branch_id);
        let known = branch.queued;
        if known.is_some_and(|(known_task, known_purpose)| known_task >= task && known_purpose >= purpose) {
            return;
        }
        let (task, purpose) = known.map_or((task, purpose), |known| (known.0.max(task), known.1.max(purpose)));
        branch.queued = Some((task, purpose));
        let entry = known.and_then(|_| self.queue.iter_mut().find(|queued| queued.branch_id == *branch_id));
        match entry {
            Some(queued) => (queued.task, queued.purpose) = (task, purpose),
            None => self.queue.push_back(Queued { branch_id: branch_id.clone(), task, purpose, at: Moment::now() }),
        }
    }

    /// Queues the rotations whose time passes the test.
    fn begin_rotations(&mut self, is_due: impl Fn(Moment) -> bool) {
        while let Some(place) = self.rotations.iter().position(|(at, _)| is_due(*at)) {
            let (_, branch_id) = self.rotations.swap_remove(place);
            self.branch(&branch_id).is_scheduled = false;
            self.add(&branch_id, Task::Rotate, Purpose::Seal);
        }
    }

    /// Takes the next task that may run, of both purposes in turns. Loads come first: messages of existing branches wait for them.
    fn take_due(&mut self) -> Option<Queued> {
        let now = Moment::now();
        self.begin_rotations(|at| at <= now);
        let turns =
            if self.last == Purpose::Seal { [Purpose::Open, Purpose::Seal] } else { [Purpose::Seal, Purpose::Open] };
        let order = turns.into_iter().flat_map(|purpose| [(purpose, Task::Load), (purpose, Task::Rotate)]);
        let place = order.into_iter().find_map(|(purpose, task)| {
            let is_next = |queued: &Queued| queued.at <= now && (queued.purpose, queued.task) == (purpose, task);
            self.queue.iter().position(is_next)
        })?;
        let taken = self.queue.remove(place)?;
        self.last = taken.purpose;
        // While it runs, it serves all who ask for it.
        self.branch(&taken.branch_id).queued = Some((taken.task, Purpose::Seal));
        Some(taken)
    }

    fn settle(&mut self, branch_id: &BranchId, task: Task, error: Option<Error>) {
        self.failures = if error.is_some() { self.failures.saturating_add(1) } else { 0 };
        // One branch may fail for a reason of its own.
        let is_general = self.failures >= FAILURES_IN_ROW;
        self.no_loads_until = error.clone().filter(|_| is_general).map(|error| (Moment::now() + BACKOFF_FIRST, error));
        self.branch(branch_id).settle(task, error);
    }

    /// Whether a callback exceeds its timeout. No other callback is started before it returns.
    fn is_hung(&self, timeout: Duration) -> bool {
        self.callback_since.is_some_and(|since| Moment::now().since(since) > timeout)
    }
}

impl Choice {
    fn known(self) -> Option<Arc<Known>> {
        match self {
            Self::Current(known) | Self::Earlier(known) => Some(known),
            Self::Nothing => None,
        }
    }
}

impl Branch {
    /// The record of the current slot; else the newest earlier one, as long as its key may be cached. Records of later slots, which
    /// a wrong clock may cause, are ignored.
    fn choose(&self, shared: &Shared, slot: i64) -> Choice {
        let slot_of = |known: &Known| shared.slot_of(known.record.created);
        if let Some(known) = self.records.newest_present(&|known| slot_of(known) == slot) {
            return Choice::Current(known);
        }
        let ttl = i64::try_from(shared.settings.ttl.as_secs()).unwrap_or(i64::MAX);
        let now = branch_record::now();
        let is_usable = |slot_then: i64| slot_then <= slot && now < shared.end_of(slot_then).saturating_add(ttl);
        let earlier = self.records.newest_to_seal(shared.settings.form, &|known| is_usable(slot_of(known)));
        earlier.map_or(Choice::Nothing, Choice::Earlier)
    }

    /// Whether a rotation has to be scheduled.
    fn is_rotation_due(&self, now: Moment) -> bool {
        let is_queued = self.queued.is_some_and(|(task, _)| task == Task::Rotate);
        !is_queued && !self.is_scheduled && !self.is_backing_off(now)
    }

    /// Whether the slot has a record, even one that the CMK refused.
    fn has_slot(&self, shared: &Shared, slot: i64) -> bool {
        self.records.any_present(&|known| shared.slot_of(known.record.created) == slot)
    }

    fn is_backing_off(&self, now: Moment) -> bool {
        self.next_try.is_some_and(|moment| now < moment)
    }

    /// Whether the records were loaded less than `age` ago.
    fn is_fresh(&self, now: Moment, age: Duration) -> bool {
        self.loaded.is_some_and(|loaded| now.since(loaded) < age)
    }

    /// Whether a record may have been deleted for longer than its time to live. If the store fails, this is not known.
    fn is_stale(&self, now: Moment, shared: &Shared) -> bool {
        self.failures == 0 && !self.is_fresh(now, shared.reload_age())
    }

    /// Whether the records should be loaded in the background.
    fn is_reload_due(&self, now: Moment, shared: &Shared) -> bool {
        self.queued.is_none() && !self.is_backing_off(now) && !self.is_fresh(now, shared.reload_age() / RELOAD)
    }

    fn settle(&mut self, task: Task, error: Option<Error>) {
        let now = Moment::now();
        // A load may have been followed by another task meanwhile.
        self.queued = self.queued.filter(|(queued, _)| *queued != task);
        self.is_overdue = false;
        self.first_key_at = self.first_key_at.filter(|_| task == Task::Load);
        self.ended += 1;
        self.failures = if error.is_some() { self.failures + 1 } else { 0 };
        let backoff = BACKOFF_FIRST.saturating_mul(1 << self.failures.saturating_sub(1).min(6)).min(BACKOFF_MAX);
        self.next_try = error.as_ref().map(|_| now + backoff.mul_f64(0.5 + random::fraction() / 2.0));
        self.last_error = error;
    }
}

impl Shared {
    fn slot_of(&self, seconds: i64) -> i64 {
        seconds.div_euclid(self.slot_len())
    }

    fn end_of(&self, slot: i64) -> i64 {
        slot.saturating_add(1).saturating_mul(self.slot_len())
    }

    fn slot_len(&self) -> i64 {
        i64::try_from(self.settings.rotation.as_secs()).unwrap_or(i64::MAX).max(1)
    }

    /// The maximal time between loads. A shorter time to live does not cause more of them.
    fn reload_age(&self) -> Duration {
        self.settings.ttl.max(LOAD_INTERVAL)
    }

    fn enqueue_and_wait<'a>(
        self: &'a Arc<Self>,
        state: MutexGuard<'a, State>,
        branch_id: &BranchId,
        task: Task,
        purpose: Purpose,
    ) -> Result<MutexGuard<'a, State>> {
        let state = self.enqueue(state, branch_id, task, purpose);
        if state.branches.get(branch_id).is_none_or(|branch| branch.queued.is_none()) {
            return Ok(state);
        }
        self.wait(state)
    }

    /// Waits for the thread. What cancels the requests of the client cancels the wait.
    fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>> {
        self.settings.client.cancelable(call_control::check)?;
        Ok(self.flight.wait(state, call_control::time_left(WAIT)))
    }

    /// Queues a task for the thread.
    fn enqueue<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        branch_id: &BranchId,
        task: Task,
        purpose: Purpose,
    ) -> MutexGuard<'a, State> {
        state.add(branch_id, task, purpose);
        self.start_thread(state)
    }

    /// Rotates a branch at a random time soon, whether or not there is a message to seal then: programs that seal at the same moments
    /// would otherwise rotate at the same moments.
    fn schedule_rotation<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        branch_id: &BranchId,
    ) -> MutexGuard<'a, State> {
        // The greatest of several random numbers; a logarithm would need libm.
        let late = (0..ROTATION_DRAWS)
            .map(|_| random::fraction())
            .fold(0.0, |one, other| if one < other { other } else { one });
        let delay = ROTATION_JITTER.min(self.settings.rotation / 10).mul_f64(late);
        state.branch(branch_id).is_scheduled = true;
        state.rotations.push((Moment::now() + delay, branch_id.clone()));
        self.start_thread(state)
    }

    /// Starts the thread if it does not run.
    fn start_thread<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.working {
            return state;
        }
        state.working = true;
        let shared = Arc::clone(self);
        let started = signals::with_signals_blocked(|| threads::spawn(c"tckms-store", move || shared.work()));
        if let Err(error) = started {
            state.working = false;
            let message = format!("no thread could be started for the store: {error}");
            let error = Error::new(Status::BranchStoreFailed, message).with_os_errno(error.raw_os_error());
            state.begin_rotations(|_| true);
            while let Some(Queued { branch_id, task, .. }) = state.queue.pop_front() {
                state.settle(&branch_id, task, Some(error.clone()));
            }
        }
        state
    }

    /// Runs all tasks in order, except those that wait.
    fn work(&self) {
        struct Leave<'a>(&'a Shared);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.flight.lock().working = false;
            }
        }
        loop {
            let mut state = self.flight.lock();
            let Queued { branch_id, task, purpose, .. } = loop {
                if state.queue.is_empty() && state.rotations.is_empty() || state.closing {
                    // With the lock held, so that no task is added meanwhile.
                    state.working = false;
                    return;
                }
                match state.take_due() {
                    Some(queued) => break queued,
                    None => state = self.flight.wait(state, WAIT),
                }
            };
            let leave = Leave(self);
            let mut report = None;
            self.flight.run(
                state,
                || self.update(&branch_id, task),
                |state, outcome| {
                    state.callback_since = None;
                    let error = match outcome {
                        Some(Ok(Some(at))) => {
                            state.queue.push_back(Queued { branch_id: branch_id.clone(), task, purpose, at });
                            return;
                        }
                        Some(Ok(None)) => None,
                        Some(Err(error)) => Some(error),
                        None => Some(Error::new(Status::Internal, "the store panicked")),
                    };
                    report = error.clone();
                    state.settle(&branch_id, task, error);
                },
            );
            std::mem::forget(leave);
            if let Some(error) = report {
                self.settings.reporter.warn(format_args!(
                    "the records of branch {branch_id} could not be loaded: {}; {}",
                    error.message(),
                    self.settings.fallback()
                ));
            }
        }
    }

    /// Runs a task. Returns the time at which it runs again, if it has to wait.
    fn update(&self, branch_id: &BranchId, task: Task) -> Result<Option<Moment>> {
        let name = format!("{}/{branch_id}", self.cmk);
        let loaded = self.load(&name, branch_id)?;
        if task == Task::Load || self.has_slot(&loaded) {
            return Ok(None);
        }
        let again = self.wait_for_another(branch_id);
        if again.is_none() {
            self.make(&name, branch_id)?;
        }
        Ok(again)
    }

    /// If there is no known key to seal with, a writer waits for a random time, and checks meanwhile whether another one has stored a
    /// record. Returns the time of the next check.
    fn wait_for_another(&self, branch_id: &BranchId) -> Option<Moment> {
        let (slot, now) = (self.slot_of(branch_record::now()), Moment::now());
        let mut state = self.flight.lock();
        let branch = state.branch(branch_id);
        if !matches!(branch.choose(self, slot), Choice::Nothing) {
            return None;
        }
        let jitter = || FIRST_KEY_JITTER.min(self.settings.rotation / 10).mul_f64(random::fraction());
        let at = *branch.first_key_at.get_or_insert_with(|| now + jitter());
        (now < at).then(|| at.min(now + FIRST_KEY_POLL))
    }

    /// Whether the current slot has a record. One that the CMK refused counts as well, since it cannot be replaced.
    fn has_slot(&self, records: &[BranchRecord]) -> bool {
        let slot = self.slot_of(branch_record::now());
        records.iter().any(|record| self.slot_of(record.created) == slot)
    }

    /// Generates a key and stores its record. Then uses the record in the store, which may be that of another writer.
    fn make(&self, name: &str, branch_id: &BranchId) -> Result<()> {
        let created = branch_record::now();
        let (mut record, key) = make::generate(&self.settings.client, &self.settings.key_id, branch_id)?;
        self.settings.reporter.counters.keys_made.add(1);
        record.created = created;
        let line = record.to_string();
        self.call(|store| store.put_if_absent(name, self.slot_of(created), &line))?;
        let known = Known::new(record);
        let loaded = self.load(name, branch_id)?;
        if loaded.contains(&known.record) {
            let wanted = Wanted { ids: &[known.id], flight: known.id, bytes: 0 };
            self.keys.get(&wanted, |_| Ok(()), |_| Ok((known.id, BranchSecret::new(&key))))?;
            return Ok(());
        }
        if self.has_slot(&loaded) {
            return Ok(());
        }
        Err(Error::new(Status::BranchStoreFailed, "the store did not return the record that was stored"))
    }

    /// Loads the records under a name, and keeps those of this branch and CMK. A record that the store no longer has is used until
    /// its time to live ends. If the answer has malformed lines, nothing is known about records that it does not have.
    fn load(&self, name: &str, branch_id: &BranchId) -> Result<Vec<BranchRecord>> {
        let begun = Moment::now();
        let texts = self.call(|store| store.load(name))?;
        let (mut ours, mut refused, mut is_complete) = (Vec::new(), None, true);
        let lines = texts.iter().flat_map(|text| text.lines()).filter(|line| !line.trim_ascii().is_empty());
        for line in lines {
            match BranchRecord::parse(line) {
                Ok(record) if record.cmk == self.cmk && record.branch_id == *branch_id => ours.push(record),
                Ok(record) => {
                    let message = format!("a record belongs to branch {} and CMK {}", record.branch_id, record.cmk);
                    refused = self.refuse_record(Error::new(Status::InvalidBranchRecord, message));
                }
                Err(error) => (refused, is_complete) = (self.refuse_record(error), false),
            }
        }
        let mut state = self.flight.lock();
        let branch = state.branch(branch_id);
        let before = branch.loaded.replace(begun).unwrap_or(begun);
        let went = branch.records.replace(&ours, is_complete.then_some(before), self.settings.ttl);
        let complaint = refused.as_ref().map(|error| error.message().to_owned());
        let is_new = branch.complaint != complaint;
        branch.complaint = complaint;
        drop(state);
        self.settings.reporter.counters.records_gone.add(went);
        if let Some(error) = refused.filter(|_| is_new) {
            self.settings
                .reporter
                .warn(format_args!("the store returned an invalid record under {name}: {}", error.message()));
        }
        if went > 0 {
            let ttl = self.settings.ttl.as_secs();
            self.settings.reporter.warn(format_args!(
                "the store no longer has {went} records under {name}; they stay in use for at most {ttl} s"
            ));
        }
        Ok(ours)
    }

    /// Logs, once until the task is done, that sealing no longer waits for it.
    fn log_overdue(&self, mut state: MutexGuard<'_, State>, branch_id: &BranchId) {
        state.branch(branch_id).is_overdue = true;
        drop(state);
        let fallback = self.settings.fallback();
        self.settings
            .reporter
            .warn(format_args!("the store did not return the records of branch {branch_id} in time; {fallback}"));
    }

    /// Logs, once, that a callback takes too long.
    fn log_hung(&self, mut state: MutexGuard<'_, State>) -> Error {
        let error = too_long(self.settings.timeout);
        let is_known = std::mem::replace(&mut state.complained, true);
        drop(state);
        if !is_known {
            self.settings.reporter.counters.store_failures.add(1);
            self.settings.reporter.warn(format_args!("{}; {}", error.message(), self.settings.fallback()));
        }
        error
    }

    fn refuse_record(&self, error: Error) -> Option<Error> {
        self.settings.reporter.counters.records_refused.add(1);
        Some(error)
    }

    /// Calls the store. Exceeding the timeout is a failure, even if the callback succeeds.
    fn call<T>(&self, callback: impl FnOnce(&dyn BranchStore) -> Result<T>) -> Result<T> {
        self.settings.reporter.counters.store_calls.add(1);
        let begun = Moment::now();
        self.flight.lock().callback_since = Some(begun);
        let outcome = callback(&*self.settings.store);
        let mut state = self.flight.lock();
        state.callback_since = None;
        let is_counted = std::mem::take(&mut state.complained);
        drop(state);
        let took_too_long = Moment::now().since(begun) > self.settings.timeout;
        let outcome = if took_too_long { Err(too_long(self.settings.timeout)) } else { outcome };
        outcome.inspect_err(|_| self.settings.reporter.counters.store_failures.add(usize::from(!is_counted)))
    }
}

fn too_long(timeout: Duration) -> Error {
    let message = format!("a callback of the store of branch records took longer than {} ms", timeout.as_millis());
    Error::new(Status::BranchStoreFailed, message)
}
