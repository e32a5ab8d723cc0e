//! Sealing through the C API, called from Rust.

mod api;
mod branch_fleet;
mod branch_outages;
mod branch_store;
mod branches;
mod cache;
mod descriptors;
mod interop;
mod key;
mod keyrings;
mod kms;
mod limits;
mod overlap;
mod stores;
mod streams;
mod tampering;
mod time_limits;
mod vectors;
