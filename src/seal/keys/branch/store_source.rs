//! Records from a store of the program, through which all writers of a branch agree on its key.
//!
//! Time is divided into slots of the rotation period. A writer that finds no record for the current slot generates a branch key and
//! stores its record with put-if-absent; then all writers load the stored record. The store is called on a separate thread, so a
//! callback that hangs does not block other threads: sealing continues with a known record.
//!
//! The records are loaded again within their time to live, because a record that was deleted from the store must not be used for
//! longer. The known ones stay in use while the store fails.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use crate::call_control::{self, CancelToken};
use crate::error::{Error, Result};
use crate::seal::cache::lru::LruCache;
use crate::seal::format::branch_id::{BranchId, BranchVersion};
use crate::seal::format::branch_wrap::{BranchForm, BranchSecret};
use crate::seal::keys::branch::branch_store::StoreSettings;
use crate::seal::keys::branch::known::Known;
use crate::seal::keys::branch::make;
use crate::seal::keys::branch::slots::LOAD_INTERVAL;
use crate::seal::keys::branch::store_state::{Branch, Choice, Purpose, State, Task};
use crate::seal::keys::branch::store_worker::{StoreWorker, too_long};
use crate::status::Status;
use crate::sys::clock::Moment;
use crate::sys::lend::{Lender, NeverRunsAgain};
use crate::sys::single_flight::SingleFlight;

/// The maximal random delay before the first key of a branch, for which messages wait.
const FIRST_KEY_JITTER: Duration = Duration::from_secs(3);
/// How long freeing a keyring waits for the thread, and its poll interval.
const CLOSING_TIME: Duration = Duration::from_millis(200);
const CLOSING_POLL: Duration = Duration::from_millis(1);

/// How long a call that seals waits.
pub(super) struct StoreWait {
    /// The end of the wait for the store, if there is another key then.
    pub for_store: Moment,
    /// The end of the wait for the service to generate a key of the branch. Another key would need the service as well.
    pub for_service: Moment,
    /// Whether the process has generated a key of its own that it can use.
    pub has_own_key: bool,
}

impl StoreWait {
    /// The end of the wait for the store if a key was generated then. Half of the remaining time is for storing it.
    fn for_store_after(&self, generated: Option<Moment>) -> Moment {
        generated.map_or(self.for_store, |then| self.for_store.max(then + self.for_service.since(then) / 2))
    }
}

/// What a call that seals does next.
enum Step {
    /// Seal with the record, or with another key if there is none. `again` says whether to queue the task for later calls.
    Seal {
        again: bool,
    },
    /// The same, because the store did not do the task in time.
    GiveUp,
    WaitForTask,
    /// Wait for the end of a back-off.
    Wait,
    Fail(Error),
}

/// The state of a store in one process.
pub(super) struct StoreSource {
    worker: Arc<StoreWorker>,
    settings: Lender<StoreSettings>,
}

impl StoreSource {
    pub fn new(settings: &StoreSettings, keys: &Arc<LruCache<BranchSecret>>) -> Self {
        let cmk = make::cmk_name(&settings.client, &settings.key_id);
        let (settings, lent) = Lender::lend(settings.clone());
        let (flight, closing) = (SingleFlight::new(State::default()), CancelToken::default());
        let worker = StoreWorker { settings: lent, cmk, keys: Arc::clone(keys), flight, closing };
        Self { worker: Arc::new(worker), settings }
    }

    /// Frees what this state of another process holds of the program. If a callback ran when the process forked, its userdata may be
    /// in the middle of a change, and is not freed.
    pub fn give_back(&self, proof: &NeverRunsAgain) {
        if self.worker.flight.try_lock().is_some_and(|state| state.callback_since.is_none()) {
            drop(self.settings.take_back(proof));
        }
    }

    /// The current record for sealing. `None` if the store has none, or returns none in time, so that a local key is used.
    /// `wait` is called if the record is not known.
    pub fn current(&self, branch_id: &BranchId, wait: &dyn Fn() -> StoreWait) -> Result<Option<Arc<Known>>> {
        let worker = &self.worker;
        let mut state = worker.flight.lock();
        let (mut limits, mut awaited) = (None, None);
        loop {
            let (choice, wanted) = self.choose(&mut state, branch_id);
            let Some(task) = wanted else {
                self.work_ahead(state, branch_id, &choice, None);
                return Ok(choice.known());
            };
            let limits = limits.get_or_insert_with(wait);
            state = match self.step(&mut state, branch_id, task, limits, &mut awaited) {
                Step::Fail(error) => return Err(error),
                Step::WaitForTask => worker.enqueue_and_wait(state, branch_id, task, Purpose::Seal)?,
                Step::Wait => worker.wait(state)?,
                Step::GiveUp => {
                    state = worker.enqueue(state, branch_id, task, Purpose::Seal);
                    worker.log_overdue(state, branch_id);
                    return Ok(choice.known());
                }
                Step::Seal { again } => {
                    self.work_ahead(state, branch_id, &choice, again.then_some(task));
                    return Ok(choice.known());
                }
            };
        }
    }

