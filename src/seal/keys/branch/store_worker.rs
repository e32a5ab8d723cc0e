//! The thread that calls a store, so that a callback that hangs does not block other threads.

use std::ffi::CStr;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use crate::call_control::{self, CancelToken};
use crate::error::{Error, Result};
use crate::seal::cache::lru::LruCache;
use crate::seal::format::branch_id::BranchId;
use crate::seal::format::branch_record::{self, BranchRecord};
use crate::seal::format::branch_wrap::BranchSecret;
use crate::seal::keys::branch::branch_store::{BranchStore, StoreSettings};
use crate::seal::keys::branch::counters::use_after_removal;
use crate::seal::keys::branch::known::Known;
use crate::seal::keys::branch::store_state::{Branch, Choice, Failure, Purpose, Queued, State, Task};
use crate::status::Status;
use crate::sys::clock::Moment;
use crate::sys::lend::Lent;
use crate::sys::single_flight::SingleFlight;
use crate::sys::{random, signals, threads};

/// The maximal random delay before a rotation, so that few writers rotate at once. A slow store needs a longer one.
const ROTATION_JITTER: Duration = Duration::from_secs(5);
const ROTATION_JITTER_LOADS: u32 = 50;
/// The part of the delay in which only the writer that generated the last key rotates.
const ROTATION_LEAD: f64 = 0.25;
/// Of the others, most rotate late, so that however many they are, the second one comes some time after the first one, and finds its
/// record: the delay is the greatest of several random numbers. The best count is the logarithm of the number of writers.
const ROTATION_DRAWS: usize = 5;
/// How often the store is checked for a record of another writer during that time.
const FIRST_KEY_POLL: Duration = Duration::from_millis(250);
/// How often a thread that waits for the store checks whether its call is canceled or a callback hangs.
const WAIT: Duration = Duration::from_millis(20);

/// A store, the state of its records, and the thread that calls it, which runs while there are tasks.
pub(super) struct StoreWorker {
    pub settings: Lent<StoreSettings>,
    pub cmk: String,
    /// The cache for keys that are generated here.
    pub keys: Arc<LruCache<BranchSecret>>,
    pub flight: SingleFlight<State>,
    /// Ends the requests for keys when the keyring is freed.
    pub closing: CancelToken,
}

/// How a task went.
enum Progress {
    Done,
    /// It has to run again then.
    Again(Moment),
    /// It needs a key.
    Generate,
}

impl StoreWorker {
    /// The current slot.
    pub fn slot(&self) -> i64 {
        self.slot_of(branch_record::now())
    }

    fn slot_of(&self, seconds: i64) -> i64 {
        self.settings.slots.slot_of(seconds)
    }

    /// The record of a branch for sealing now.
    pub fn choose(&self, branch: &Branch) -> Choice {
        branch.choose(self.settings.slots, self.settings.form, self.slot())
    }

