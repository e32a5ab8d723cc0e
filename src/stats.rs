//! The counters of a client.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::http::transport::Connections;
use crate::status::{Category, Status};

/// Counters of a client and all clients derived from it, since it was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls, successful or not.
    pub calls: u64,
    /// Attempts after the first of a call.
    pub retries: u64,
    /// Replies with `RequestLimitExceeded` or HTTP 429.
    pub throttles: u64,
    /// Calls that failed, by the category of their status.
    pub failures: Failures,
    /// Bytes of request bodies that were passed to the transport, without headers and TLS.
    pub bytes_sent: u64,
    /// Bytes of reply bodies that were read, without headers and TLS.
    pub bytes_received: u64,
    /// Connections that were opened, including TLS if it is used.
    pub connections_opened: u64,
    /// Connections of this process that are open or being opened.
    pub connections_open: u64,
    /// Those of them that no call uses.
    pub connections_idle: u64,
    /// Calls that wait for a connection because the maximum number is in use.
    pub calls_waiting: u64,
}

/// Failed calls by the category of their status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// The caller's arguments.
    pub argument: u64,
    /// No credentials were available.
    pub credentials: u64,
    /// Transport.
    pub transport: u64,
    /// Refused because of the identity.
    pub identity: u64,
    /// Refused because of the request or the key's state.
    pub request: u64,
    /// The service was not available.
    pub unavailable: u64,
    /// Data was not authentic, or not the expected one.
    pub integrity: u64,
    /// The program's own descriptors, callbacks and cancellations.
    pub local: u64,
    /// The library itself.
    pub library: u64,
}

/// The counters behind [`Stats`]: plain atomics, so that counting neither locks nor waits.
#[derive(Default)]
pub(crate) struct Counters {
    calls: AtomicU64,
    retries: AtomicU64,
    throttles: AtomicU64,
    failures: [AtomicU64; 10],
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
}

impl Counters {
    pub fn call(&self) {
        add(&self.calls, 1);
    }

    pub fn attempt(&self, number: u32, bytes_sent: usize) {
        if number > 1 {
            add(&self.retries, 1);
        }
        add(&self.bytes_sent, bytes_sent);
    }

    pub fn reply(&self, bytes_received: usize) {
        add(&self.bytes_received, bytes_received);
    }

    pub fn failed_attempt(&self, error: &Error) {
        if error.status() == Status::RequestLimitExceeded || error.http_status() == Some(429) {
            add(&self.throttles, 1);
        }
    }

    pub fn failed_call(&self, error: &Error) {
        if let Some(counter) = self.failures.get(error.status().category() as usize / 100) {
            add(counter, 1);
        }
    }

    pub fn read(&self, connections: Connections) -> Stats {
        let failed = |category: Category| get(&self.failures[category as usize / 100]);
        Stats {
            calls: get(&self.calls),
            retries: get(&self.retries),
            throttles: get(&self.throttles),
            failures: Failures {
                argument: failed(Category::Argument),
                credentials: failed(Category::Credentials),
                transport: failed(Category::Transport),
                identity: failed(Category::Identity),
                request: failed(Category::Request),
                unavailable: failed(Category::Unavailable),
                integrity: failed(Category::Integrity),
                local: failed(Category::Local),
                library: failed(Category::Library),
            },
            bytes_sent: get(&self.bytes_sent),
            bytes_received: get(&self.bytes_received),
            connections_opened: connections.opened,
            connections_open: connections.now.open,
            connections_idle: connections.now.idle,
            calls_waiting: connections.now.waiting,
        }
    }
}

fn add(counter: &AtomicU64, value: usize) {
    counter.fetch_add(value as u64, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_in_their_category() {
        let counters = Counters::default();
        counters.failed_call(&Error::new(Status::CmkDisabled, ""));
        counters.failed_call(&Error::new(Status::Internal, ""));
        counters.failed_call(&Error::new(Status::Internal, ""));
        let failures = counters.read(Connections::default()).failures;
        assert_eq!(failures, Failures { request: 1, library: 2, ..Failures::default() });
    }

    #[test]
    fn attempts_after_the_first_are_retries() {
        let counters = Counters::default();
        for number in [1, 2, 3, 1] {
            counters.attempt(number, 10);
        }
        let stats = counters.read(Connections { opened: 7, ..Connections::default() });
        assert_eq!((stats.retries, stats.bytes_sent, stats.connections_opened), (2, 40, 7));
    }
}