    /// The record for sealing now, and the task that has to be done before.
    fn choose(&self, state: &mut State, branch_id: &BranchId) -> (Choice, Option<Task>) {
        let (worker, slots, now) = (&self.worker, self.worker.settings.slots, Moment::now());
        let branch = state.branch(branch_id);
        branch.records.drop_gone(slots.ttl);
        let choice = worker.choose(branch);
        let wanted = match &choice {
            Choice::Current(_) | Choice::Earlier(_) => branch.is_stale(now, slots).then_some(Task::Load),
            // The CMK refused the record of the slot, which cannot be replaced.
            Choice::Nothing if branch.is_fresh(now, LOAD_INTERVAL) && branch.has_slot(slots, worker.slot()) => None,
            Choice::Nothing => Some(Task::Rotate),
        };
        (choice, wanted)
    }

    /// What a call that needs a task does. `awaited` is the task that it has waited for, and how many had ended before.
    fn step(
        &self,
        state: &mut State,
        branch_id: &BranchId,
        task: Task,
        wait: &StoreWait,
        awaited: &mut Option<(Task, u64)>,
    ) -> Step {
        let (now, settings) = (Moment::now(), &self.worker.settings);
        let is_hung = state.is_hung(settings.timeout);
        let branch = state.branch(branch_id);
        let before = awaited.filter(|(awaited, _)| *awaited == task).map_or(branch.ended, |(_, before)| before);
        *awaited = Some((task, before));
        let has_ended = branch.ended > before && !branch.is_busy(task);
        let is_backing_off = branch.is_backing_off(task, now);
        let needs_service = task == Task::Rotate && !wait.has_own_key && !is_hung;
        let error = branch.error_of_service().filter(|_| needs_service).cloned();
        let waits_for_service = needs_service && (branch.is_generating || error.is_some());
        let end = if waits_for_service { wait.for_service } else { wait.for_store_after(branch.generated) };
        if task == Task::Rotate {
            branch.plan_first_key(settings.slots.delay(FIRST_KEY_JITTER), now, end);
            branch.key_needed_until = branch.key_needed_until.max(Some(wait.for_service));
        }
        if let Some(error) = error {
            let is_final = has_ended || is_backing_off && !error.is_retryable();
            return match () {
                () if is_final || end <= now => Step::Fail(error),
                () if is_backing_off => Step::Wait,
                () => Step::WaitForTask,
            };
        }
        let is_given_up = branch.is_given_up(task, settings.form, wait.has_own_key);
        if has_ended || is_hung || is_backing_off || is_given_up {
            return Step::Seal { again: is_given_up && !is_backing_off && !is_hung };
        }
        match settings.form {
            _ if now < end => Step::WaitForTask,
            _ if waits_for_service => Step::Fail(no_key_in_time()),
            BranchForm::Embedded => Step::GiveUp,
            // There is no other key, so that the next call has to wait again.
            BranchForm::ByReference => Step::Seal { again: false },
        }
    }

