//! The library from other languages, and beside the official SDK.

mod contract;
mod cpp;
mod go;
mod static_binaries;
