//! Calls that do not block: the host submits them, the network threads of their clients run them, and the host takes the
//! completions.
//!
//! Blocking and queued calls use the same engine: the futures of [`crate::client`]. A queue adds an id, a table of outstanding
//! calls, and completions. Work that blocks by nature (credentials providers, the key phase of sealing) runs on [`workers`].

mod completion;
mod deadlines;
mod inputs;
mod operation;
mod output;
mod process_state;
mod task;
mod workers;

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(crate) use self::completion::{Completion, Userdata};
pub(crate) use self::operation::{Operation, QUEUE_MESSAGE_MAX, SealOperation};
pub(crate) use self::output::{Output, Stream};

use self::inputs::Runner;
use self::process_state::{Outstanding, ProcessState};
use self::task::PendingCompletion;
use crate::call_control::CancelToken;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::http::thread::ThreadWatcher;
use crate::status::Status;
use crate::sys::lend::Lender;
use crate::sys::per_process::OncePerProcess;

/// The default depth of a queue.
pub(crate) const DEPTH_DEFAULT: usize = 1024;
/// The maximal depth of a queue.
pub(crate) const QUEUE_DEPTH_MAX: usize = 1 << 20;

/// A queue of calls.
pub(crate) struct Queue {
    depth: usize,
    next_id: AtomicU64,
    state: OncePerProcess<Arc<ProcessState>>,
}

/// The options of a submitted call.
pub(crate) struct SubmitOptions {
    /// The maximal time until the completion. The timeouts of the client also apply.
    pub timeout: Duration,
    pub userdata: Userdata,
}

impl Queue {
    /// A queue for `depth` calls.
    pub fn new(depth: usize) -> Result<Self> {
        if !(1..=QUEUE_DEPTH_MAX).contains(&depth) {
            let message = format!("the depth is {depth}; 1 to {QUEUE_DEPTH_MAX} calls are allowed");
            return Err(Error::new(Status::OutOfRange, message));
        }
        Ok(Self { depth, next_id: AtomicU64::new(1), state: OncePerProcess::new() })
    }

    /// Submits a call. If it returns an id, there will be a completion with it.
    pub fn submit(&self, client: &Client, operation: Operation, options: SubmitOptions) -> Result<u64> {
        Error::check_memory()?;
        let (state, id, mut is_added) = (self.state(), self.new_id(), false);
        let watcher: Arc<dyn ThreadWatcher> = Arc::clone(state) as _;
        let spawned = client.transport().spawn(&watcher, |thread| {
            let token = CancelToken::default();
            let (pending, (client, operation)) = self.reserve(state, id, || {
                let (client, lent_client) = Lender::lend(client.clone());
                let (operation, lent_operation) = Lender::lend(operation);
                let runner = Runner::NetworkThread { number: thread, client, operation };
                let call = Outstanding { token: token.clone(), userdata: options.userdata, runner };
                (call, (lent_client, lent_operation))
            })?;
            is_added = true;
            let workers = Arc::clone(state.workers());
            Ok(Box::pin(task::run(pending, client, operation, options.timeout, token, workers)))
        });
        match spawned {
            // If its thread ended first, it is completed.
            Err(error) if !is_added || state.withdraw(id) => Err(error),
            _ => Ok(id),
        }
    }

    /// Submits the key phase of sealing or opening to a worker. Calls `operation` only if the queue is not full.
    pub fn submit_seal(&self, operation: impl FnOnce() -> SealOperation, options: SubmitOptions) -> Result<u64> {
        Error::check_memory()?;
        let (state, id, token) = (self.state(), self.new_id(), CancelToken::default());
        let deadline = Instant::now() + options.timeout;
        let (pending, operation) = self.reserve(state, id, || {
            let (operation, lent) = Lender::lend(operation());
            let runner = Runner::Worker { deadline, operation };
            (Outstanding { token: token.clone(), userdata: options.userdata, runner }, lent)
        })?;
        let job = task::key_phase(pending, operation, deadline, token);
        match state.expire_at(deadline).and_then(|()| state.workers().submit(Box::new(job))) {
            Err(error) if state.withdraw(id) => Err(error),
            _ => Ok(id),
        }
    }

    /// Takes the next completion, if there is one.
    pub fn next(&self) -> Option<Completion> {
        let mut completion = self.state().take()?;
        let ending = completion.finish_on_host_thread();
        self.state().keep_ending(ending);
        Some(completion)
    }

    /// Waits for a completion. Returns whether there is one.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.state().wait(timeout)
    }

    /// The descriptor that is readable while there are completions to take.
    pub fn descriptor(&self) -> Result<RawFd> {
        self.state().descriptor().map_err(|error| {
            Error::new(Status::TransportUnavailable, format!("no descriptor can be opened for the queue: {error}"))
                .with_os_errno(error.raw_os_error())
        })
    }

    /// The number of calls that were submitted and not taken.
    pub fn len(&self) -> usize {
        self.state().len()
    }

    /// Cancels a call. Its completion follows at once, unless it exists already.
    pub fn cancel(&self, id: u64) -> Result<()> {
        if self.state().cancel(id) {
            return Ok(());
        }
        Err(Error::new(Status::NotOutstanding, format!("no call with the id {id} is outstanding in this queue")))
    }

    /// Gives up all calls that are not done.
    pub fn cancel_all(&self) {
        self.state().cancel_all();
    }

    fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a call, unless the queue is full. Returns what the call borrows.
    fn reserve<T>(
        &self,
        state: &Arc<ProcessState>,
        id: u64,
        call: impl FnOnce() -> (Outstanding, T),
    ) -> Result<(PendingCompletion, T)> {
        if let Some(lent) = state.add(id, call, self.depth) {
            return Ok((PendingCompletion::new(id, Arc::downgrade(state)), lent));
        }
        let message = format!("the queue is full: it has {} calls; take completions first", self.depth);
        Err(Error::new(Status::QueueFull, message))
    }

    /// The state of the queue in this process. In a forked child, all calls that were not taken are completed with an error.
    fn state(&self) -> &Arc<ProcessState> {
        self.state.get_or_init_after(|parent| {
            Arc::new(parent.map_or_else(ProcessState::new, |(parent, proof)| ProcessState::forked_from(parent, proof)))
        })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Some(state) = self.state.get(|_| true) {
            state.close();
        }
    }
}
