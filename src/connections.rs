//! A layer around the HTTP stack's connector that counts the connections it makes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

/// Shared by the connectors of all transports of a client.
#[derive(Clone, Default)]
pub(crate) struct ConnectionCounter(Arc<AtomicU64>);

impl ConnectionCounter {
    pub fn opened(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S> Layer<S> for ConnectionCounter {
    type Service = Counted<S>;

    fn layer(&self, connector: S) -> Counted<S> {
        Counted { connector, counter: self.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Counted<S> {
    connector: S,
    counter: ConnectionCounter,
}

impl<S, Target> Service<Target> for Counted<S>
where
    S: Service<Target>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let connecting = self.connector.call(target);
        let ConnectionCounter(opened) = self.counter.clone();
        Box::pin(async move {
            let connected = connecting.await;
            if connected.is_ok() {
                opened.fetch_add(1, Ordering::Relaxed);
            }
            connected
        })
    }
}
