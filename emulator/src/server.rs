//! Connections: accepted, upgraded to TLS if asked, served until their client leaves or the emulator stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode};
use axum::routing::any;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::emulator::Emulator;
use crate::gateway;

/// How long calls under way may take to finish once the emulator is told to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Pause after a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

type Routes = TowerToHyperService<Router>;

/// What a request handler can know of the connection it serves.
#[derive(Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Accepts connections until `stop`, then lets the calls under way finish.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    emulator: Arc<Emulator>,
    stop: impl Future<Output = ()>,
) {
    let routes = TowerToHyperService::new(routes(emulator));
    let shutdown = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    drop(tokio::spawn(greet(stream, Peer(peer), tls.clone(), routes.clone(), shutdown.watcher())));
                }
                Err(error) => {
                    log::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = &mut stop => break,
        }
    }
    // New connections are refused from here on, not left waiting for nobody.
    drop(listener);
    if tokio::time::timeout(STOP_PATIENCE, shutdown.shutdown()).await.is_err() {
        log::warn!("stopped with calls still under way");
    }
}

fn routes(emulator: Arc<Emulator>) -> Router {
    Router::new()
        .route("/", any(gateway::handle))
        .fallback(|| async { (StatusCode::NOT_FOUND, "The KMS API is at `/`.\n") })
        .with_state(emulator)
}

async fn greet(stream: TcpStream, peer: Peer, tls: Option<TlsAcceptor>, routes: Routes, watcher: Watcher) {
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!("{}: cannot set TCP_NODELAY: {error}", peer.0);
    }
    match tls {
        None => converse(stream, peer, routes, watcher).await,
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => converse(stream, peer, routes, watcher).await,
            Err(error) => log::info!("{}: TLS handshake failed: {error}", peer.0),
        },
    }
}

async fn converse<S>(stream: S, peer: Peer, routes: Routes, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        routes.call(request)
    });
    let connection = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        log::debug!("{}: connection ended: {error}", peer.0);
    }
}
