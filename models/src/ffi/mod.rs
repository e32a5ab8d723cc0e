//! The file of `src/ffi` that is modelled, and its model.
#![allow(dead_code, non_camel_case_types)]

pub mod handles;
#[path = "../../../src/ffi/userdata.rs"]
mod userdata;
