//! The generation of branch keys for a store, on threads of its own: a slow service delays neither loads nor other branches.

use std::mem;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use crate::call_control;
use crate::error::{Error, Result};
use crate::seal::cache::lru::Wanted;
use crate::seal::format::branch_id::BranchId;
use crate::seal::format::branch_record::BranchRecord;
use crate::seal::format::branch_wrap::BranchSecret;
use crate::seal::keys::branch::failures::Failures;
use crate::seal::keys::branch::known::Known;
use crate::seal::keys::branch::make;
use crate::seal::keys::branch::store_state::{Failure, Purpose, State, Task};
use crate::seal::keys::branch::store_worker::{StoreWorker, spawn};
use crate::status::Status;
use crate::sys::clock::Moment;

/// How many keys are generated at once.
const THREADS_MAX: usize = 16;
/// The minimal timeout of a request. A call with a shorter one leaves the key to later calls.
const TIMEOUT_MIN: Duration = Duration::from_secs(3);

impl StoreWorker {
    /// Starts a thread for a branch that was added to those whose keys are to be generated, unless there are enough threads.
    pub fn start_generator(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if state.closing || state.to_generate.is_empty() || state.generators >= THREADS_MAX {
            return;
        }
        state.generators += 1;
        let worker = Arc::clone(self);
        if let Err(error) = spawn(c"tckms-branch", "a branch key", move || worker.generate_all()) {
            state.generators -= 1;
            if state.generators == 0 {
                for branch_id in mem::take(&mut state.to_generate) {
                    state.branch(&branch_id).is_generating = false;
                    let failure = Failure::Put(error.clone());
                    state.settle(&branch_id, self.settings.form, Task::Rotate, Some(failure));
                }
            }
        }
    }

    /// Generates the keys of all branches that wait for one.
    fn generate_all(self: &Arc<Self>) {
        struct Leave<'a>(&'a StoreWorker);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.flight.lock().generators -= 1;
            }
        }
        loop {
            let mut state = self.flight.lock();
            let next = if state.closing { None } else { state.to_generate.pop_front() };
            let Some(branch_id) = next else {
                // With the lock held, so that no branch is added meanwhile.
                state.generators -= 1;
                return;
            };
            let end = state.branch(&branch_id).key_needed_until.take();
            let timeout = end.map(|end| end.since(Moment::now()).max(TIMEOUT_MIN));
            let leave = Leave(self);
            let report = self.flight.run(
                state,
                || self.generate(&branch_id, timeout),
                |state, outcome| {
                    let panicked = || Err(Error::new(Status::Internal, "the generation of a branch key panicked"));
                    self.settle_generation(state, &branch_id, outcome.unwrap_or_else(panicked))
                },
            );
            mem::forget(leave);
            let state = self.flight.lock();
            if !state.closing {
                drop(self.start_thread(state));
                if let Some(report) = report {
                    self.settings.reporter.warn(format_args!("{report}"));
                }
            }
        }
    }

    /// The store's thread then stores the record. Returns what to log.
    fn settle_generation(
        &self,
        state: &mut State,
        branch_id: &BranchId,
        outcome: Result<BranchRecord>,
    ) -> Option<String> {
        let branch = state.branch(branch_id);
        branch.is_generating = false;
        match outcome {
            Ok(record) => {
                (branch.unstored, branch.generated) = (Some(record), Some(Moment::now()));
                branch.makes = Failures::default();
                state.add(branch_id, Task::Rotate, Purpose::Seal);
                None
            }
            Err(error) => {
                let failure = Failure::Generate(error);
                let report = failure.report(branch_id, &self.settings);
                state.settle(branch_id, self.settings.form, Task::Rotate, Some(failure));
                Some(report)
            }
        }
    }

    fn generate(&self, branch_id: &BranchId, timeout: Option<Duration>) -> Result<BranchRecord> {
        let settings = &self.settings;
        let request = || make::generate(&settings.client, &settings.key_id, branch_id);
        let limited = || match timeout {
            Some(timeout) => call_control::with_timeout(timeout, request),
            None => request(),
        };
        let (record, key) = call_control::with_token(&self.closing, limited)?;
        settings.reporter.counters.keys_made.add(1);
        let known = Known::new(record);
        let wanted = Wanted { ids: &[known.id], flight: known.id, bytes: 0 };
        self.keys.get(&wanted, |_| Ok(()), |_| Ok((known.id, BranchSecret::new(&key))))?;
        Ok(known.record.clone())
    }
}
