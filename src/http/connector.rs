//! Makes connections: the lookup of the host's name, TCP, perhaps a tunnel through a proxy, TLS; all of it within the
//! connect timeout.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{Error, Result};
use crate::http::proxy::Proxy;
use crate::http::resolver::SystemResolver;
use crate::http::settings::Settings;
use crate::http::stream::{FirstHop, Meter, Stream, Tcp};
use crate::http::{dial, tls, tunnel};
use crate::status::Status;

/// The most that a server may send before it replies to a request: certificates, or a proxy's reply.
const HANDSHAKE_MAX: usize = 64 * 1024;

/// The destination of a connection. Only requests with the same destination share connections.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    is_tls: bool,
    authority: Authority,
}

impl Origin {
    /// `None` if it is not an absolute URL.
    pub fn of(uri: &Uri) -> Option<Self> {
        let is_tls = uri.scheme()? == &Scheme::HTTPS;
        Some(Self { is_tls, authority: uri.authority()?.clone() })
    }

    /// The host as a URL has it, with brackets around an IPv6 address.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    fn host(&self) -> &str {
        bare(self.authority.host())
    }

    fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_tls { 443 } else { 80 })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.authority.host(), self.port())
    }
}

/// A host without the brackets that a URL has around an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Makes the connections of one transport.
pub(crate) struct Connector {
    tls: TlsConnector,
    proxy: Option<Proxy>,
    resolver: SystemResolver,
    timeout: Duration,
}

impl Connector {
    pub fn new(settings: &Settings) -> Self {
        Self {
            tls: tls_connector(&settings.tls),
            proxy: settings.proxy.clone(),
            resolver: SystemResolver::default(),
            timeout: settings.connect_timeout,
        }
    }

    /// A new connection. Every error names the host, the port and the proxy.
    pub async fn connect(&self, origin: &Origin) -> Result<Stream> {
        let attempt = Attempt { connector: self, origin, step: AtomicU8::new(Step::Lookup as u8) };
        let outcome = tokio::time::timeout(self.timeout, attempt.run()).await;
        outcome.unwrap_or_else(|_| Err(attempt.timed_out()))
    }
}

/// Sessions are kept for each transport: their cache has a lock, and one from before a fork may be locked in a child.
fn tls_connector(config: &ClientConfig) -> TlsConnector {
    let mut config = config.clone();
    config.resumption = Resumption::in_memory_sessions(32);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// The current step.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Step {
    Lookup,
    Tcp,
    ProxyTls,
    Tunnel,
    Tls,
}

/// A connection that is being made.
struct Attempt<'a> {
    connector: &'a Connector,
    origin: &'a Origin,
    step: AtomicU8,
}

