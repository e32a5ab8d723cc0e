//! Host names become addresses through the system's resolver, on a thread of its own.
//!
//! `getaddrinfo` cannot be interrupted. On a thread that nobody joins it can neither hold up a call beyond its timeout
//! nor the end of a client, and where no thread can be made the lookup fails as an error. The thread is started by the
//! HTTP thread and inherits its mask, so no signal of the host reaches it.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::oneshot;
use tower_service::Service;

#[derive(Clone)]
pub(crate) struct SystemResolver;

type Addresses = std::vec::IntoIter<SocketAddr>;

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

impl Service<Name> for SystemResolver {
    type Response = Addresses;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Addresses, ResolveError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move { lookup(name.as_str()).await.map_err(ResolveError) })
    }
}

async fn lookup(host: &str) -> io::Result<Addresses> {
    let (answer, answered) = oneshot::channel();
    let host = host.to_owned();
    thread::Builder::new().name("tckms-resolver".into()).spawn(move || {
        // Nobody listens any more when the call timed out meanwhile.
        let _ = answer.send((host.as_str(), 0).to_socket_addrs());
    })?;
    answered.await.map_err(|_| io::Error::other("the lookup's thread ended"))?
}
