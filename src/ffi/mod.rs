//! The C boundary: every function of `tckms.h`, and only conversion.
//!
//! Each function converts its arguments, calls the safe core, and converts the result. The contract
//! that the `unsafe` blocks rely on is the header's manual (`manual.h` beside this file, the first
//! part of `tckms.h`).

// The names are those of C, and the safety section of every function is the header's chapters.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

mod arguments;
mod asymmetric;
mod audit;
mod branch;
mod branch_store;
mod buffer;
mod callback_error;
mod client;
mod config;
mod context;
mod credentials;
mod custom_key;
mod descriptor;
mod error;
mod extensible;
mod guard;
mod handle;
mod keyring;
mod keys;
mod last_error;
mod limits;
mod log;
mod message_info;
mod overlap;
mod queue;
mod seal;
mod stats;
mod status;
mod stream;
mod userdata;
mod version;

pub use asymmetric::*;
pub use branch::*;
pub use branch_store::{tckms_branch_load, tckms_branch_put, tckms_branch_records, tckms_branch_records_add};
pub use buffer::*;
#[cfg(all(test, miri))]
mod miri;

pub use callback_error::*;
pub use client::*;
pub use config::*;
pub use context::*;
pub use credentials::*;
pub use custom_key::*;
pub use descriptor::*;
pub use error::*;
pub use keyring::*;
pub use keys::*;
pub use last_error::tckms_error;
pub use limits::*;
pub use log::*;
pub use message_info::*;
pub use queue::*;
pub use seal::*;
pub use stats::*;
pub use status::*;
pub use stream::*;
pub use userdata::*;
pub use version::*;
