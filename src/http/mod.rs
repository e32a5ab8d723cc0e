//! HTTP: one network thread with the connections of a client. It takes a request and a deadline, and returns a reply.

mod connector;
mod dial;
pub(crate) mod endpoint;
pub(crate) mod exchange;
#[cfg(miri)]
pub(crate) mod mock;
pub(crate) mod pool;
pub(crate) mod probe;
pub(crate) mod proxy;
mod resolver;
pub(crate) mod settings;
mod stream;
pub(crate) mod thread;
mod timers;
pub(crate) mod tls;
pub(crate) mod transport;
mod tunnel;
