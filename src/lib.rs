//! A client for Tencent Cloud Key Management Service: the safe core of the C library `libtckms`, and also a Rust
//! client.
//!
//! ```no_run
//! # fn main() -> tckms::Result<()> {
//! let client = tckms::Client::from_env()?;
//! let encrypted = client.encrypt("93866e69-9755-11ef-8e65-52540089bc41", b"secret", Some(r#"{"app":"billing"}"#))?;
//! let decrypted = client.decrypt(None, &encrypted.ciphertext_blob, Some(r#"{"app":"billing"}"#))?;
//! assert_eq!(decrypted.plaintext.expose(), b"secret");
//! # Ok(())
//! # }
//! ```
//!
//! The C boundary is `ffi`. Only `ffi` and `sys`, the interface to the operating system, contain `unsafe`.

#![deny(unsafe_code, missing_docs)]
// Some parts are only used by the C boundary.
#![cfg_attr(not(feature = "c-api"), allow(dead_code, unused_imports))]
#![warn(clippy::undocumented_unsafe_blocks)]

mod api;
mod block_on;
mod calendar;
mod call_control;
mod call_scope;
mod client;
mod client_builder;
mod config;
mod credentials;
pub mod diagnosis;

mod encoding;
mod encryption_context;
mod environment;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod host;
mod http;
mod last_request;
mod log;
mod providers;
mod queue;
mod sanitize;
pub mod seal;
mod secret;
pub mod sign;
mod site;
mod stats;
mod status;
#[allow(unsafe_code)]
mod sys;

#[cfg(feature = "c-api")]
#[allow(unsafe_code)]
pub mod ffi;

pub use crate::http::endpoint::{DEFAULT_ENDPOINT, INTERNATIONAL_ENDPOINT};
pub use crate::http::settings::RESPONSE_MAX;
pub use crate::http::tls::CA_PEM_MAX;
pub use api::request::REQUEST_JSON_MAX;
pub use api::response::{CIPHERTEXT_BLOB_MAX, KEY_ID_MAX};
pub use calendar::rfc3339;
pub use client::{
    Client, CreatedKey, DataKey, Decrypted, Encrypted, KeyFilter, KeyInfo, NewKey, PLAINTEXT_MAX, RANDOM_MAX, Random,
    RawResponse, Signature, Signer,
};
pub use config::{Config, MAX_ATTEMPTS_MAX, MAX_CONNECTIONS_MAX, RATE_MAX, TIMEOUT_MAX, USER_AGENT_SUFFIX_MAX};
pub use credentials::Credentials;
pub use encryption_context::{ENCRYPTION_CONTEXT_MAX, canonical_json};
pub use error::{Error, Result};
pub use log::{LogCallback, LogContext, LogEvent, LogLevel};
pub use providers::{CredentialsCallback, Role, SuppliedCredentials};
pub use secret::Secret;
pub use site::Site;
pub use stats::{Failures, Stats};
pub use status::{Category, Status};
