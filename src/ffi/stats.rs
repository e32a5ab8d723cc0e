//! A client's counters, in a struct that can grow.

use super::arguments::handle;
use super::client::tckms_client;
use super::extensible::{Extensible, Out};
use super::guard::guard;
use crate::stats::Stats;
use crate::status::Status;

/// Counters of a client and all clients that share its connections, since it was created.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tckms_stats {
    /// Calls, successful or not.
    pub calls: u64,
    /// Attempts after the first of a call.
    pub retries: u64,
    /// Replies with RequestLimitExceeded or HTTP 429.
    pub throttles: u64,
    /// Calls refused because of their arguments.
    pub failures_argument: u64,
    /// Calls for which no credentials were available.
    pub failures_credentials: u64,
    /// Calls that did not reach the service or got no reply from it.
    pub failures_transport: u64,
    /// Calls refused because of the identity.
    pub failures_identity: u64,
    /// Calls refused because of the request or the key's state.
    pub failures_request: u64,
    /// Calls that failed because the service was not available.
    pub failures_unavailable: u64,
    /// Calls that failed because data was not authentic or not the expected one.
    pub failures_integrity: u64,
    /// Calls that the program canceled, or whose descriptors or callbacks failed.
    pub failures_local: u64,
    /// Calls that failed inside the library.
    pub failures_library: u64,
    /// Bytes of request bodies, without headers and TLS.
    pub bytes_sent: u64,
    /// Bytes of reply bodies, without headers and TLS.
    pub bytes_received: u64,
    /// Connections that were opened.
    pub connections_opened: u64,
    /// Connections of this process that are open now, or being opened.
    pub connections_open: u64,
    /// Those of them that no call uses now.
    pub connections_idle: u64,
    /// Calls that wait for a connection now, see tckms_config_set_max_connections().
    pub calls_waiting: u64,
}

impl From<Stats> for tckms_stats {
    fn from(stats: Stats) -> Self {
        Self {
            calls: stats.calls,
            retries: stats.retries,
            throttles: stats.throttles,
            failures_argument: stats.failures.argument,
            failures_credentials: stats.failures.credentials,
            failures_transport: stats.failures.transport,
            failures_identity: stats.failures.identity,
            failures_request: stats.failures.request,
            failures_unavailable: stats.failures.unavailable,
            failures_integrity: stats.failures.integrity,
            failures_local: stats.failures.local,
            failures_library: stats.failures.library,
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
            connections_opened: stats.connections_opened,
            connections_open: stats.connections_open,
            connections_idle: stats.connections_idle,
            calls_waiting: stats.calls_waiting,
        }
    }
}

/// Reads the counters of a client and of all clients that share its connections.
///
/// @param client  The client.
/// @param out     The structure to fill. Members that the running library does not have are set to
///                0.
/// @param size    sizeof(tckms_stats).
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_LENGTH.
///
/// The counters are read one after the other while calls run.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_client_stats(client: *const tckms_client, out: *mut tckms_stats, size: usize) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header; `out` has `size` bytes, as the comment above requires.
        let (out, client) = unsafe { (Out::new(out, size, "out")?, handle(client, "client")?) };
        out.write(&tckms_stats::from(client.0.stats()));
        Ok(())
    })
}

// SAFETY: numbers of one width.
unsafe impl Extensible for tckms_stats {
    const NAME: &'static str = "tckms_stats";
    const SIZES: &'static [usize] = &[size_of::<Self>()];
}
