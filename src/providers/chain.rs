//! Several providers in order of preference.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::credentials::{ExpiringCredentials, Provider};
use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::clock::Moment;

/// How long a metadata service that does not reply counts as absent. The network may only be late, so it is tried
/// again afterwards.
const ABSENCE: Duration = Duration::from_secs(60);

/// Tries each provider until one has credentials. From then on only that one is used.
pub(super) struct Chain {
    links: Vec<Link>,
    /// The index of the link that had credentials; out of range if none had.
    chosen: AtomicUsize,
}

struct Link {
    provider: Box<dyn Provider>,
    /// The time, in milliseconds since boot, until which the provider counts as absent.
    absent_until: AtomicU64,
}

impl Link {
    fn is_absent(&self) -> bool {
        Moment::now().millis() < self.absent_until.load(Ordering::Relaxed)
    }

    fn set_absent(&self) {
        self.absent_until.store((Moment::now() + ABSENCE).millis(), Ordering::Relaxed);
    }
}

impl Chain {
    pub fn new(providers: Vec<Box<dyn Provider>>) -> Self {
        let links = providers.into_iter().map(|provider| Link { provider, absent_until: AtomicU64::new(0) }).collect();
        Self { links, chosen: AtomicUsize::new(usize::MAX) }
    }

    fn chosen(&self) -> Option<&Link> {
        self.links.get(self.chosen.load(Ordering::Relaxed))
    }
}

impl Provider for Chain {
    fn name(&self) -> &'static str {
        "chain"
    }

    fn can_renew(&self) -> bool {
        self.chosen().is_none_or(|link| link.provider.can_renew())
    }

    fn is_local(&self) -> bool {
        self.chosen().is_some_and(|link| link.provider.is_local())
    }

    /// Tries the providers before the first one that needs the network.
    fn preload(&self) -> Option<Result<ExpiringCredentials>> {
        let mut failures = Vec::new();
        for (index, link) in self.links.iter().enumerate() {
            match link.provider.preload()?.and_then(ExpiringCredentials::unexpired) {
                Ok(issued) => {
                    self.chosen.store(index, Ordering::Relaxed);
                    return Some(Ok(issued));
                }
                Err(error) => failures.push(error.in_step(link.provider.name())),
            }
        }
        Some(Err(none_had_any(&failures)))
    }

    fn fetch(&self, timeout: Duration) -> Result<ExpiringCredentials> {
        if let Some(link) = self.chosen() {
            return link.provider.fetch(timeout).map_err(|error| error.in_step(link.provider.name()));
        }
        let deadline = Moment::now() + timeout;
        let mut failures = Vec::new();
        for (index, link) in self.links.iter().enumerate() {
            if link.is_absent() {
                failures.push(
                    Error::new(Status::NoCredentials, "not available on this machine").in_step(link.provider.name()),
                );
                continue;
            }
            // A provider that does not reply must leave time for the next ones.
            let share = deadline.since(Moment::now()) / (self.links.len() - index) as u32;
            let end = Moment::now() + share;
            match link.provider.fetch(share).and_then(ExpiringCredentials::unexpired) {
                Ok(issued) => {
                    self.chosen.store(index, Ordering::Relaxed);
                    return Ok(issued);
                }
                Err(error) => {
                    // A failure because of the deadline does not mean that the provider is absent.
                    if error.status() == Status::MetadataUnavailable && Moment::now() < end {
                        link.set_absent();
                    }
                    failures.push(error.in_step(link.provider.name()));
                }
            }
        }
        Err(none_had_any(&failures))
    }
}

/// The error that names each provider with its reason. A missing metadata service is permanent, so it is not
/// retryable.
fn none_had_any(failures: &[Error]) -> Error {
    let retryable =
        failures.iter().any(|failure| failure.is_retryable() && failure.status() != Status::MetadataUnavailable);
    let reasons: Vec<_> = failures.iter().map(Error::message).collect();
    Error::new(Status::NoCredentials, format!("no credentials: {}", reasons.join("; "))).with_retryable(retryable)
}
