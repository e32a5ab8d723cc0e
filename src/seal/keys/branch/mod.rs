//! Branch keys: the CMK wraps a branch key once, and the branch key wraps the data keys of any number of messages.

pub(in crate::seal) mod branch_store;
pub(in crate::seal) mod counters;
mod failures;
mod file_source;
mod known;
pub(in crate::seal) mod make;
pub(in crate::seal) mod options;
pub(in crate::seal) mod record_file;
mod record_source;
mod request_gate;
mod slots;
mod store_keys;
mod store_source;
mod store_state;
mod store_worker;
pub(in crate::seal) mod wrapping;
