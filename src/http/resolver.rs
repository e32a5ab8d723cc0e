//! Resolves host names through the system's resolver, on a separate thread.
//!
//! `getaddrinfo` cannot be interrupted. On a thread that nothing joins, it can delay neither a
//! call beyond its timeout nor the freeing of a client. If no thread can be started, the
//! lookup fails. While a resolver does not reply, all lookups of a name wait for one thread.
//! It is started by the HTTP thread and inherits its mask, so no signal of the host reaches
//! it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::sys::threads;

/// Looks names up, each once at a time.
#[derive(Clone, Default)]
pub(crate) struct SystemResolver(Arc<Mutex<Waiting>>);

/// The lookups that wait, by name.
type Waiting = HashMap<String, Vec<oneshot::Sender<Found>>>;
type Found = Result<Vec<IpAddr>, (io::ErrorKind, String)>;

impl SystemResolver {
    /// The addresses of a host, in the order in which they are to be tried.
    pub async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let answered = self.request(host)?;
        let found = answered.await.map_err(|_| io::Error::other("the lookup's thread ended"))?;
        found.map_err(|(kind, text)| io::Error::new(kind, text))
    }

    fn request(&self, host: &str) -> io::Result<oneshot::Receiver<Found>> {
        let (answer, answered) = oneshot::channel();
        let mut waiting = self.lock();
        if let Some(others) = waiting.get_mut(host) {
            // Lookups of calls that have timed out no longer wait.
            others.retain(|other| !other.is_closed());
            others.push(answer);
            return Ok(answered);
        }
        let (resolver, name) = (self.clone(), host.to_owned());
        threads::spawn(c"tckms-resolver", move || resolver.resolve(&name))?;
        waiting.insert(host.to_owned(), vec![answer]);
        Ok(answered)
    }

    fn resolve(&self, host: &str) {
        let found = resolve(host);
        let answers = self.lock().remove(host).unwrap_or_default();
        answers.into_iter().for_each(|answer| drop(answer.send(found.clone())));
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn resolve(host: &str) -> Found {
    let found = (host, 0).to_socket_addrs().map_err(|error| (error.kind(), reason(&error)))?;
    let mut addresses: Vec<_> = found.map(|address: SocketAddr| address.ip()).collect();
    addresses.dedup();
    Ok(addresses)
}

/// The error of `getaddrinfo`, without the standard library's prefix.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").map_or(text.clone(), str::to_owned)
}
