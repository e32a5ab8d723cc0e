//! The library from other languages, and together with the official SDK.

mod contract;
mod cpp;
mod go;
mod static_binaries;
