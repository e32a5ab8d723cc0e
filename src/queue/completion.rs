//! What comes out of a queue.

use std::ffi::c_void;
use std::mem;
use std::sync::atomic::AtomicPtr;

use crate::call_scope::CallTrace;
use crate::client::Client;
use crate::error::Result;
use crate::last_request::LastRequest;
use crate::log::DeferredEvent;
use crate::seal::{DetachedOpen, DetachedSeal, OpenStream, SealStream};
use crate::secret::Secret;

/// The host's pointer. It is never followed.
pub(crate) type Userdata = AtomicPtr<c_void>;

/// A call that is done.
pub(crate) struct Completion {
    pub id: u64,
    pub userdata: Userdata,
    pub result: Result<Output>,
    pub last_request: LastRequest,
    log: Vec<DeferredEvent>,
    /// Kept until a thread of the host takes the completion: the last use of a client ends its network thread, which that
    /// thread cannot wait for itself.
    client: Option<Client>,
}

/// What a call gives.
// Of short life, and one for each completion: a box would be one more allocation and save nothing.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Output {
    Bytes(Secret),
    DataKey {
        plaintext: Secret,
        ciphertext_blob: String,
    },
    /// A stream whose keys are there, and how many bytes of a message it has taken in.
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
    pub fn new(id: u64, userdata: Userdata, result: Result<Output>, trace: CallTrace, client: Option<Client>) -> Self {
        Self { id, userdata, result, last_request: trace.last_request, log: trace.log, client }
    }

    /// What remains to be done on a thread of the host: the log's callback is called there.
    pub fn arrive(&mut self) {
        drop(self.client.take());
        for event in mem::take(&mut self.log) {
            event.deliver();
        }
    }
}
