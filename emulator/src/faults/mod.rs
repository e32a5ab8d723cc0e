//! Scripted faults: what can go wrong on request, and how it does.

pub mod apply;
pub mod script;
pub mod scripted_stream;
