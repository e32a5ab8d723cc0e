//! HTTP over `hyper`, started on the first request and abandoned after a fork.
//!
//! All connections live on one thread ([`HttpThread`]). It is started by the first call, with every signal blocked, so
//! that no signal of the host reaches that thread and a SIGPIPE raised there stays there. A forked child has no such
//! thread, so each process starts its own ([`OncePerProcess`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Uri;

use crate::call_control;
use crate::error::{Error, Result};
use crate::http::connector::{self, Origin};
use crate::http::exchange::{HttpReply, HttpRequest, Stage};
use crate::http::pool::{Pool, PoolNumbers, Reuse};
use crate::http::settings::Settings;
use crate::http::thread::{HttpThread, NoReply, QueuedCall, ThreadGone, ThreadNumber, ThreadWatcher};
use crate::status::Status;
use crate::sys::aws_lc;
use crate::sys::fork_lock;
use crate::sys::per_process::OncePerProcess;
use crate::sys::signals;

/// One connection pool, shared by all threads of a process.
pub(crate) struct Transport {
    settings: Settings,
    /// In all processes.
    opened: Arc<AtomicU64>,
    live: OncePerProcess<HttpThread>,
}

/// What a transport's connections have done and are doing.
#[derive(Clone, Copy, Default)]
pub(crate) struct Connections {
    pub opened: u64,
    pub now: PoolNumbers,
}

impl Transport {
    pub fn new(settings: Settings) -> Self {
        fork_lock::install_handlers();
        // Where it fails, so will the first call.
        let _ = aws_lc::prepare();
        Self { settings, opened: Arc::default(), live: OncePerProcess::new() }
    }

    /// Sends a request and reads the whole reply, both within `timeout`.
    pub async fn send(&self, request: Box<HttpRequest>, reuse: Reuse, timeout: Duration) -> Result<HttpReply> {
        #[cfg(miri)]
        if reuse != Reuse::Never || !timeout.is_zero() {
            return crate::http::mock::answer(&request);
        }
        let thread = self.thread()?;
        let uri = request.uri().clone();
        let outcome = thread.fetch(request, reuse, timeout).await;
        outcome.unwrap_or_else(|no_reply| Err(self.unanswered(&uri, &no_reply)))
    }

    /// Has the network thread carry out a call. `watcher` learns when the thread ends before the call. `register` is told
    /// which thread it is, and can refuse.
    pub fn spawn(
        &self,
        watcher: &Arc<dyn ThreadWatcher>,
        register: impl FnOnce(ThreadNumber) -> Result<QueuedCall>,
    ) -> Result<()> {
        let thread = self.thread()?;
        let call = register(thread.watched_by(watcher))?;
        thread.spawn(call).map_err(|ThreadGone| thread_gone())
    }

    fn thread(&self) -> Result<&HttpThread> {
        self.live.get_or_try_init(HttpThread::is_alive, || self.start())
    }

    pub fn connections(&self) -> Connections {
        let live = self.live.get(HttpThread::is_alive);
        let now = live.map(|thread| thread.pool_gauges().read()).unwrap_or_default();
        Connections { opened: self.opened.load(Ordering::Relaxed), now }
    }

    fn start(&self) -> Result<HttpThread> {
        aws_lc::prepare()?;
        let pool = Pool::new(&self.settings, Arc::clone(&self.opened));
        signals::with_signals_blocked(|| HttpThread::start(pool))
            .map_err(|error| unavailable(&error.to_string()).with_os_errno(error.raw_os_error()))
    }

    fn unanswered(&self, uri: &Uri, no_reply: &NoReply) -> Error {
        let server = || Origin::of(uri).map(|origin| connector::describe(&origin, self.settings.proxy.as_ref()));
        let server = || server().unwrap_or_default();
        match no_reply {
            NoReply::TimedOut(Stage::Waiting) => {
                let max = self.settings.pool.max_connections;
                timed_out(format!("no connection was free in the time allowed: all {max} were in use"))
            }
            NoReply::TimedOut(Stage::Connecting) => {
                timed_out(format!("no connection to {} was made in the time allowed", server()))
            }
            NoReply::TimedOut(Stage::Sent) => {
                timed_out(format!("no reply of {} came in the time allowed", server())).possibly_carried_out()
            }
            NoReply::TimedOut(Stage::Replying(status)) => {
                let message = format!("the reply of {} broke off: the rest did not come in the time allowed", server());
                timed_out(message).with_http_status(*status).possibly_carried_out()
            }
            NoReply::Canceled => call_control::canceled().possibly_carried_out(),
            NoReply::ThreadGone => thread_gone().possibly_carried_out(),
        }
    }
}

/// Why a call has no outcome whose thread ended.
pub(crate) fn thread_gone() -> Error {
    unavailable("its thread has ended or has lost its descriptors")
}

pub(crate) fn unavailable(reason: &str) -> Error {
    Error::new(Status::TransportUnavailable, format!("the HTTP transport is not available: {reason}"))
}

fn timed_out(message: String) -> Error {
    Error::new(Status::TimedOut, message)
}
