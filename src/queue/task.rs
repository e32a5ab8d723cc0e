//! Runs submitted calls to their completion.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::call_control::{self, CancelToken};
use crate::call_scope::{CallScope, CallTrace};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::queue::completion::Output;
use crate::queue::operation::{Operation, SealOperation};
use crate::queue::process_state::ProcessState;
use crate::status::Status;

/// The completion of an outstanding call, which is still to be made.
pub(super) struct PendingCompletion {
    id: u64,
    state: Arc<ProcessState>,
}

impl PendingCompletion {
    pub fn new(id: u64, state: Arc<ProcessState>) -> Self {
        Self { id, state }
    }

    fn complete(self, result: Result<Output>, trace: CallTrace, client: Option<Client>) {
        self.state.complete(self.id, result, trace, client);
    }
}

/// The future of a call, for the network thread.
pub(super) async fn run(
    pending: PendingCompletion,
    client: Client,
    operation: Operation,
    timeout: Duration,
    token: CancelToken,
) {
    let mut scope = CallScope::new(Some(pending.state.workers().clone()));
    let result = {
        let call = pin!(operation.run(&client));
        let call = pin!(call_control::under_timeout(timeout, call));
        let mut call = pin!(call_control::under_token(&token, call));
        poll_fn(|context| scope.enter(|| call.as_mut().poll(context))).await
    };
    drop(operation);
    pending.complete(result, scope.take_trace(), Some(client));
}

/// The key phase of sealing or opening, for a worker.
pub(super) fn key_phase(
    pending: PendingCompletion,
    operation: SealOperation,
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
        pending.complete(result, scope.take_trace(), None);
    }
}

fn panicked() -> Error {
    Error::new(Status::Internal, "a fault inside the library, please report it: the key phase of a message panicked")
}
