//! The C boundary: every function of PKCS#11 3.0. It only converts arguments and results, and is the only module with `unsafe`.
//!
//! The `unsafe` blocks rely on the standard: a pointer is NULL or valid for the length that the program passes. Every other mistake
//! of a program is an error.

// The names are those of the standard, and every safety section would repeat the above.
#![allow(non_snake_case, clippy::missing_safety_doc, missing_docs)]

mod crypto;
mod general;
mod guard;
mod memory;
mod objects;
mod parameters;
mod sessions;
mod table;
mod unsupported;

pub use crypto::*;
pub use general::*;
pub use objects::*;
pub use sessions::*;
pub use table::*;
pub use unsupported::*;
