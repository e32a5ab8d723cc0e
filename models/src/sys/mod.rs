//! The files of `src/sys` that are modelled, and replacements for those that they use.
#![allow(dead_code)]

#[path = "../../../src/sys/fork_counter.rs"]
pub mod fork_counter;
pub mod futex;
#[path = "../../../src/sys/lend.rs"]
pub mod lend;
#[path = "../../../src/sys/parker.rs"]
pub mod parker;
/// `src/sys/per_process.rs`, see build.rs.
pub mod per_process {
    include!(concat!(env!("OUT_DIR"), "/per_process.rs"));
}
pub mod process_identity;
#[path = "../../../src/sys/single_flight.rs"]
pub mod single_flight;
pub mod sync;
