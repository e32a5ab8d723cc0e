//! What a process knows of a store: the records of each branch, and the tasks that wait for the store.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::seal::format::branch_id::{BranchId, BranchVersion};
use crate::seal::format::branch_record::{self, BranchRecord};
use crate::seal::format::branch_wrap::BranchForm;
use crate::seal::keys::branch::branch_store::StoreSettings;
use crate::seal::keys::branch::failures::{BACKOFF_FIRST, Cause, Failures};
use crate::seal::keys::branch::known::{Known, KnownRecords};
use crate::seal::keys::branch::slots::Slots;
use crate::sys::clock::Moment;
use crate::sys::random;

/// After how many failures in a row, of any branches, opening loads no records for a second.
const FAILURES_IN_ROW: u32 = 10;
/// The maximal number of branches in memory.
const BRANCHES_MAX: usize = 100_000;

#[derive(Default)]
pub(super) struct State {
    pub branches: HashMap<BranchId, Branch>,
    /// The tasks of the thread, which ends when there are none.
    pub queue: VecDeque<Queued>,
    /// The purpose of the last task that was begun.
    last: Purpose,
    /// The branches that rotate soon, and when. The thread waits for them.
    pub rotations: Vec<(Moment, BranchId)>,
    pub working: bool,
    /// When the running callback started.
    pub callback_since: Option<Moment>,
    /// The branches that wait for a key to be generated.
    pub to_generate: VecDeque<BranchId>,
    /// The number of threads that generate keys.
    pub generators: usize,
    /// Whether the log already says that it takes too long.
    pub complained: bool,
    /// Whether the keyring is being freed, so that no callback is started.
    pub closing: bool,
    /// The failed loads since the last successful one, of all branches.
    failures: u32,
    /// The end of the back-off for opening, and why. Otherwise messages that name ever new branches would cause a call each.
    pub no_loads_until: Option<(Moment, Error)>,
    /// How long the last load took.
    pub load_time: Duration,
}

/// The greater one includes the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    /// Load the records.
    Load,
    /// Load the records, and generate the key of the current slot if there is none.
    Rotate,
}

/// Whom a task is for. If there are tasks of both kinds, they take turns, so that a flood of messages of many branches does not
/// keep others from being sealed.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    #[default]
    Open,
    Seal,
}

pub(super) struct Queued {
    pub branch_id: BranchId,
    pub task: Task,
    pub purpose: Purpose,
    /// When it may run.
    pub at: Moment,
}

#[derive(Default)]
pub(super) struct Branch {
    pub records: KnownRecords,
    pub queued: Option<(Task, Purpose)>,
    /// Whether sealing waited in vain for the queued task, and does not wait again.
    pub is_overdue: bool,
    /// The number of completed tasks.
    pub ended: u64,
    /// The failed loads.
    pub loads: Failures,
    /// The failed attempts to make the key of a slot, which say nothing about loads.
    pub makes: Failures,
    /// When the last successful load began.
    pub loaded: Option<Moment>,
    /// When this process generates the first key, unless another one does.
    pub first_key_at: Option<Moment>,
    /// Whether its key is being generated, or waits for that.
    pub is_generating: bool,
    /// The end of the longest call that waits for the key.
    pub key_needed_until: Option<Moment>,
    /// A record that was generated here, and that the store did not return yet.
    pub unstored: Option<BranchRecord>,
    /// When that was.
    pub generated: Option<Moment>,
    /// The version of the last record that was generated here and stored.
    pub own_version: Option<BranchVersion>,
    /// Whether it is one of the rotations.
    pub is_scheduled: bool,
    /// The last warning about invalid records.
    pub complaint: Option<String>,
}

/// What a task failed in.
pub(super) enum Failure {
    Load(Error),
    Generate(Error),
    Put(Error),
}

/// The record of a branch for sealing.
pub(super) enum Choice {
    Current(Arc<Known>),
    /// A record of an earlier slot, or one that the store no longer has, used until the new one exists.
    Earlier(Arc<Known>),
    Nothing,
}

