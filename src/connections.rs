//! A layer around the HTTP stack's connector: it counts the connections, and it is where the HTTP thread is met.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::http_thread;

/// Shared by the connectors of all transports of a client.
#[derive(Clone, Default)]
pub(crate) struct ConnectionCounter(Arc<AtomicU64>);

impl ConnectionCounter {
    pub fn opened(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The layer for one transport.
#[derive(Clone)]
pub(crate) struct ConnectionLayer {
    pub counter: ConnectionCounter,
    /// Says that the transport is broken.
    pub broken: Arc<AtomicBool>,
}

impl<S> Layer<S> for ConnectionLayer {
    type Service = Watched<S>;

    fn layer(&self, connector: S) -> Watched<S> {
        Watched { connector, layer: self.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Watched<S> {
    connector: S,
    layer: ConnectionLayer,
}

impl<S, Target> Service<Target> for Watched<S>
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
        http_thread::adopt(&self.layer.broken);
        let connecting = self.connector.call(target);
        let ConnectionCounter(opened) = self.layer.counter.clone();
        Box::pin(async move {
            let connected = connecting.await;
            if connected.is_ok() {
                opened.fetch_add(1, Ordering::Relaxed);
            }
            connected
        })
    }
}
