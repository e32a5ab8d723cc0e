//! Completions of queued calls.

use std::ffi::c_void;
use std::mem;
use std::sync::atomic::AtomicPtr;

use crate::call_scope::CallTrace;
use crate::error::Result;
use crate::http::thread::{self, EndingThread};
use crate::last_request::LastRequest;
use crate::log::DeferredEvent;
use crate::queue::inputs::Inputs;
use crate::seal::{DetachedOpen, DetachedSeal, OpenStream, SealStream};
use crate::secret::Secret;

/// The pointer of the host. It is never dereferenced.
pub(crate) type Userdata = AtomicPtr<c_void>;

/// A completed call.
pub(crate) struct Completion {
    pub id: u64,
    pub userdata: Userdata,
    pub result: Result<Output>,
    pub last_request: LastRequest,
    log: Vec<DeferredEvent>,
    /// Dropped when a thread of the host takes the completion.
    inputs: Inputs,
}

/// The output of a call.
// Short-lived, and one per completion: a box would only add an allocation.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Output {
    Bytes(Secret),
    /// A ciphertext, a signature or a public key.
    Public(Vec<u8>),
    DataKey {
        plaintext: Secret,
        ciphertext_blob: String,
    },
    /// A stream that has its keys, and the number of bytes of the message that it has consumed.
    Stream(Stream, usize),
    /// A message to be written.
    Seal(DetachedSeal),
    /// A message to be opened.
    Open(DetachedOpen),
}

/// A stream of either direction.
pub(crate) enum Stream {
    Seal(Box<SealStream>),
    Open(Box<OpenStream>),
}

impl Completion {
    pub fn new(id: u64, userdata: Userdata, result: Result<Output>, trace: CallTrace, inputs: Inputs) -> Self {
        Self { id, userdata, result, last_request: trace.last_request, log: trace.log, inputs }
    }

    /// Does the rest of the work on the thread of the host. Returns the network threads that end because their clients are freed.
    pub fn finish_on_host_thread(&mut self) -> Vec<EndingThread> {
        let inputs = mem::take(&mut self.inputs);
        let ending = thread::without_waiting(|| drop(inputs));
        for event in mem::take(&mut self.log) {
            event.deliver();
        }
        ending
    }
}
