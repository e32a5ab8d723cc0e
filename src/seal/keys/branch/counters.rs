//! Counters and log lines of branch keys.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::client::Client;
use crate::log::LogLevel;
use crate::seal::format::branch_wrap::BranchForm;

/// Statistics of the branch keys of a keyring since they were added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BranchStats {
    /// Requests that generated a branch key (`GenerateDataKey`).
    pub keys_made: u64,
    /// Requests that unwrapped a branch key (`Decrypt`).
    pub keys_unwrapped: u64,
    /// Data keys that were wrapped.
    pub wraps: u64,
    /// Those of them that were wrapped under a branch key of this process's own, because no record was
    /// available.
    pub own_key_wraps: u64,
    /// Data keys that were unwrapped.
    pub unwraps: u64,
    /// Files that were read again because they changed.
    pub file_reads: u64,
    /// Files that could not be used, so that the records known before stayed in use, or that were missing.
    pub file_failures: u64,
    /// Calls of the store's callbacks.
    pub store_calls: u64,
    /// Callbacks of the store that failed, took too long or returned nothing.
    pub store_failures: u64,
    /// Records that are not used: of another branch or CMK, malformed, or refused by the CMK.
    pub records_refused: u64,
    /// Records that disappeared from the file or the store.
    pub records_gone: u64,
}

macro_rules! counters {
    ($($name:ident),*) => {
        /// The counters behind [`BranchStats`]: plain atomics, so that counting neither locks nor waits.
        #[derive(Default)]
        pub(super) struct Counters { $(pub $name: Counter),* }

        impl Counters {
            fn read(&self) -> BranchStats {
                BranchStats { $($name: self.$name.0.load(Ordering::Relaxed)),* }
            }
        }

        impl std::ops::AddAssign for BranchStats {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counters!(
    keys_made,
    keys_unwrapped,
    wraps,
    own_key_wraps,
    unwraps,
    file_reads,
    file_failures,
    store_calls,
    store_failures,
    records_refused,
    records_gone
);

#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// The end of a log line about records that disappeared.
pub(super) fn use_after_removal(form: BranchForm, ttl: Duration) -> String {
    let ttl = ttl.as_millis();
    match form {
        BranchForm::Embedded => format!("they stay in use for at most {ttl} ms"),
        BranchForm::ByReference => format!("they open messages for at most {ttl} ms, and seal none"),
    }
}

/// Counts, and writes to the log of the client.
pub(super) struct Reporter {
    pub counters: Counters,
    client: Client,
}

impl Reporter {
    pub fn new(client: &Client) -> Self {
        Self { counters: Counters::default(), client: client.clone() }
    }

    /// Must not be called with a lock held: the log callback is code of the program.
    pub fn warn(&self, message: fmt::Arguments<'_>) {
        self.client.log(LogLevel::Warn, message);
    }

    pub fn stats(&self) -> BranchStats {
        self.counters.read()
    }
}
