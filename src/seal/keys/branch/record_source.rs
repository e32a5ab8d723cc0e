//! Where the records of a CMK's branch keys come from.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::sanitize::quoted;
use crate::seal::cache::lru::LruCache;
use crate::seal::format::branch_id::{BranchId, BranchVersion};
use crate::seal::format::branch_record::{BranchRecord, BranchRecords};
use crate::seal::format::branch_wrap::BranchSecret;
use crate::seal::keys::branch::branch_store::StoreSettings;
use crate::seal::keys::branch::counters::Reporter;
use crate::seal::keys::branch::file_source::FileSource;
use crate::seal::keys::branch::known::{Known, KnownBranches};
use crate::seal::keys::branch::options::{BranchOptions, BranchSource};
use crate::seal::keys::branch::record_file::{self, Stamp};
use crate::seal::keys::branch::slots::Slots;
use crate::seal::keys::branch::store_source::{StoreSource, StoreWait};
use crate::status::Status;
use crate::sys::clock::Moment;
use crate::sys::lend::NeverRunsAgain;

/// The initial records of a process, also of a forked one.
pub(super) enum Seed {
    Own,
    Records(BranchRecords),
    File(PathBuf, BranchRecords, Stamp, Moment),
    Store(StoreSettings),
}

/// The records of one process.
pub(super) enum RecordSource {
    /// No source: the process generates its own branch keys.
    Own,
    Records(Mutex<KnownBranches>),
    File(FileSource),
    Store(StoreSource),
}

impl Seed {
    pub fn new(
        client: &Client,
        key_id: &str,
        cmk: &str,
        options: &BranchOptions,
        reporter: &Arc<Reporter>,
    ) -> Result<Self> {
        let seed = match &options.source {
            BranchSource::Own => Self::Own,
            BranchSource::Records(records) => Self::Records(records.clone()),
            BranchSource::File(path) => {
                let moment = Moment::now();
                let (records, stamp) = record_file::read(path)?;
                // The process may change its folder later. One that has none keeps the path.
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                Self::File(path, records, stamp, moment)
            }
            BranchSource::Store(store) => Self::Store(StoreSettings {
                store: Arc::clone(store),
                reporter: Arc::clone(reporter),
                client: client.clone(),
                key_id: key_id.to_owned(),
                slots: Slots { rotation: options.rotation.unwrap_or_default(), ttl: options.ttl },
                timeout: options.store_timeout,
                form: options.form,
            }),
        };
        if let Self::Records(records) | Self::File(_, records, ..) = &seed {
            check_records(records, cmk, options.branch_id.as_ref())?;
        }
        Ok(seed)
    }
}

impl RecordSource {
    /// The source of a process. `keys` is its cache of branch keys.
    pub fn new(
        seed: &Seed,
        cmk: &str,
        options: &BranchOptions,
        reporter: &Arc<Reporter>,
        keys: &Arc<LruCache<BranchSecret>>,
    ) -> Self {
        match seed {
            Seed::Own => Self::Own,
            Seed::Records(records) => Self::Records(Mutex::new(KnownBranches::of_cmk(records, cmk))),
            Seed::File(path, records, stamp, read) => {
                Self::File(FileSource::new(path, cmk, options, reporter, (records, *stamp, *read)))
            }
            Seed::Store(settings) => Self::Store(StoreSource::new(settings, keys)),
        }
    }

    pub fn is_own(&self) -> bool {
        matches!(self, Self::Own)
    }

    pub fn is_store(&self) -> bool {
        matches!(self, Self::Store(_))
    }

    /// The current record for sealing. `None` without one, and if a key without a record is to be used. `wait` says how long to wait for a
    /// store.
    pub fn current(&self, branch_id: &BranchId, wait: &dyn Fn() -> StoreWait) -> Result<Option<Arc<Known>>> {
        Ok(match self {
            Self::Own => None,
            Self::Store(store) => store.current(branch_id, wait)?,
            Self::File(file) => file.newest(branch_id),
            Self::Records(branches) => lock(branches).get(branch_id).and_then(|records| records.newest(&|_| true)),
        })
    }

