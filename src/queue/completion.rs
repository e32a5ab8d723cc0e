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
use crate::queue::output::Output;

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