impl Attempt<'_> {
    async fn run(&self) -> Result<Stream> {
        let meter = Arc::new(Meter::default());
        meter.allow(HANDSHAKE_MAX);
        let hop = match &self.connector.proxy {
            None => FirstHop::Plain(self.tcp(self.origin.host(), self.origin.port(), &meter).await?),
            Some(proxy) => self.through(proxy, &meter).await?,
        };
        if !self.origin.is_tls {
            return Ok(Stream::plain(hop, meter));
        }
        self.enter(Step::Tls);
        let stream = self.handshake(self.origin.host(), hop).await.map_err(|error| self.tls_failed(&error, &meter))?;
        Ok(Stream::tls(stream, meter))
    }

    async fn tcp(&self, host: &str, port: u16, meter: &Arc<Meter>) -> Result<Tcp> {
        self.enter(Step::Lookup);
        let found = self.connector.resolver.lookup(host).await.map_err(|error| self.not_resolved(host, &error))?;
        self.enter(Step::Tcp);
        let addresses = found.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        let stream = dial::connect(addresses).await.map_err(|error| self.failed_io(&error))?;
        Ok(Tcp::new(stream, Arc::clone(meter)))
    }

    async fn through(&self, proxy: &Proxy, meter: &Arc<Meter>) -> Result<FirstHop> {
        let (host, port) = (bare(proxy.uri().host().unwrap_or_default()), proxy.port());
        let tcp = self.tcp(host, port, meter).await?;
        let mut hop = if proxy.is_tls() {
            self.enter(Step::ProxyTls);
            let stream = self.handshake(host, tcp).await.map_err(|error| self.tls_failed(&error, meter))?;
            FirstHop::Tls(Box::new(stream))
        } else {
            FirstHop::Plain(tcp)
        };
        self.enter(Step::Tunnel);
        tunnel::open(&mut hop, &self.origin.to_string(), proxy)
            .await
            .map_err(|failure| self.no_tunnel(proxy, failure, meter))?;
        Ok(hop)
    }

    async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.connector.tls.connect(name, stream).await
    }

    fn enter(&self, step: Step) {
        self.step.store(step as u8, Ordering::Relaxed);
    }

    fn is_at(&self, step: Step) -> bool {
        self.step.load(Ordering::Relaxed) == step as u8
    }

    /// The destination as messages name it.
    fn destination(&self) -> String {
        describe(self.origin, self.connector.proxy.as_ref())
    }

    /// The peer of the current step.
    fn partner(&self) -> String {
        match &self.connector.proxy {
            Some(proxy) if !self.is_at(Step::Tls) => format!("the proxy {}", proxy.address()),
            _ => self.origin.to_string(),
        }
    }

    fn failed(&self, reason: &str) -> Error {
        let message = format!("no connection to {}: {reason}", self.destination());
        Error::new(Status::ConnectFailed, message)
    }

    fn failed_io(&self, error: &io::Error) -> Error {
        let reason = match &self.connector.proxy {
            Some(_) if !self.is_at(Step::Tls) => format!("the proxy cannot be reached: {error}"),
            _ => error.to_string(),
        };
        self.failed(&reason).with_os_errno(error.raw_os_error())
    }

    fn not_resolved(&self, host: &str, error: &io::Error) -> Error {
        let message =
            format!("no connection to {}: the host name {host} cannot be resolved: {error}", self.destination());
        Error::new(Status::ResolveFailed, message).with_os_errno(error.raw_os_error())
    }

    fn timed_out(&self) -> Error {
        let partner = self.partner();
        let waited_for = match () {
            () if self.is_at(Step::Lookup) => "the lookup of the host name".to_owned(),
            () if self.is_at(Step::Tcp) => format!("{partner} to take the connection"),
            () if self.is_at(Step::Tunnel) => format!("{partner} to answer CONNECT"),
            () => format!("the TLS handshake with {partner}"),
        };
        let timeout = self.connector.timeout.as_millis();
        self.failed(&format!("the connect timeout of {timeout} ms passed while waiting for {waited_for}"))
    }

    fn tls_failed(&self, error: &io::Error, meter: &Meter) -> Error {
        let partner = self.partner();
        if meter.began_with_http() && !(self.connector.proxy.is_some() && self.is_at(Step::Tls)) {
            let message = format!("{partner} answered without TLS, as an http port does; the URL says https");
            return Error::new(Status::TlsFailed, message);
        }
        match tls::find_error(error) {
            Some(error) => Error::new(Status::TlsFailed, format!("TLS with {partner} failed: {}", tls::explain(error))),
            None => {
                let reason = format!("the TLS handshake with {partner} broke off: {error}");
                self.failed(&reason).with_os_errno(error.raw_os_error())
            }
        }
    }

    fn no_tunnel(&self, proxy: &Proxy, failure: tunnel::Failure, meter: &Meter) -> Error {
        if !proxy.is_tls() && meter.began_with_tls() {
            let partner = self.partner();
            let message = format!("no tunnel to {}: {partner} speaks TLS; its URL has to say https", self.origin);
            return Error::new(Status::TlsFailed, message);
        }
        match failure {
            tunnel::Failure::Refused(status) => {
                let message = format!(
                    "the proxy {} refuses a tunnel to {}: {}",
                    proxy.address(),
                    self.origin,
                    proxy.refusal(status)
                );
                Error::new(Status::ProxyRefused, message).with_http_status(status)
            }
            tunnel::Failure::NotHttp(what) => self.failed(&format!("the proxy's answer to CONNECT {what}")),
            tunnel::Failure::Io(error) => self
                .failed(&format!("the proxy broke off instead of answering CONNECT: {error}"))
                .with_os_errno(error.raw_os_error()),
        }
    }
}

/// A destination as messages name it: host, port and proxy.
pub(crate) fn describe(origin: &Origin, proxy: Option<&Proxy>) -> String {
    match proxy {
        Some(proxy) => format!("{origin} by way of the proxy {}", proxy.address()),
        None => origin.to_string(),
    }
}