    /// Queues what later calls need: a rotation, a load, or else a task that this call did not wait for.
    fn work_ahead<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        branch_id: &BranchId,
        choice: &Choice,
        task: Option<Task>,
    ) {
        let (worker, now) = (&self.worker, Moment::now());
        let is_hung = state.is_hung(worker.settings.timeout);
        let branch = state.branch(branch_id);
        let has_record = !matches!(choice, Choice::Nothing);
        if let Choice::Earlier(earlier) = choice
            && branch.is_rotation_due(now)
        {
            state = worker.schedule_rotation(state, branch_id, earlier);
        } else if has_record && branch.is_reload_due(now, worker.settings.slots) {
            state = worker.enqueue(state, branch_id, Task::Load, Purpose::Seal);
        } else if let Some(task) = task {
            state = worker.enqueue(state, branch_id, task, Purpose::Seal);
        }
        if is_hung {
            worker.log_hung(state);
        }
    }

    /// A known record that the CMK did not refuse. `None` if it must be loaded first.
    pub fn find(&self, branch_id: &BranchId, version: &BranchVersion) -> Option<Arc<Known>> {
        let (worker, slots, now) = (&self.worker, self.worker.settings.slots, Moment::now());
        let mut state = worker.flight.lock();
        let branch = state.branches.get_mut(branch_id)?;
        branch.records.drop_gone(slots.ttl);
        let found = branch.records.find(version).filter(|_| !branch.is_stale(now, slots));
        if found.is_some() && branch.is_reload_due(now, slots) {
            drop(worker.enqueue(state, branch_id, Task::Load, Purpose::Open));
        }
        found
    }

    /// Whether finding a record would wait until the records may be loaded again, because the last load did not return it.
    pub fn waits(&self, branch_id: &BranchId, version: &BranchVersion) -> bool {
        let state = self.worker.flight.lock();
        let is_bad = |branch: &Branch| branch.records.find(version).is_none();
        state
            .branches
            .get(branch_id)
            .is_some_and(|branch| branch.is_fresh(Moment::now(), LOAD_INTERVAL) && is_bad(branch))
    }

    /// A record that the CMK did not refuse. It is loaded from the store if it is not known; a load is recent enough if it began after
    /// `begun`.
    pub fn find_or_load(
        &self,
        branch_id: &BranchId,
        version: &BranchVersion,
        begun: Moment,
    ) -> Result<Option<Arc<Known>>> {
        let (worker, slots) = (&self.worker, self.worker.settings.slots);
        let mut state = worker.flight.lock();
        loop {
            let now = Moment::now();
            let is_hung = state.is_hung(worker.settings.timeout);
            let branch = state.branch(branch_id);
            branch.records.drop_gone(slots.ttl);
            let known = branch.records.find(version);
            let is_good = known.is_some() && !branch.is_stale(now, slots);
            // A load that began earlier may have missed a record that was stored meanwhile.
            if is_good || branch.loaded.is_some_and(|loaded| loaded >= begun) {
                return Ok(known);
            }
            if branch.loads.is_backing_off(now) {
                let error = branch.loads.error.clone();
                return known.map_or(error.map_or(Ok(None), Err), |known| Ok(Some(known)));
            }
            if let Some((_, error)) = state.no_loads_until.as_ref().filter(|(end, _)| now < *end) {
                return known.map_or(Err(error.clone()), |known| Ok(Some(known)));
            }
            let branch = state.branch(branch_id);
            if is_hung {
                let error = worker.log_hung(state);
                return known.map_or(Err(error), |known| Ok(Some(known)));
            }
            state = if branch.queued.is_none() && branch.is_fresh(now, LOAD_INTERVAL) {
                let since = branch.loaded.map_or(Duration::ZERO, |loaded| now.since(loaded));
                if call_control::time_left(LOAD_INTERVAL) + since < LOAD_INTERVAL {
                    let too_soon = || branch.records.explain(too_soon(branch_id, version, since), version);
                    return known.map_or_else(|| Err(too_soon()), |known| Ok(Some(known)));
                }
                worker.wait(state)?
            } else {
                worker.enqueue_and_wait(state, branch_id, Task::Load, Purpose::Open)?
            };
        }
    }

    /// A record in memory for which `passes` returns true.
    pub fn newest_of(&self, branch_id: &BranchId, passes: &dyn Fn(&Known) -> bool) -> Option<Arc<Known>> {
        self.worker.flight.lock().branches.get(branch_id)?.records.newest(passes)
    }

    /// Why the store returned no record.
    pub fn failure(&self, branch_id: &BranchId) -> Option<Error> {
        let state = self.worker.flight.lock();
        if state.is_hung(self.worker.settings.timeout) {
            return Some(too_long(self.worker.settings.timeout));
        }
        let branch = state.branches.get(branch_id)?;
        let unanswered =
            || Error::new(Status::BranchStoreFailed, "the store did not answer within the time limit of the call");
        let error = branch.loads.error.as_ref().or(branch.makes.error.as_ref());
        error.cloned().or_else(|| branch.queued.is_some().then(unanswered))
    }

    pub fn refuse(&self, known: &Known, error: &Error) {
        self.worker.flight.lock().branch(&known.record.branch_id).records.refuse(known, error);
    }

    /// Adds to the error of a missing record that the CMK refused one.
    pub fn explain(&self, error: Error, branch_id: &BranchId, version: &BranchVersion) -> Error {
        match self.worker.flight.lock().branches.get(branch_id) {
            Some(branch) => branch.records.explain(error, version),
            None => error,
        }
    }
}

/// The threads, and with them the last use of the program's userdata, end before the keyring is freed, unless a callback takes too long.
/// Then the store's thread is detached.
impl Drop for StoreSource {
    fn drop(&mut self) {
        self.worker.flight.lock().closing = true;
        self.worker.closing.cancel();
        let end = Moment::now() + CLOSING_TIME;
        while Arc::strong_count(&self.worker) > 1 && Moment::now() < end {
            std::thread::sleep(CLOSING_POLL);
        }
    }
}

fn no_key_in_time() -> Error {
    Error::new(Status::TimedOut, "the service did not generate the branch key within the time limit of the call")
}

/// It is not known whether there is a record, so the same call may succeed later.
fn too_soon(branch_id: &BranchId, version: &BranchVersion, since: Duration) -> Error {
    let message = format!(
        "branch {branch_id} has no record of version {version} among those that were loaded {} ms ago, and the call has no time to \
         wait until they can be loaded again",
        since.as_millis()
    );
    Error::new(Status::BranchRecordMissing, message).with_retryable(true)
}
