//! HTTP over `hyper`, made late and forgotten after a fork.
//!
//! All connections live on one thread ([`HttpThread`]). It is started by the first call, with every signal blocked, so
//! that no signal of the host reaches that thread and a SIGPIPE raised there stays there. A forked child has no such
//! thread, so each process makes one of its own ([`PerProcess`]).

use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::call_control;
use crate::error::{Error, Result};
use crate::http::connector::{Client, ConnectionCounter, Connector, Settings};
use crate::http::exchange::{HttpReply, HttpRequest};
use crate::http::thread::{HttpThread, Silence};
use crate::status::Status;
use crate::sys::fork_lock;
use crate::sys::per_process::PerProcess;
use crate::sys::signals;

/// One connection pool, shared by all threads of a process.
pub(crate) struct Transport {
    settings: Settings,
    connections: ConnectionCounter,
    live: PerProcess<HttpThread>,
}

impl Transport {
    pub fn new(settings: Settings) -> Self {
        fork_lock::install_handlers();
        Self { settings, connections: ConnectionCounter::default(), live: PerProcess::new() }
    }

    /// Sends a request and reads the whole reply, both within `timeout`.
    pub fn send(&self, request: HttpRequest, timeout: Duration) -> Result<HttpReply> {
        let thread = self.live.get_or_try_init(HttpThread::is_whole, || start(&self.settings, &self.connections))?;
        thread.fetch(request, timeout).unwrap_or_else(|silence| Err(unanswered(&silence)))
    }

    pub fn connections_opened(&self) -> u64 {
        self.connections.opened()
    }
}

fn start(settings: &Settings, connections: &ConnectionCounter) -> Result<HttpThread> {
    signals::with_signals_blocked(|| HttpThread::start(build(settings, connections)))
        .map_err(|error| unavailable(&error.to_string()).with_os_errno(error.raw_os_error()))
}

fn build(settings: &Settings, connections: &ConnectionCounter) -> Client {
    hyper_util::client::legacy::Builder::new(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(Connector::new(settings, connections))
}

fn unavailable(reason: &str) -> Error {
    Error::new(Status::TransportUnavailable, format!("the HTTP transport is not available: {reason}"))
}

fn unanswered(silence: &Silence) -> Error {
    let timed_out = |message| Error::new(Status::TimedOut, message);
    match silence {
        Silence::TooLate { http_status: None } => timed_out("no reply came in the time allowed"),
        Silence::TooLate { http_status: Some(status) } => {
            timed_out("the reply broke off: the rest did not come in the time allowed").with_http_status(*status)
        }
        Silence::Canceled => call_control::canceled(),
        Silence::CutOff => unavailable("its thread has ended or has lost its descriptors"),
    }
    .possibly_carried_out()
}
