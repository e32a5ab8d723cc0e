//! Records from a file, which is read again when it changes.

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::sanitize::quoted;
use crate::seal::format::branch_id::{BranchId, BranchVersion};
use crate::seal::format::branch_record::BranchRecords;
use crate::seal::format::branch_wrap::BranchForm;
use crate::seal::keys::branch::counters::{Reporter, use_after_removal};
use crate::seal::keys::branch::known::{Known, KnownBranches};
use crate::seal::keys::branch::options::BranchOptions;
use crate::seal::keys::branch::record_file::{self, Stamp};
use crate::sys::clock::Moment;

/// How often the stamp of the file is checked while it is in use.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A file, and its records at the last successful read.
pub(super) struct FileSource {
    path: PathBuf,
    cmk: String,
    /// How long a record can be used after it disappeared from the file.
    ttl: Duration,
    form: BranchForm,
    reporter: Arc<Reporter>,
    state: Mutex<State>,
}

struct State {
    branches: KnownBranches,
    stamp: Option<Stamp>,
    /// The last check of the file.
    checked: Moment,
    /// Before the first check in this process, the file may have changed since it was added.
    is_unchecked: bool,
    /// The last warning about the file.
    complaint: Option<String>,
}

impl FileSource {
    /// `records` and `stamp` describe the file when the key was added to its keyring, at `checked`.
    pub fn new(
        path: &Path,
        cmk: &str,
        options: &BranchOptions,
        reporter: &Arc<Reporter>,
        (records, stamp, checked): (&BranchRecords, Stamp, Moment),
    ) -> Self {
        let branches = KnownBranches::of_cmk(records, cmk);
        let state = State { branches, stamp: Some(stamp), checked, is_unchecked: true, complaint: None };
        let (path, cmk, reporter) = (path.to_owned(), cmk.to_owned(), Arc::clone(reporter));
        Self { path, cmk, ttl: options.ttl, form: options.form, reporter, state: Mutex::new(state) }
    }

    /// The current record for sealing.
    pub fn newest(&self, branch_id: &BranchId) -> Option<Arc<Known>> {
        self.refreshed().branches.current(branch_id, self.ttl)?.newest_to_seal(self.form, &|_| true)
    }

    pub fn find(&self, branch_id: &BranchId, version: &BranchVersion) -> Option<Arc<Known>> {
        self.refreshed().branches.current(branch_id, self.ttl)?.find(version)
    }

    /// Adds to the error of a missing record that the CMK refused one, or why the file may have it: it cannot be used, or it was not
    /// checked after `begun`. Then the same call may succeed later.
    pub fn explain(&self, error: Error, branch_id: &BranchId, version: &BranchVersion, begun: Moment) -> Error {
        let state = self.lock();
        let error = state.branches.explain(error, branch_id, version);
        if state.complaint.is_some() || state.checked >= begun {
            drop(state);
            return self.explain_complaint(error);
        }
        let age = Moment::now().since(state.checked).as_millis();
        let reason = format_args!("the file was checked {age} ms ago, and is checked once a second at most");
        error.with_reason(reason).with_retryable(true)
    }

    /// Adds to an error why the file could not be used at the last check.
    pub fn explain_complaint(&self, error: Error) -> Error {
        match &self.lock().complaint {
            Some(complaint) => error.with_reason(format_args!("{complaint}")).with_retryable(true),
            None => error,
        }
    }

    /// A record for which `passes` returns true, as in memory.
    pub fn newest_of(&self, branch_id: &BranchId, passes: &dyn Fn(&Known) -> bool) -> Option<Arc<Known>> {
        self.lock().branches.current(branch_id, self.ttl)?.newest(passes)
    }

    pub fn refuse(&self, known: &Known, error: &Error) {
        self.lock().branches.refuse(known, error);
    }

    /// The state, after a check of the file if the last one was too long ago. One thread checks, the others continue.
    fn refreshed(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        let now = Moment::now();
        if now.since(state.checked) < CHECK_INTERVAL && !state.is_unchecked {
            return state;
        }
        state.is_unchecked = false;
        let since = mem::replace(&mut state.checked, now);
        state.branches.drop_gone(self.ttl);
        let known = state.stamp;
        drop(state);
        if Stamp::at(&self.path) != known || known.is_none() {
            self.reread(since);
        }
        self.lock()
    }

    /// Reads the file again. A file that cannot be used changes nothing, and is checked again later. A record that it no longer has
    /// may have disappeared just after the last check.
    fn reread(&self, since: Moment) {
        match record_file::read_again(&self.path) {
            Ok((records, stamp)) => {
                let ours: Vec<_> = records.iter().filter(|record| record.cmk == self.cmk).collect();
                let mut state = self.lock();
                let went = state.branches.replace(&ours, since, self.ttl);
                (state.stamp, state.complaint) = (stamp, stamp.is_none().then(|| self.is_missing()));
                drop(state);
                self.reporter.counters.file_reads.add(usize::from(stamp.is_some()));
                self.reporter.counters.file_failures.add(usize::from(stamp.is_none()));
                self.reporter.counters.records_gone.add(went);
                if went > 0 {
                    self.reporter.warn(format_args!(
                        "file {} no longer contains {went} records; {}",
                        self.shown(),
                        use_after_removal(self.form, self.ttl)
                    ));
                }
            }
            Err(error) => {
                self.reporter.counters.file_failures.add(1);
                let mut state = self.lock();
                state.stamp = None;
                let is_new = state.complaint.as_deref() != Some(error.message());
                state.complaint = Some(error.message().to_owned());
                drop(state);
                if is_new {
                    self.reporter.warn(format_args!("{}; the records known before stay in use", error.message()));
                }
            }
        }
    }

    fn is_missing(&self) -> String {
        format!("file {} does not exist", self.shown())
    }

    fn shown(&self) -> String {
        quoted(&self.path.to_string_lossy())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
