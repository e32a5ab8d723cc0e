//! The settings of a transport.

use std::time::Duration;

use rustls::ClientConfig;

use crate::http::proxy::Proxy;

pub(crate) const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest reply that is read. The largest honest one, ListKeyDetail with 200 keys, has about 200 KiB.
pub const RESPONSE_MAX: usize = 1024 * 1024;

/// A transport can be created from this repeatedly.
pub(crate) struct Settings {
    pub tls: ClientConfig,
    pub proxy: Option<Proxy>,
    pub connect_timeout: Duration,
    pub pool: PoolLimits,
    /// Longest body of a reply that is read.
    pub reply_max: usize,
}

impl Settings {
    /// The defaults, without a proxy.
    pub fn new(tls: ClientConfig) -> Self {
        Self {
            tls,
            proxy: None,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            pool: PoolLimits::default(),
            reply_max: RESPONSE_MAX,
        }
    }
}

/// How many connections there may be, and how long they are kept.
#[derive(Clone, Copy)]
pub(crate) struct PoolLimits {
    pub max_connections: usize,
    /// How many idle connections are kept for the whole idle timeout.
    pub max_idle: usize,
    pub idle_timeout: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { max_connections: 32, max_idle: 8, idle_timeout: Duration::from_secs(60) }
    }
}
