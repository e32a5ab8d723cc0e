//! The parts of the project other than code: documents, header, interface, packages, installation, releases.

mod abi;
mod artifacts;
mod docs;
mod header;
mod install;
mod licences;
mod man;
mod modules;
mod packages;
mod release;
mod setup;
