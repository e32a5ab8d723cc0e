//! The state of a queued call, which does not belong to the thread that runs it at the moment.
//!
//! Everything that a call keeps per thread (its limits, its last request, and where its log goes) is
//! swapped with that of the queued call while its future is polled. So the code of a call does not depend
//! on whether it runs on its caller's thread.

use std::cell::RefCell;
use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;

use crate::call_control::{self, Limits};
use crate::error::{Error, Result};
use crate::last_request::{self, LastRequest};
use crate::log::{self, DeferredEvent};
use crate::status::Status;

/// Threads for work that blocks.
pub(crate) trait Workers: Send + Sync {
    /// Runs `job` on a thread. It fails if no thread can be started.
    fn run(&self, job: Box<dyn FnOnce() + Send>) -> Result<()>;
}

thread_local! {
    /// The workers for the blocking work of the queued call that is being polled.
    static WORKERS: RefCell<Option<Arc<dyn Workers>>> = const { RefCell::new(None) };
}

/// The state of one queued call.
pub(crate) struct CallScope {
    limits: Limits,
    last_request: LastRequest,
    log: Option<Vec<DeferredEvent>>,
    workers: Option<Arc<dyn Workers>>,
}

/// The records of a queued call besides its result.
#[derive(Default)]
pub(crate) struct CallTrace {
    pub last_request: LastRequest,
    pub log: Vec<DeferredEvent>,
}

impl CallScope {
    /// For a call whose blocking work `workers` do; without them it is done in place.
    pub fn new(workers: Option<Arc<dyn Workers>>) -> Self {
        Self { limits: Limits::NONE, last_request: LastRequest::default(), log: Some(Vec::new()), workers }
    }

    /// Does a part of the call on this thread.
    pub fn enter<T>(&mut self, part: impl FnOnce() -> T) -> T {
        struct Leave<'a>(&'a mut CallScope);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.swap();
            }
        }
        self.swap();
        let _leave = Leave(self);
        part()
    }

    fn swap(&mut self) {
        call_control::swap(&mut self.limits);
        last_request::swap(&mut self.last_request);
        log::swap_deferred(&mut self.log);
        WORKERS.with_borrow_mut(|workers| mem::swap(workers, &mut self.workers));
    }

    pub fn take_trace(&mut self) -> CallTrace {
        CallTrace {
            last_request: mem::take(&mut self.last_request),
            log: self.log.as_mut().map(mem::take).unwrap_or_default(),
        }
    }
}

/// Whether this is a queued call, whose blocking work is done by workers.
pub(crate) fn has_workers() -> bool {
    WORKERS.with_borrow(Option::is_some)
}

/// Does a part of a call that blocks: on this thread if it is the caller's, otherwise on a worker.
///
/// If a queued call is canceled or its timeout expires, it does not wait for the work.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let Some(workers) = WORKERS.with_borrow(Clone::clone) else { return Ok(work()) };
    let limits = call_control::copy();
    let (done, mut outcome) = oneshot::channel();
    workers.run(Box::new(move || {
        let mut scope = CallScope::new(None);
        let result = scope.enter(|| call_control::with_limits(limits, work));
        let _ = done.send((result, scope.take_trace()));
    }))?;
    let mut over = pin!(call_control::until_over());
    let ended = poll_fn(|context| match std::pin::Pin::new(&mut outcome).poll(context) {
        Poll::Ready(ended) => Poll::Ready(ended.map_err(|_| worker_ended())),
        Poll::Pending => over.as_mut().poll(context).map(Err),
    });
    let (result, mut trace) = ended.await?;
    log::append_deferred(&mut trace.log);
    Ok(result)
}

fn worker_ended() -> Error {
    Error::new(Status::Internal, "a fault inside the library, please report it: a worker of the queue ended early")
}
