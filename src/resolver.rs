//! Host names become addresses through the system's resolver, on a thread of its own.
//!
//! `getaddrinfo` cannot be interrupted. On a thread that nobody joins it can neither hold up a call beyond its timeout
//! nor the end of a client, and where no thread can be made the lookup fails as an error. The thread is started by the
//! HTTP thread and inherits its mask, so no signal of the host reaches it.

use std::io;
use std::net::ToSocketAddrs;
use std::thread;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

pub(crate) struct SystemResolver;

/// A lookup that failed, told apart from other failures to connect by its type.
#[derive(Debug)]
pub(crate) struct ResolveError(io::Error);

impl std::fmt::Display for ResolveError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the lookup of the host name failed")
    }
}

impl std::error::Error for ResolveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move { lookup(name.as_str()).await.map_err(|error| ResolveError(error).into()) })
    }
}

async fn lookup(host: &str) -> io::Result<Addrs> {
    let (answer, answered) = oneshot::channel();
    let host = host.to_owned();
    thread::Builder::new().name("tckms-resolver".into()).spawn(move || {
        // Nobody listens any more when the call timed out meanwhile.
        let _ = answer.send((host.as_str(), 0).to_socket_addrs());
    })?;
    let addresses = answered.await.map_err(|_| io::Error::other("the lookup's thread ended"))??;
    Ok(Box::new(addresses))
}
