//! Records from a file, which is read again when it changes.

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sanitize::quoted;
use crate::seal::format::branch_id::{BranchId, BranchVersion};
use crate::seal::format::branch_record::BranchRecords;
use crate::seal::format::branch_wrap::BranchForm;
use crate::seal::keys::branch::counters::Reporter;
use crate::seal::keys::branch::known::{Known, KnownBranches};
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
        ttl: Duration,
        reporter: &Arc<Reporter>,
        (records, stamp, checked): (&BranchRecords, Stamp, Moment),
    ) -> Self {
        let branches = KnownBranches::of_cmk(records, cmk);
        let state = State { branches, stamp: Some(stamp), checked, is_unchecked: true, complaint: None };
        let (path, cmk, reporter) = (path.to_owned(), cmk.to_owned(), Arc::clone(reporter));
        Self { path, cmk, ttl, reporter, state: Mutex::new(state) }
    }

    /// The current record for sealing.
    pub fn newest(&self, branch_id: &BranchId, form: BranchForm) -> Option<Arc<Known>> {
        self.refreshed().branches.get(branch_id)?.newest_to_seal(form, &|_| true)
    }

    pub fn find(&self, branch_id: &BranchId, version: &BranchVersion) -> Option<Arc<Known>> {
        self.refreshed().branches.get(branch_id)?.find(version)
    }

    /// Why the file could not be used at the last check.
    pub fn complaint(&self) -> Option<String> {
        self.lock().complaint.clone()
    }

    /// A record for which `passes` returns true, as in memory.
    pub fn newest_of(&self, branch_id: &BranchId, passes: &dyn Fn(&Known) -> bool) -> Option<Arc<Known>> {
        self.lock().branches.get(branch_id)?.newest(passes)
    }

    pub fn refuse(&self, known: &Known) {
        self.lock().branches.refuse(known);
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
                (state.stamp, state.complaint) = (stamp, None);
                drop(state);
                self.reporter.counters.file_reads.add(usize::from(stamp.is_some()));
                self.reporter.counters.file_failures.add(usize::from(stamp.is_none()));
                self.reporter.counters.records_gone.add(went);
                if went > 0 {
                    self.reporter.warn(format_args!(
                        "file {} no longer contains {went} records; they stay in use for at most {} s",
                        quoted(&self.path.to_string_lossy()),
                        self.ttl.as_secs()
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
