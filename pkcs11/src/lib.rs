//! `libtckms-pkcs11.so`: a PKCS#11 module (2.40 and 3.0) for programs that cannot be changed. Its objects are the asymmetric
//! keys of Tencent Cloud KMS; private keys never leave the service.
//!
//! `ffi` is the C boundary and the only module that contains `unsafe`. The modules below it, from the lowest:
//!
//! ```text
//! log, advice           the log, and advice for programs that request unsupported operations
//! config/               the configuration file and the environment
//! certificate, key      public keys and certificates
//! mechanism             the mechanisms with their keys, flags and parameters
//! object                objects and their attributes
//! token                 one client of the service with its objects; discovery
//! operation/            signing, verification, decryption, encryption, digests
//! session, module       sessions with their operations, and the state of the process
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
