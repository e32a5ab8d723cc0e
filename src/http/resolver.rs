//! Host names become addresses through the system's resolver, on a thread of its own.
//!
//! `getaddrinfo` cannot be interrupted. On a thread that nobody joins it can neither hold up a call beyond its timeout
//! nor the end of a client, and where no thread can be made the lookup fails as an error. While a resolver is silent, all
//! who ask for a name wait for one thread. It is started by the HTTP thread and inherits its mask, so no signal of the
//! host reaches it.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::oneshot;
use tower_service::Service;

use crate::sys::threads;

/// Looks names up, each once at a time.
#[derive(Clone, Default)]
pub(crate) struct SystemResolver(Arc<Mutex<Waiting>>);

/// Who waits for the addresses of which name.
type Waiting = HashMap<String, Vec<oneshot::Sender<Found>>>;
type Found = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;
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
        let resolver = self.clone();
        Box::pin(async move { resolver.lookup(name.as_str()).await.map_err(ResolveError) })
    }
}

impl SystemResolver {
    async fn lookup(&self, host: &str) -> io::Result<Addresses> {
        let answered = self.ask(host)?;
        let found = answered.await.map_err(|_| io::Error::other("the lookup's thread ended"))?;
        found.map(Vec::into_iter).map_err(|(kind, text)| io::Error::new(kind, text))
    }

    fn ask(&self, host: &str) -> io::Result<oneshot::Receiver<Found>> {
        let (answer, answered) = oneshot::channel();
        let mut waiting = self.lock();
        if let Some(others) = waiting.get_mut(host) {
            // Those whose call timed out meanwhile listen no more.
            others.retain(|other| !other.is_closed());
            others.push(answer);
            return Ok(answered);
        }
        let (resolver, name) = (self.clone(), host.to_owned());
        threads::spawn("tckms-resolver", move || resolver.resolve(&name))?;
        waiting.insert(host.to_owned(), vec![answer]);
        Ok(answered)
    }

    fn resolve(&self, host: &str) {
        let found = (host, 0).to_socket_addrs().map(Vec::from_iter).map_err(|error| (error.kind(), error.to_string()));
        let answers = self.lock().remove(host).unwrap_or_default();
        answers.into_iter().for_each(|answer| drop(answer.send(found.clone())));
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
