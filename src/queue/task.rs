//! Runs submitted calls to their completion.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::call_control::{self, CancelToken};
use crate::call_scope::{CallScope, CallTrace};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::queue::operation::{Operation, SealOperation};
use crate::queue::output::Output;
use crate::queue::process_state::ProcessState;
use crate::queue::workers::WorkerPool;
use crate::status::Status;
use crate::sys::lend::Lent;

/// The completion of an outstanding call, which is still to be made.
///
/// What a call has while it runs is never dropped if its thread stops for good, so it keeps no queue.
pub(super) struct PendingCompletion {
    id: u64,
    state: Weak<ProcessState>,
}

impl PendingCompletion {
    pub fn new(id: u64, state: Weak<ProcessState>) -> Self {
        Self { id, state }
    }

    fn complete(self, result: Result<Output>, trace: CallTrace) {
        if let Some(state) = self.state.upgrade() {
            state.complete(self.id, result, trace);
        }
    }
}

/// The future of a call, for the network thread.
pub(super) async fn run(
    pending: PendingCompletion,
    client: Lent<Client>,
    operation: Lent<Operation>,
    timeout: Duration,
    token: CancelToken,
    workers: Arc<WorkerPool>,
) {
    let mut scope = CallScope::new(Some(workers));
    let result = {
        let call = pin!(operation.run(&client));
        let call = pin!(call_control::under_timeout(timeout, call));
        let mut call = pin!(call_control::under_token(&token, call));
        poll_fn(|context| scope.enter(|| call.as_mut().poll(context))).await
    };
    // First, so that the completion is the last that has them.
    drop((operation, client));
    pending.complete(result, scope.take_trace());
}

/// The key phase of sealing or opening, for a worker.
pub(super) fn key_phase(
    pending: PendingCompletion,
    operation: Lent<SealOperation>,
    deadline: Instant,
    token: CancelToken,
) -> impl FnOnce() + Send {
    move || {
        let mut scope = CallScope::new(None);
        let left = deadline.saturating_duration_since(Instant::now());
        let phase = || {
            call_control::with_token(&token, || {
                call_control::with_timeout(left, || call_control::check().and_then(|()| operation.run()))
            })
        };
        let result = catch_unwind(AssertUnwindSafe(|| scope.enter(phase))).unwrap_or_else(|_| Err(panicked()));
        drop(operation);
        pending.complete(result, scope.take_trace());
    }
}

fn panicked() -> Error {
    Error::new(Status::Internal, "a fault inside the library, please report it: the key phase of a message panicked")
}
