//! A client process: its settings, the calls it makes, and the cost it reports.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Result;

/// The settings of a client process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    pub client: ClientKind,
    pub endpoint: String,
    pub ca_file: Option<PathBuf>,
    pub threads: usize,
}

/// Which client makes the calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ClientKind {
    /// `tckms_encrypt()` of this shared library.
    LibTckms { library: PathBuf, plaintext_len: usize },
    /// `tckms_submit_encrypt()` of this shared library, from one thread.
    Queue { library: PathBuf, plaintext_len: usize, in_flight: usize },
    /// `reqwest::blocking` with this request.
    BareLoop { head: String, body: String },
    /// The same, but it encodes, writes and signs each request.
    SigningLoop { head: String, plaintext_len: usize },
    /// `tckms_sign_digest()` of this shared library, with a P-256 key.
    SignDigest { library: PathBuf },
    /// `tckms_verify_digest()` of this shared library, with a P-256 key.
    VerifyDigest { library: PathBuf },
    /// The verification of aws-lc-rs.
    BareVerify,
}

/// The time that a number of calls takes in a client process.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub struct Cost {
    pub cpu: Duration,
    pub wall: Duration,
}

/// One client, shared by all threads of its process.
pub trait Caller: Sync {
    fn call(&self) -> Result<()>;

    /// Makes one thread's calls of a round.
    fn calls(&self, count: usize) -> Result<()> {
        (0..count).try_for_each(|_| self.call())
    }
}
