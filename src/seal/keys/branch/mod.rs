//! Branch keys: the CMK wraps a branch key once, and the branch key wraps the data keys of any number of messages.

pub(in crate::seal) mod counters;
mod file_source;
mod known;
pub(in crate::seal) mod make;
pub(in crate::seal) mod options;
pub(in crate::seal) mod record_file;
pub(in crate::seal) mod store_source;
pub(in crate::seal) mod wrapping;
