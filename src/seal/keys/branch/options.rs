//! What a branch key is added to a keyring with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::seal::cache::{CACHE_AGE_MAX, CACHE_ENTRIES_MAX};
use crate::seal::format::branch_id::BranchId;
use crate::seal::format::branch_record::BranchRecords;
use crate::seal::format::branch_wrap::BranchForm;
use crate::seal::format::limits::checked;
use crate::seal::keys::branch::store_source::BranchStore;
use crate::status::Status;

/// Shortest and longest rotation period: a second, and ten years.
const ROTATION_MIN: Duration = Duration::from_secs(1);
const ROTATION_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);
/// Longest time that a callback of a store can be given.
const STORE_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Where the records of branches come from.
#[derive(Clone, Default)]
pub enum BranchSource {
    /// From nowhere: each process makes branch keys of its own.
    #[default]
    Own,
    /// From memory.
    Records(BranchRecords),
    /// From a file, which is read again when it changes.
    File(PathBuf),
    /// From a store that all writers share.
    Store(Arc<dyn BranchStore>),
}

/// How a CMK wraps data keys by way of branch keys. The defaults are those of [`Default`].
#[derive(Clone)]
pub struct BranchOptions {
    /// The branch that seals, and that is opened. Nothing if the keyring's supplier names the branch of each message.
    pub branch_id: Option<BranchId>,
    /// Where records come from.
    pub source: BranchSource,
    /// Whether messages carry their branch key along.
    pub form: BranchForm,
    /// How long a branch key is kept in memory, and so how long a disabled CMK goes unnoticed. 3600 seconds.
    pub ttl: Duration,
    /// How often writers that share a store make a new branch key. Only a store has it.
    pub rotation: Option<Duration>,
    /// How long a callback of a store may take. 2 seconds.
    pub store_timeout: Duration,
    /// Further branches that are opened.
    pub also_open: Vec<BranchId>,
    /// Opens every branch of the CMK.
    pub open_any: bool,
    /// How many branch keys are kept in memory. 1000.
    pub max_keys: usize,
}

impl Default for BranchOptions {
    fn default() -> Self {
        Self {
            branch_id: None,
            source: BranchSource::Own,
            form: BranchForm::Embedded,
            ttl: Duration::from_secs(3600),
            rotation: None,
            store_timeout: Duration::from_secs(2),
            also_open: Vec::new(),
            open_any: false,
            max_keys: 1000,
        }
    }
}

impl BranchOptions {
    pub(super) fn check(&self) -> Result<()> {
        check_time("time to live of branch keys", self.ttl, Duration::from_millis(1), CACHE_AGE_MAX)?;
        check_time("timeout of the store", self.store_timeout, Duration::from_millis(1), STORE_TIMEOUT_MAX)?;
        checked("number of branch keys", self.max_keys, CACHE_ENTRIES_MAX)?;
        match (&self.source, self.rotation) {
            (BranchSource::Store(_), rotation) => {
                check_time("rotation period", rotation.unwrap_or_default(), ROTATION_MIN, ROTATION_MAX)?;
            }
            (_, Some(_)) => {
                let message = "a rotation period is for a store; without one, whoever writes the records rotates";
                return Err(Error::new(Status::OutOfRange, message));
            }
            _ => {}
        }
        if self.form == BranchForm::ByReference && matches!(self.source, BranchSource::Own) {
            let message = "messages that only refer to their branch key need records, a file or a store";
            return Err(Error::new(Status::NoUsableKey, message));
        }
        Ok(())
    }
}

fn check_time(what: &str, value: Duration, least: Duration, most: Duration) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let (value, least, most) = (value.as_millis(), least.as_millis(), most.as_millis());
    Err(Error::new(Status::OutOfRange, format!("the {what} is {value} ms, {least} to {most} are allowed")))
}