    /// A record in memory for which `passes` returns true, without a check of the source.
    pub fn newest_of(&self, branch_id: &BranchId, passes: &dyn Fn(&Known) -> bool) -> Option<Arc<Known>> {
        match self {
            Self::Own => None,
            Self::Store(store) => store.newest_of(branch_id, passes),
            Self::File(file) => file.newest_of(branch_id, passes),
            Self::Records(branches) => lock(branches).get(branch_id)?.newest(passes),
        }
    }

    /// A record by its version that the CMK did not refuse, without a call of the store.
    pub fn find(&self, branch_id: &BranchId, version: &BranchVersion) -> Option<Arc<Known>> {
        match self {
            Self::Own => None,
            Self::Store(store) => store.find(branch_id, version),
            Self::File(file) => file.find(branch_id, version),
            Self::Records(branches) => lock(branches).get(branch_id)?.find(version),
        }
    }

    /// The same, but an unknown one is loaded from the store. A load is recent enough if it began after `begun`.
    pub fn find_or_load(&self, branch_id: &BranchId, version: &BranchVersion, begun: Moment) -> Result<Arc<Known>> {
        let found = match self {
            Self::Store(store) => store.find_or_load(branch_id, version, begun)?,
            _ => self.find(branch_id, version),
        };
        found.ok_or_else(|| self.missing(branch_id, version, begun))
    }

    /// The error of a missing record, by a call that began then.
    pub fn missing(&self, branch_id: &BranchId, version: &BranchVersion, begun: Moment) -> Error {
        let message = format!("branch {branch_id} has no record of version {version}");
        let error = Error::new(Status::BranchRecordMissing, message);
        match self {
            Self::Own => error,
            Self::Store(store) => store.explain(error, branch_id, version),
            Self::File(file) => file.explain(error, branch_id, version, begun),
            Self::Records(branches) => lock(branches).explain(error, branch_id, version),
        }
    }

    /// Adds to the error of a branch without a record why the file cannot be used.
    pub fn explain(&self, error: Error) -> Error {
        match self {
            Self::File(file) => file.explain_complaint(error),
            _ => error,
        }
    }

    /// Whether finding a record would wait until the store may be called again.
    pub fn waits(&self, branch_id: &BranchId, version: &BranchVersion) -> bool {
        match self {
            Self::Store(store) => store.waits(branch_id, version),
            _ => false,
        }
    }

    /// Why the store returned no record.
    pub fn failure(&self, branch_id: &BranchId) -> Option<Error> {
        match self {
            Self::Store(store) => store.failure(branch_id),
            _ => None,
        }
    }

    /// Does not use a record for a while, because the CMK refused it.
    pub fn refuse(&self, known: &Known, error: &Error) {
        match self {
            Self::Own => {}
            Self::Store(store) => store.refuse(known, error),
            Self::File(file) => file.refuse(known, error),
            Self::Records(branches) => lock(branches).refuse(known, error),
        }
    }

    /// Frees what this state of another process holds of the program.
    pub fn give_back(&self, proof: &NeverRunsAgain) {
        if let Self::Store(store) = self {
            store.give_back(proof);
        }
    }
}

/// Refuses records if none can be used, so that the mistake is reported at once.
fn check_records(records: &BranchRecords, cmk: &str, branch_id: Option<&BranchId>) -> Result<()> {
    let refused = |message: String| Err(Error::new(Status::InvalidBranchRecord, message));
    let Some(first) = records.iter().next() else { return refused("there is no record of a branch key".to_owned()) };
    let is_ours = |record: &&BranchRecord| record.cmk == cmk;
    let mut ours = records.iter().filter(is_ours).peekable();
    if ours.peek().is_none() {
        return refused(format!("the records belong to CMK {}, not to {}", quoted(&first.cmk), quoted(cmk)));
    }
    match branch_id {
        Some(branch_id) if !ours.any(|record| record.branch_id == *branch_id) => {
            refused(format!("branch {branch_id} has no record under CMK {cmk}"))
        }
        _ => Ok(()),
    }
}

fn lock(branches: &Mutex<KnownBranches>) -> MutexGuard<'_, KnownBranches> {
    branches.lock().unwrap_or_else(PoisonError::into_inner)
}
