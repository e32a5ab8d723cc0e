//! Records from a store of the program, through which all writers of a branch agree on its key.
//!
//! Time is divided into slots of the rotation period. A writer that finds no record for the current slot generates a branch key and
//! stores its record with put-if-absent; then all writers load the stored record. The store is called on a separate thread, so a
//! callback that hangs does not block other threads: sealing continues with a known record.
//!
//! The records are loaded again within their time to live, because a record that was deleted from the store must not be used for
//! longer. The known ones stay in use while the store fails.

use std::sync::Arc;
use std::time::Duration;

use crate::call_control;
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

/// The state of a store in one process.
pub(super) struct StoreSource {
    worker: Arc<StoreWorker>,
    settings: Lender<StoreSettings>,
}

impl StoreSource {
    pub fn new(settings: &StoreSettings, keys: &Arc<LruCache<BranchSecret>>) -> Self {
        let cmk = make::cmk_name(&settings.client, &settings.key_id);
        let (settings, lent) = Lender::lend(settings.clone());
        let flight = SingleFlight::new(State::default());
        Self { worker: Arc::new(StoreWorker { settings: lent, cmk, keys: Arc::clone(keys), flight }), settings }
    }

    /// Frees what this state of another process holds of the program. If a callback ran when the process forked, its userdata may be
    /// in the middle of a change, and is not freed.
    pub fn give_back(&self, proof: &NeverRunsAgain) {
        if self.worker.flight.try_lock().is_some_and(|state| state.callback_since.is_none()) {
            drop(self.settings.take_back(proof));
        }
    }

    /// The current record for sealing. `None` if the store has none, or returns none until `end`, so that a local key is used.
    pub fn current(&self, branch_id: &BranchId, end: Moment) -> Result<Option<Arc<Known>>> {
        let (worker, slots) = (&self.worker, self.worker.settings.slots);
        let mut state = worker.flight.lock();
        let mut seen = None;
        loop {
            let now = Moment::now();
            let is_hung = state.is_hung(worker.settings.timeout);
            let branch = state.branch(branch_id);
            branch.records.drop_gone(slots.ttl);
            let choice = worker.choose(branch);
            let is_rotation_due = branch.is_rotation_due(now);
            let is_reload_due = !matches!(choice, Choice::Nothing) && branch.is_reload_due(now, slots);
            let wanted = match &choice {
                Choice::Current(_) | Choice::Earlier(_) => branch.is_stale(now, slots).then_some(Task::Load),
                // The CMK refused the record of the slot, which cannot be replaced.
                Choice::Nothing if branch.is_fresh(now, LOAD_INTERVAL) && branch.has_slot(slots, worker.slot()) => None,
                Choice::Nothing => Some(Task::Rotate),
            };
            if wanted == Some(Task::Rotate) {
                branch.plan_first_key(slots.delay(FIRST_KEY_JITTER), now, end);
            }
            let ended = branch.ended;
            let before = seen.filter(|(task, _)| Some(*task) == wanted).map_or(ended, |(_, before)| before);
            let has_ended = ended > before && branch.queued.is_none();
            let is_backing_off = branch.is_backing_off(now);
            let is_given_up = branch.is_given_up(worker.settings.form);
            let is_over = has_ended || is_hung || is_backing_off || is_given_up;
            if let Some(task) = wanted.filter(|_| !is_over) {
                if end <= now {
                    // By reference there is no other key, so that the next call has to wait again.
                    if worker.settings.form == BranchForm::Embedded {
                        worker.log_overdue(state, branch_id);
                    }
                    return Ok(choice.known());
                }
                seen = Some((task, before));
                state = worker.enqueue_and_wait(state, branch_id, task, Purpose::Seal)?;
                continue;
            }
            if let Choice::Earlier(earlier) = &choice
                && is_rotation_due
            {
                state = worker.schedule_rotation(state, branch_id, earlier);
            } else if is_reload_due {
                state = worker.enqueue(state, branch_id, Task::Load, Purpose::Seal);
            } else if let Some(task) = wanted.filter(|_| is_given_up && !is_backing_off && !is_hung) {
                state = worker.enqueue(state, branch_id, task, Purpose::Seal);
            }
            if is_hung {
                worker.log_hung(state);
            }
            return Ok(choice.known());
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
            if branch.is_backing_off(now) {
                let error = branch.last_error.clone();
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
                    return known.map_or_else(|| Err(too_soon(branch_id, version, since)), |known| Ok(Some(known)));
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
        branch.last_error.clone().or_else(|| branch.queued.is_some().then(unanswered))
    }

    pub fn refuse(&self, known: &Known) {
        self.worker.flight.lock().branch(&known.record.branch_id).records.refuse(known);
    }
}

/// The thread, and with it the last use of the program's userdata, ends before the keyring is freed, unless a callback or a request
/// takes too long. Then the thread is detached.
impl Drop for StoreSource {
    fn drop(&mut self) {
        self.worker.flight.lock().closing = true;
        let end = Moment::now() + CLOSING_TIME;
        while Arc::strong_count(&self.worker) > 1 && Moment::now() < end {
            std::thread::sleep(CLOSING_POLL);
        }
    }
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
