//! How a connection comes about: the host's name, TCP, perhaps a way through a proxy, TLS; all of it within a time.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Uri, uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::http::proxy::Proxy;
use crate::http::resolver::SystemResolver;

pub(crate) type Client = hyper_util::client::legacy::Client<Connector, Full<Bytes>>;

/// What a transport is made from, as often as that is needed.
pub(crate) struct Settings {
    pub tls: rustls::ClientConfig,
    pub proxy: Option<Proxy>,
    pub connect_timeout: Duration,
}

/// How long a connection is idle before the kernel looks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Shared by the connectors of all processes of a client.
#[derive(Clone, Default)]
pub(crate) struct ConnectionCounter(Arc<AtomicU64>);

impl ConnectionCounter {
    pub fn opened(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Makes connections. The HTTP stack clones it for each request.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Plan>);

struct Plan {
    way: Way,
    timeout: Duration,
    counter: ConnectionCounter,
}

type Tcp = HttpConnector<SystemResolver>;

#[derive(Clone)]
enum Way {
    Direct(HttpsConnector<Tcp>),
    Tunnel(Box<HttpsConnector<Tunnel<HttpsConnector<Tcp>>>>),
}

/// TCP, perhaps under TLS to a proxy, perhaps under TLS to the service.
pub(crate) type Connection = MaybeHttpsStream<MaybeHttpsStream<TokioIo<TcpStream>>>;
type Outcome = Result<Connection, Box<dyn Error + Send + Sync>>;

impl Connector {
    pub fn new(settings: &Settings, counter: &ConnectionCounter) -> Self {
        let tls = Arc::new(tls(settings));
        let direct = HttpsConnector::from((tcp(settings.connect_timeout), Arc::clone(&tls)));
        let way = match &settings.proxy {
            None => Way::Direct(direct),
            Some(proxy) => Way::Tunnel(Box::new(HttpsConnector::from((tunnel(proxy, direct), tls)))),
        };
        Self(Arc::new(Plan { way, timeout: settings.connect_timeout, counter: counter.clone() }))
    }
}

/// Sessions are kept for each transport: their cache has a lock, and one from before a fork may be locked for ever.
fn tls(settings: &Settings) -> ClientConfig {
    let mut tls = settings.tls.clone();
    tls.resumption = Resumption::in_memory_sessions(32);
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    tls
}

fn tcp(timeout: Duration) -> Tcp {
    let mut tcp = HttpConnector::new_with_resolver(SystemResolver::default());
    // Shared among the addresses of a name, so that one that is dead leaves time for the others.
    tcp.set_connect_timeout(Some(timeout));
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp
}

fn tunnel<C>(proxy: &Proxy, to_proxy: C) -> Tunnel<C> {
    let tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
    match proxy.authorization() {
        Some(authorization) => tunnel.with_auth(authorization.clone()),
        None => tunnel,
    }
}

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Outcome> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let plan = Arc::clone(&self.0);
        Box::pin(async move {
            let connecting = connect(plan.way.clone(), destination);
            let connection =
                tokio::time::timeout(plan.timeout, connecting).await.map_err(|_| TooSlow(plan.timeout))??;
            plan.counter.0.fetch_add(1, Ordering::Relaxed);
            Ok(connection)
        })
    }
}

async fn connect(way: Way, destination: Uri) -> Outcome {
    match way {
        Way::Direct(mut connector) => Ok(MaybeHttpsStream::Http(connector.call(destination).await?)),
        Way::Tunnel(mut connector) => connector.call(with_port(destination)?).await,
    }
}

/// A tunnel takes 443 for granted where none is named, whatever the scheme.
fn with_port(destination: Uri) -> Result<Uri, http::Error> {
    let mut parts = destination.into_parts();
    if parts.scheme == Some(uri::Scheme::HTTP)
        && let Some(authority) = parts.authority.take_if(|authority| authority.port().is_none())
    {
        parts.authority = Some(format!("{authority}:80").parse()?);
    }
    Ok(Uri::from_parts(parts)?)
}

#[derive(Debug)]
struct TooSlow(Duration);

impl std::fmt::Display for TooSlow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "it took longer than {} ms, the connect timeout", self.0.as_millis())
    }
}

impl Error for TooSlow {}