impl State {
    pub fn branch(&mut self, branch_id: &BranchId) -> &mut Branch {
        if self.branches.len() >= BRANCHES_MAX && !self.branches.contains_key(branch_id) {
            self.branches.retain(|_, branch| branch.queued.is_some() || branch.is_scheduled || branch.is_generating);
        }
        self.branches.entry(branch_id.clone()).or_default()
    }

    /// Queues a task, unless it is queued or runs already.
    pub fn add(&mut self, branch_id: &BranchId, task: Task, purpose: Purpose) {
        let branch = self.branch(branch_id);
        let known = branch.queued;
        if task == Task::Rotate && branch.is_generating {
            return;
        }
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

    /// Replaces a rotation by the generation of the key. Meanwhile the branch can be loaded.
    pub fn begin_generation(&mut self, branch_id: &BranchId) {
        let branch = self.branch(branch_id);
        (branch.queued, branch.is_generating) = (None, true);
        self.to_generate.push_back(branch_id.clone());
    }

    /// Queues the rotations whose time passes the test.
    pub fn begin_rotations(&mut self, is_due: impl Fn(Moment) -> bool) {
        while let Some(place) = self.rotations.iter().position(|(at, _)| is_due(*at)) {
            let (_, branch_id) = self.rotations.swap_remove(place);
            self.branch(&branch_id).is_scheduled = false;
            self.add(&branch_id, Task::Rotate, Purpose::Seal);
        }
    }

    /// Takes the next task that may run, of both purposes in turns. Loads come first: messages of existing branches wait for them.
    pub fn take_due(&mut self) -> Option<Queued> {
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

    /// Records a load that succeeded. `has_slot` says whether the current slot has a record.
    pub fn loaded(&mut self, branch_id: &BranchId, has_slot: bool) {
        (self.failures, self.no_loads_until) = (0, None);
        let branch = self.branch(branch_id);
        branch.loads = Failures::default();
        if has_slot {
            branch.makes = Failures::default();
        }
    }

    pub fn settle(&mut self, branch_id: &BranchId, form: BranchForm, task: Task, failure: Option<Failure>) {
        if let Some(Failure::Load(error)) = &failure {
            self.failures = self.failures.saturating_add(1);
            // One branch may fail for a reason of its own.
            let is_general = self.failures >= FAILURES_IN_ROW;
            self.no_loads_until = is_general.then(|| (Moment::now() + BACKOFF_FIRST, error.clone()));
        }
        self.branch(branch_id).settle(form, task, failure);
    }

    /// Whether a callback exceeds its timeout. No other callback is started before it returns.
    pub fn is_hung(&self, timeout: Duration) -> bool {
        self.callback_since.is_some_and(|since| Moment::now().since(since) > timeout)
    }
}

impl Failure {
    /// A log line.
    pub fn report(&self, branch_id: &BranchId, settings: &StoreSettings) -> String {
        let fallback = settings.fallback();
        match self {
            Self::Load(error) => {
                format!("the records of branch {branch_id} could not be loaded: {}; {fallback}", error.message())
            }
            Self::Put(error) => {
                format!("the new key of branch {branch_id} could not be stored: {}; {fallback}", error.message())
            }
            Self::Generate(error) => format!(
                "no new key of branch {branch_id} could be generated: {}; sealing continues with the known one, or waits",
                error.message()
            ),
        }
    }
}

impl Choice {
    pub fn known(self) -> Option<Arc<Known>> {
        match self {
            Self::Current(known) | Self::Earlier(known) => Some(known),
            Self::Nothing => None,
        }
    }
}

impl Branch {
    /// The record of the current slot; else the newest earlier one, as long as its key may be cached. Records of later slots, which
    /// a wrong clock may cause, are ignored.
    pub fn choose(&self, slots: Slots, form: BranchForm, slot: i64) -> Choice {
        let slot_of = |known: &Known| slots.slot_of(known.record.created);
        if let Some(known) = self.records.newest_present(&|known| slot_of(known) == slot) {
            return Choice::Current(known);
        }
        let now = branch_record::now();
        let is_usable = |slot_then: i64| slot_then <= slot && slots.may_be_cached(slot_then, now);
        let earlier = self.records.newest_to_seal(form, &|known| is_usable(slot_of(known)));
        earlier.map_or(Choice::Nothing, Choice::Earlier)
    }

    /// Whether a task, or a greater one, is not done.
    pub fn is_busy(&self, task: Task) -> bool {
        self.queued.is_some() || task == Task::Rotate && self.is_generating
    }

    /// Whether a rotation has to be scheduled.
    pub fn is_rotation_due(&self, now: Moment) -> bool {
        let is_rotating = self.is_generating || self.queued.is_some_and(|(task, _)| task == Task::Rotate);
        !is_rotating && !self.is_scheduled && !self.is_backing_off(Task::Rotate, now)
    }

    /// Whether sealing does not wait for the store, which did not answer in time or fails. By reference there is no other key.
    /// A key of the process's own makes waiting for the service unnecessary as well.
    pub fn is_given_up(&self, task: Task, form: BranchForm, has_own_key: bool) -> bool {
        let makes_fail = self.makes.are_of_store() || has_own_key && self.makes.error.is_some();
        let fails = self.loads.error.is_some() || task == Task::Rotate && makes_fail;
        self.is_overdue || fails && form == BranchForm::Embedded
    }

    /// Chooses a random time at which this process generates the first key, unless another one does before. It leaves half of the
    /// caller's time.
    pub fn plan_first_key(&mut self, jitter: Duration, now: Moment, end: Moment) {
        let latest = end.since(now) / 2;
        let chosen = *self.first_key_at.get_or_insert_with(|| now + jitter.min(latest).mul_f64(random::fraction()));
        self.first_key_at = Some(chosen.min(now + latest));
    }

    /// Whether the slot has a record, even one that the CMK refused.
    pub fn has_slot(&self, slots: Slots, slot: i64) -> bool {
        self.records.any_present(&|known| slots.slot_of(known.record.created) == slot)
    }

    /// Why there is no key of the current slot, if it is the service alone that fails.
    pub fn error_of_service(&self) -> Option<&Error> {
        let is_service_alone = self.makes.is_of_service() && self.loads.error.is_none();
        self.makes.error.as_ref().filter(|_| is_service_alone)
    }

    /// Whether a task must not run yet.
    pub fn is_backing_off(&self, task: Task, now: Moment) -> bool {
        self.loads.is_backing_off(now) || task == Task::Rotate && self.makes.is_backing_off(now)
    }

    /// Whether the records were loaded less than `age` ago.
    pub fn is_fresh(&self, now: Moment, age: Duration) -> bool {
        self.loaded.is_some_and(|loaded| now.since(loaded) < age)
    }

    /// Whether a record may have been deleted for longer than its time to live. If the store fails, this is not known.
    pub fn is_stale(&self, now: Moment, slots: Slots) -> bool {
        self.loads.error.is_none() && !self.is_fresh(now, slots.reload_age())
    }

    /// Whether the records should be loaded in the background.
    pub fn is_reload_due(&self, now: Moment, slots: Slots) -> bool {
        self.queued.is_none() && !self.loads.is_backing_off(now) && !self.is_fresh(now, slots.early_reload_age())
    }

    fn settle(&mut self, form: BranchForm, task: Task, failure: Option<Failure>) {
        // A load may have been followed by another task meanwhile.
        self.queued = self.queued.filter(|(queued, _)| *queued != task);
        self.is_overdue = false;
        self.first_key_at = self.first_key_at.filter(|_| task == Task::Load);
        self.ended += 1;
        match failure {
            Some(Failure::Load(error)) => self.loads.add(error, Cause::Store(form)),
            Some(Failure::Generate(error)) => self.makes.add(error, Cause::Service),
            Some(Failure::Put(error)) => self.makes.add(error, Cause::Store(form)),
            None if task == Task::Rotate => (self.makes, self.generated) = (Failures::default(), None),
            None => {}
        }
    }
}
