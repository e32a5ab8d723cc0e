//! The store of a program, and what its calls need.

use std::sync::Arc;
use std::time::Duration;

use crate::client::Client;
use crate::error::Result;
use crate::seal::format::branch_wrap::BranchForm;
use crate::seal::keys::branch::counters::Reporter;
use crate::seal::keys::branch::slots::Slots;

/// A store in which the writers of a branch share its records. Calls never overlap within a process.
pub trait BranchStore: Send + Sync {
    /// All records under a name. A record that is missing was deleted. Each text has one line or several.
    fn load(&self, name: &str) -> Result<Vec<String>>;

    /// Stores a record under a name and a slot. An existing record is kept, and is not a failure.
    fn put_if_absent(&self, name: &str, slot: i64, record: &str) -> Result<()>;
}

/// A store, its settings, and what its calls need of the program.
#[derive(Clone)]
pub(super) struct StoreSettings {
    pub store: Arc<dyn BranchStore>,
    pub reporter: Arc<Reporter>,
    pub client: Client,
    pub key_id: String,
    pub slots: Slots,
    pub timeout: Duration,
    pub form: BranchForm,
}

impl StoreSettings {
    /// The end of a log line about a failing store.
    pub fn fallback(&self) -> &'static str {
        match self.form {
            BranchForm::Embedded => "sealing continues with the known branch key or a local one",
            BranchForm::ByReference => "sealing continues with the known branch key, and fails without one",
        }
    }
}
