//! The options of a branch key.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::seal::cache::{CACHE_AGE_MAX, CACHE_ENTRIES_MAX};
use crate::seal::format::branch_id::BranchId;
use crate::seal::format::branch_record::BranchRecords;
use crate::seal::format::branch_wrap::BranchForm;
use crate::seal::format::limits::checked;
use crate::seal::keys::branch::branch_store::BranchStore;
use crate::status::Status;

/// The limits of the rotation period: one second and ten years.
const ROTATION_MIN: Duration = Duration::from_secs(1);
const ROTATION_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);
/// The maximal timeout of a callback of a store.
const STORE_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// The source of the records.
#[derive(Clone, Default)]
pub enum BranchSource {
    /// No source: each process generates its own branch keys.
    #[default]
    Own,
    /// From memory.
    Records(BranchRecords),
    /// From a file, which is read again when it changes.
    File(PathBuf),
    /// From a store that all writers share.
    Store(Arc<dyn BranchStore>),
}

/// How a CMK wraps data keys through branch keys. The defaults are those of [`Default`].
#[derive(Clone)]
pub struct BranchOptions {
    /// The branch that seals and opens. `None` if the keyring's supplier names the branch of each message.
    pub branch_id: Option<BranchId>,
    /// The source of records.
    pub source: BranchSource,
    /// Whether messages contain their wrapped branch key.
    pub form: BranchForm,
    /// How long a branch key is kept in memory. A disabled CMK takes effect after that time. 3600 seconds.
    pub ttl: Duration,
    /// How often writers that share a store rotate the branch key. Only for a store.
    pub rotation: Option<Duration>,
    /// The timeout of a callback of a store. 2 seconds.
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
                let message = "a rotation period needs a store; without one, the writer of the records rotates";
                return Err(Error::new(Status::OutOfRange, message));
            }
            _ => {}
        }
        if self.form == BranchForm::ByReference && matches!(self.source, BranchSource::Own) {
            let message = "messages by reference need records, a file or a store";
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