    pub fn enqueue_and_wait<'a>(
        self: &'a Arc<Self>,
        state: MutexGuard<'a, State>,
        branch_id: &BranchId,
        task: Task,
        purpose: Purpose,
    ) -> Result<MutexGuard<'a, State>> {
        let state = self.enqueue(state, branch_id, task, purpose);
        if state.branches.get(branch_id).is_none_or(|branch| !branch.is_busy(task)) {
            return Ok(state);
        }
        self.wait(state)
    }

    /// Waits for the thread. What cancels the requests of the client cancels the wait.
    pub fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>> {
        self.settings.client.cancelable(call_control::check)?;
        Ok(self.flight.wait(state, call_control::time_left(WAIT)))
    }

    /// Queues a task for the thread.
    pub fn enqueue<'a>(
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
    /// would otherwise rotate at the same moments. The writer of the last key comes first, so that usually there is one new key.
    pub fn schedule_rotation<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        branch_id: &BranchId,
        earlier: &Known,
    ) -> MutexGuard<'a, State> {
        let jitter = ROTATION_JITTER.max(state.load_time * ROTATION_JITTER_LOADS);
        let branch = state.branch(branch_id);
        branch.is_scheduled = true;
        let is_own = branch.own_version == Some(earlier.record.version);
        let late = if is_own { 0.0 } else { late_fraction() };
        let delay = self.settings.slots.delay(jitter).mul_f64(late);
        state.rotations.push((Moment::now() + delay, branch_id.clone()));
        self.start_thread(state)
    }

    /// Starts the thread if it does not run.
    pub fn start_thread<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.working {
            return state;
        }
        state.working = true;
        let worker = Arc::clone(self);
        if let Err(error) = spawn(c"tckms-store", "the store", move || worker.work()) {
            state.working = false;
            state.begin_rotations(|_| true);
            while let Some(Queued { branch_id, task, .. }) = state.queue.pop_front() {
                state.settle(&branch_id, self.settings.form, task, Some(Failure::Load(error.clone())));
            }
        }
        state
    }

    /// Runs all tasks in order, except those that wait.
    fn work(self: &Arc<Self>) {
        struct Leave<'a>(&'a StoreWorker);
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
                    let failure = match outcome {
                        Some(Ok(Progress::Again(at))) => {
                            state.queue.push_back(Queued { branch_id: branch_id.clone(), task, purpose, at });
                            return;
                        }
                        Some(Ok(Progress::Generate)) => return state.begin_generation(&branch_id),
                        Some(Ok(Progress::Done)) => None,
                        Some(Err(failure)) => Some(failure),
                        None => Some(Failure::Load(Error::new(Status::Internal, "the store panicked"))),
                    };
                    report = failure.as_ref().map(|failure| failure.report(&branch_id, &self.settings));
                    state.settle(&branch_id, self.settings.form, task, failure);
                },
            );
            std::mem::forget(leave);
            self.start_generator(self.flight.lock());
            if let Some(report) = report.filter(|_| !self.flight.lock().closing) {
                self.settings.reporter.warn(format_args!("{report}"));
            }
        }
    }

    /// Runs a task.
    fn update(&self, branch_id: &BranchId, task: Task) -> std::result::Result<Progress, Failure> {
        let name = format!("{}/{branch_id}", self.cmk);
        if let Some(record) = self.new_key(branch_id).filter(|_| task == Task::Rotate) {
            return self.store(&name, branch_id, &record).map(|()| Progress::Done);
        }
        let loaded = self.load(&name, branch_id).map_err(Failure::Load)?;
        if task == Task::Load || self.has_slot(&loaded) {
            return Ok(Progress::Done);
        }
        if let Some(at) = self.wait_for_another(branch_id) {
            return Ok(Progress::Again(at));
        }
        match self.unstored(branch_id) {
            Some(record) => self.store(&name, branch_id, &record).map(|()| Progress::Done),
            None => Ok(Progress::Generate),
        }
    }

    /// If there is no known key to seal with, a writer waits for a random time, and checks meanwhile whether another one has stored a
    /// record. Returns the time of the next check.
    fn wait_for_another(&self, branch_id: &BranchId) -> Option<Moment> {
        let now = Moment::now();
        let mut state = self.flight.lock();
        let branch = state.branch(branch_id);
        if !matches!(self.choose(branch), Choice::Nothing) {
            return None;
        }
        let at = branch.first_key_at?;
        (now < at).then(|| at.min(now + FIRST_KEY_POLL))
    }

    /// Whether the current slot has a record. One that the CMK refused counts as well, since it cannot be replaced.
    fn has_slot(&self, records: &[BranchRecord]) -> bool {
        let slot = self.slot();
        records.iter().any(|record| self.slot_of(record.created) == slot)
    }

    /// Stores a record. Then uses the record in the store, which may be that of another writer.
    fn store(&self, name: &str, branch_id: &BranchId, record: &BranchRecord) -> std::result::Result<(), Failure> {
        let line = record.to_string();
        let slot = self.slot_of(record.created);
        self.call(|store| store.put_if_absent(name, slot, &line)).map_err(Failure::Put)?;
        let loaded = self.load(name, branch_id).map_err(Failure::Load)?;
        let is_stored = loaded.contains(record);
        if !is_stored && !self.has_slot(&loaded) {
            let message = "the store did not return the record that was stored";
            return Err(Failure::Put(Error::new(Status::BranchStoreFailed, message)));
        }
        let mut state = self.flight.lock();
        let branch = state.branch(branch_id);
        branch.unstored = None;
        branch.own_version = is_stored.then_some(record.version);
        if let Some(known) = branch.records.find(&record.version).filter(|_| is_stored) {
            known.set_works();
        }
        Ok(())
    }

    /// The record that was just generated. The store was loaded before, so it is stored without another load.
    fn new_key(&self, branch_id: &BranchId) -> Option<BranchRecord> {
        let is_new = self.flight.lock().branch(branch_id).makes.error.is_none();
        self.unstored(branch_id).filter(|_| is_new)
    }

    /// The record that was generated for the current slot, maybe long ago: a store that fails must not cost a key for each attempt.
    fn unstored(&self, branch_id: &BranchId) -> Option<BranchRecord> {
        let slot = self.slot();
        let record = self.flight.lock().branch(branch_id).unstored.clone();
        record.filter(|record| self.slot_of(record.created) == slot)
    }

    /// Loads the records under a name, and keeps those of this branch and CMK. A record that the store no longer has is used until
    /// its time to live ends. If the answer has malformed lines, nothing is known about records that it does not have.
    fn load(&self, name: &str, branch_id: &BranchId) -> Result<Vec<BranchRecord>> {
        let begun = Moment::now();
        let texts = self.call(|store| store.load(name))?;
        self.flight.lock().load_time = Moment::now().since(begun);
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
        state.loaded(branch_id, self.has_slot(&ours));
        let branch = state.branch(branch_id);
        let before = branch.loaded.replace(begun).unwrap_or(begun);
        let went = branch.records.replace(&ours, is_complete.then_some(before), self.settings.slots.ttl);
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
            let later = use_after_removal(self.settings.form, self.settings.slots.ttl);
            self.settings.reporter.warn(format_args!("the store no longer has {went} records under {name}; {later}"));
        }
        Ok(ours)
    }

    /// Logs, once until the task is done, that sealing no longer waits for it.
    pub fn log_overdue(&self, mut state: MutexGuard<'_, State>, branch_id: &BranchId) {
        state.branch(branch_id).is_overdue = true;
        drop(state);
        let fallback = self.settings.fallback();
        self.settings
            .reporter
            .warn(format_args!("the store did not return the records of branch {branch_id} in time; {fallback}"));
    }

    /// Logs, once, that a callback takes too long.
    pub fn log_hung(&self, mut state: MutexGuard<'_, State>) -> Error {
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

/// Starts a thread that receives no signals.
pub(super) fn spawn(name: &'static CStr, purpose: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    signals::with_signals_blocked(|| threads::spawn(name, work)).map(drop).map_err(|error| {
        let message = format!("no thread could be started for {purpose}: {error}");
        Error::new(Status::BranchStoreFailed, message).with_os_errno(error.raw_os_error())
    })
}

pub(super) fn too_long(timeout: Duration) -> Error {
    let message = format!("a callback of the store of branch records took longer than {} ms", timeout.as_millis());
    Error::new(Status::BranchStoreFailed, message)
}

/// A random part of the delay, mostly a late one.
fn late_fraction() -> f64 {
    // Without f64::max, which may need libm.
    let greatest =
        (0..ROTATION_DRAWS).map(|_| random::fraction()).fold(0.0, |one, other| if one < other { other } else { one });
    ROTATION_LEAD + (1.0 - ROTATION_LEAD) * greatest
}
