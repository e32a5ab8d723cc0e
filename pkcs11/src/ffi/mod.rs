//! The C boundary: every function of PKCS#11 3.0, and nothing but conversion. The only module with `unsafe` in it.
//!
//! What the `unsafe` blocks rely on is the standard: pointers are NULL or valid for what the function is told of them. Everything
//! else that a program can get wrong is an error.

// The names are those of the standard, and the safety sections would all say the above.
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
