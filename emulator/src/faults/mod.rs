//! Scripted faults.

pub mod apply;
pub mod script;
pub mod scripted_stream;
