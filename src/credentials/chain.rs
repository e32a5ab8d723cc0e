//! Several providers in order of preference.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Issued, Provider};
use crate::error::{Error, Result};
use crate::status::Status;

/// Asks each provider until one has credentials, and from then on only that one.
pub(super) struct Chain {
    links: Vec<Link>,
    /// The link that had credentials; out of range as long as none had.
    chosen: AtomicUsize,
}

struct Link {
    provider: Box<dyn Provider>,
    /// Set when the provider found out that this machine has no such thing, which no later call will change.
    absent: AtomicBool,
}

impl Chain {
    pub fn new(providers: Vec<Box<dyn Provider>>) -> Self {
        let links = providers.into_iter().map(|provider| Link { provider, absent: AtomicBool::new(false) }).collect();
        Self { links, chosen: AtomicUsize::new(usize::MAX) }
    }
}

impl Provider for Chain {
    fn name(&self) -> &'static str {
        "chain"
    }

    fn can_renew(&self) -> bool {
        self.links.get(self.chosen.load(Ordering::Relaxed)).is_none_or(|link| link.provider.can_renew())
    }

    /// Asks the links that come before the first one which needs the network.
    fn preload(&self) -> Option<Result<Issued>> {
        let mut failures = Vec::new();
        for (index, link) in self.links.iter().enumerate() {
            match link.provider.preload()?.and_then(Issued::unexpired) {
                Ok(issued) => {
                    self.chosen.store(index, Ordering::Relaxed);
                    return Some(Ok(issued));
                }
                Err(error) => failures.push(error.in_step(link.provider.name())),
            }
        }
        Some(Err(none_had_any(&failures)))
    }

    fn fetch(&self, patience: Duration) -> Result<Issued> {
        if let Some(link) = self.links.get(self.chosen.load(Ordering::Relaxed)) {
            return link.provider.fetch(patience).map_err(|error| error.in_step(link.provider.name()));
        }
        let deadline = Instant::now() + patience;
        let mut failures = Vec::new();
        for (index, link) in self.links.iter().enumerate() {
            if link.absent.load(Ordering::Relaxed) {
                failures.push(
                    Error::new(Status::NoCredentials, "not available on this machine").in_step(link.provider.name()),
                );
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match link.provider.fetch(left).and_then(Issued::unexpired) {
                Ok(issued) => {
                    self.chosen.store(index, Ordering::Relaxed);
                    return Ok(issued);
                }
                Err(error) => {
                    // A call whose own time ran out found out nothing.
                    let absent = error.status() == Status::MetadataUnavailable && Instant::now() < deadline;
                    link.absent.store(absent, Ordering::Relaxed);
                    failures.push(error.in_step(link.provider.name()));
                }
            }
        }
        Err(none_had_any(&failures))
    }
}

/// The error that names each link with its reason.
fn none_had_any(failures: &[Error]) -> Error {
    let retryable = failures.iter().any(Error::is_retryable);
    let reasons: Vec<_> = failures.iter().map(Error::message).collect();
    Error::new(Status::NoCredentials, format!("no credentials: {}", reasons.join("; "))).with_retryable(retryable)
}
