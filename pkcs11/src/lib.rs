//! `libtckms-pkcs11.so`: a PKCS#11 module (2.40 and 3.0) for programs that cannot be changed. Its objects are the asymmetric
//! keys of Tencent Cloud KMS; private keys never leave the service.
//!
//! `ffi` is the C boundary and the only module with `unsafe` in it. Below it, from the ground up:
//!
//! ```text
//! log, advice           one log for the module; what to change in a program that asks for what the service cannot do
//! config/               the file, the environment, and what they say
//! certificate, key      public keys and certificates, and what PKCS#11 wants to know of them
//! mechanism             the mechanisms, their keys, flags and parameters
//! object                objects and their attributes
//! token                 one client of the service with its objects; discovery
//! operation/            signing, verifying, decrypting, encrypting, digesting
//! session, module       sessions with their operations, and the state of a process
//! ```

#![deny(unsafe_code, missing_docs)]
#![warn(clippy::undocumented_unsafe_blocks)]

mod advice;
mod certificate;
mod config;
mod error;
#[allow(unsafe_code)]
pub mod ffi;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod key;
mod log;
mod mechanism;
mod module;
mod object;
mod operation;
mod session;
mod token;
