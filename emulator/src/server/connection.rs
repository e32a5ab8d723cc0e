//! Connections: each is accepted, and served until its client closes it or the emulator stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode};
use axum::routing::{any, get};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::api::metadata;
use crate::emulator::Emulator;
use crate::faults::script::{Fault, Flaw};
use crate::faults::scripted_stream::{ReplyScript, ScriptedStream, Transport};
use crate::server::admin;
use crate::server::handler::{self, Connection};
use crate::server::tls::Tls;

/// How long calls in flight may take after a signal to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Enough of a connection's first bytes to recognise the admin API: `DELETE /_admin/`.
const PEEK_LEN: usize = 15;

/// The state for serving a connection.
#[derive(Clone)]
pub struct Server {
    emulator: Arc<Emulator>,
    tls: Option<Arc<Tls>>,
    routes: TowerToHyperService<Router>,
}

/// Signals connections to end. Each connection holds a copy until it has ended.
type Stopping = watch::Receiver<bool>;

impl Server {
    pub fn new(emulator: Arc<Emulator>, tls: Option<Arc<Tls>>) -> Self {
        let routes = TowerToHyperService::new(routes(Arc::clone(&emulator)));
        Self { emulator, tls, routes }
    }

    /// Accepts connections until `stop`, then lets the calls in flight finish.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let (stopper, stopping) = watch::channel(false);
        tokio::select! {
            () = self.accept_all(&listener, stopping) => {}
            () = stop => {}
        }
        // New connections are refused from here on, not left in the queue.
        drop(listener);
        stopper.send_replace(true);
        if tokio::time::timeout(STOP_TIMEOUT, stopper.closed()).await.is_err() {
            log::warn!("stopped with calls still in flight");
        }
    }

    async fn accept_all(&self, listener: &TcpListener, stopping: Stopping) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => drop(tokio::spawn(self.clone().serve(stream, peer, stopping.clone()))),
                Err(error) => {
                    log::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve(self, stream: TcpStream, peer: SocketAddr, mut stopping: Stopping) {
        let transport = tokio::select! {
            transport = self.accept(stream, peer) => transport,
            () = stopped(&mut stopping) => None,
        };
        if let Some(transport) = transport {
            self.serve_http(transport, peer, stopping).await;
        }
    }

    /// Makes the transport of a new connection, unless a fault ends it.
    async fn accept(&self, mut stream: TcpStream, peer: SocketAddr) -> Option<Transport> {
        self.emulator.request_log.count_connection();
        if let Err(error) = stream.set_nodelay(true) {
            log::debug!("{peer}: cannot set TCP_NODELAY: {error}");
        }
        let mut first_bytes = [0; PEEK_LEN];
        let length = stream.peek(&mut first_bytes).await.ok()?;
        // Faults must not affect the admin API, and its clients do not have to trust a CA.
        if self.emulator.loopback && is_for_admin(&first_bytes[..length]) {
            self.emulator.request_log.uncount_connection();
            return Some(Transport::Plain(stream));
        }
        match self.emulator.faults.next_for_connection() {
            Some(Fault::CloseConnection {}) => None,
            Some(Fault::CutHandshake {}) => {
                read_client_hello(&mut stream).await;
                None
            }
            Some(Fault::Certificate { flaw }) => self.handshake(stream, peer, Some(flaw)).await,
            _ => self.handshake(stream, peer, None).await,
        }
    }

    async fn handshake(&self, stream: TcpStream, peer: SocketAddr, flaw: Option<Flaw>) -> Option<Transport> {
        let Some(tls) = &self.tls else { return Some(Transport::Plain(stream)) };
        match tls.acceptor(flaw).accept(stream).await {
            Ok(stream) => Some(Transport::Tls(Box::new(stream))),
            Err(error) => {
                log::info!("{peer}: TLS handshake failed: {error}");
                None
            }
        }
    }

    async fn serve_http(self, transport: Transport, peer: SocketAddr, mut stopping: Stopping) {
        let connection = Connection { peer, script: ReplyScript::default() };
        let stream = ScriptedStream::new(transport, connection.script.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(connection.clone());
            self.routes.call(request)
        });
        // No timeout between requests: a test may wait long between two calls on a connection.
        let http = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(stream), service);
        tokio::pin!(http);
        let ended = tokio::select! {
            ended = http.as_mut() => ended,
            () = stopped(&mut stopping) => {
                http.as_mut().graceful_shutdown();
                http.await
            }
        };
        if let Err(error) = ended {
            log::debug!("{peer}: connection ended: {error}");
        }
    }
}

/// Waits until the emulator stops.
async fn stopped(stopping: &mut Stopping) {
    // An error means that the server was dropped, which is also a stop.
    let _ = stopping.wait_for(|&stop| stop).await;
}

fn routes(emulator: Arc<Emulator>) -> Router {
    let role_path = format!("{}{{*role}}", metadata::PATH);
    let router = Router::new()
        .route("/", any(handler::api))
        .route(metadata::PATH, get(handler::metadata))
        .route(&role_path, get(handler::metadata))
        .fallback(|| async { (StatusCode::NOT_FOUND, "The KMS API is at `/`.\n") });
    let router = if emulator.loopback { router.nest("/_admin", admin::routes(Arc::clone(&emulator))) } else { router };
    router.with_state(emulator)
}

/// Whether a connection begins with a plain HTTP request to the admin API.
fn is_for_admin(first_bytes: &[u8]) -> bool {
    let target = first_bytes.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
    first_bytes.first().is_some_and(u8::is_ascii_uppercase) && target.starts_with(b"/_admin")
}

/// Reads the client's first bytes: with unread bytes, closing the connection would send a RST and not a FIN.
async fn read_client_hello(stream: &mut TcpStream) {
    let mut first_bytes = [0; 16 * 1024];
    // The connection is closed next, whatever the result.
    let _ = stream.read(&mut first_bytes).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_requests_to_the_admin_api_are_for_admin() {
        for (first_bytes, expected) in [
            (&b"GET /_admin/req"[..], true),
            (b"DELETE /_admin/", true),
            (b"POST / HTTP/1.1", false),
            (b"POST /?x=/_admi", false),
            (b"GET", false),
            (b"", false),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01", false),
        ] {
            assert_eq!(is_for_admin(first_bytes), expected, "{first_bytes:?}");
        }
    }
}
