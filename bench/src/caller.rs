//! The specification of a client process, its report, and its calls.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Where and how a client works.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    pub client: ClientKind,
    pub endpoint: String,
    pub ca_file: Option<PathBuf>,
    pub threads: usize,
}

/// Who sends the requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ClientKind {
    /// `tckms_encrypt()` of this shared library, with a plaintext of so many bytes.
    LibTckms { library: PathBuf, plaintext_len: usize },
    /// `tckms_submit_encrypt()` with so many calls in flight, on one thread.
    Queue { library: PathBuf, plaintext_len: usize, in_flight: usize },
    /// `reqwest::blocking` with this request.
    Bare { head: String, body: String },
    /// The same, but encoding, writing and signing each request.
    Signing { head: String, plaintext_len: usize },
    /// `tckms_sign_digest()` of this shared library, with a key on P-256.
    SignDigest { library: PathBuf },
    /// `tckms_verify_digest()` of this shared library, with a key on P-256.
    VerifyDigest { library: PathBuf },
    /// The verification of aws-lc-rs.
    BareVerify,
}

/// What a number of calls cost this process.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub struct Cost {
    pub cpu: Duration,
    pub wall: Duration,
}

/// One client, shared by all threads of its process.
pub trait Caller: Sync {
    fn call(&self) -> Result<()>;

    /// Makes the calls of one thread's share of a round.
    fn calls(&self, count: usize) -> Result<()> {
        (0..count).try_for_each(|_| self.call())
    }
}
