//! Connects to the service step by step, to show a person which step fails. Nothing is signed, and no secret is
//! sent except the password of a proxy.
//!
//! It uses its own blocking sockets: the connector of calls reports only its result, and this reports each step.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::endpoint::Endpoint;
use super::proxy::Proxy;
use super::tls::{self, CaBundle};
use crate::error::{Error, Result};
use crate::status::Status;

/// Longest head of an answer that is read.
const HEAD_MAX: usize = 64 * 1024;

/// The results of the steps. A step after a failed one is `None`.
#[derive(Default)]
pub struct Reachability {
    /// The host and port that a connection is made to: those of the proxy if there is one.
    pub first_hop: String,
    /// The addresses of the first hop.
    pub resolved: Option<Result<Vec<SocketAddr>>>,
    /// The address that accepted a connection, and how long that took.
    pub connected: Option<Result<(SocketAddr, Duration)>>,
    /// Whether the proxy opened a tunnel; `None` without a proxy too.
    pub tunneled: Option<Result<()>>,
    /// The version of TLS; `None` for plain http too.
    pub tls: Option<Result<String>>,
    /// The server's certificates, its own first, in DER, even if they are not trusted.
    pub certificates: Vec<Vec<u8>>,
    /// The reply, with the service's clock.
    pub answered: Option<Result<Answer>>,
}

/// The reply to a request without a signature.
pub struct Answer {
    /// The HTTP status, which is an error for some services.
    pub http_status: u16,
    /// The service's clock.
    pub date: Option<SystemTime>,
    /// This machine's clock when the reply arrived.
    pub received: SystemTime,
    /// How long it took.
    pub elapsed: Duration,
}

/// Reaches `endpoint`, with at most `timeout` for each step.
pub(crate) fn reach(endpoint: &Endpoint, proxy: Option<&Proxy>, bundle: &CaBundle, timeout: Duration) -> Reachability {
    let mut probe = Reachability::default();
    // The steps that are present show where it ended.
    let _ = go(&mut probe, endpoint, proxy, bundle, timeout);
    probe
}

/// A failed step.
struct Ended;

fn go(
    probe: &mut Reachability,
    endpoint: &Endpoint,
    proxy: Option<&Proxy>,
    bundle: &CaBundle,
    timeout: Duration,
) -> std::result::Result<(), Ended> {
    let (host, port) = proxy.map_or_else(
        || (endpoint.host().to_owned(), port_of(endpoint)),
        |proxy| (proxy.uri().host().unwrap_or_default().to_owned(), proxy.port()),
    );
    probe.first_hop = format!("{host}:{port}");
    let addresses = step(&mut probe.resolved, resolve(&host, port, timeout), Clone::clone)?;
    let mut made = connect(&addresses, timeout);
    let stream = made.as_mut().ok().and_then(|(stream, ..)| stream.take());
    step(&mut probe.connected, made.map(|(_, address, elapsed)| (address, elapsed)), |_| ())?;
    let mut stream: Box<dyn ReadWrite> = Box::new(stream.ok_or(Ended)?);
    if let Some(proxy) = proxy {
        if proxy.is_tls() {
            let mut seen = Vec::new();
            stream = match shake_hands(stream, &host, bundle, &mut seen) {
                Ok((_, stream)) => stream,
                Err(error) => return step(&mut probe.tunneled, Err(error), |()| ()),
            };
        }
        step(&mut probe.tunneled, tunnel(&mut stream, endpoint, proxy), |()| ())?;
    }
    if endpoint.is_tls() {
        let shaken = shake_hands(stream, endpoint.host(), bundle, &mut probe.certificates);
        let (version, secured) = match shaken {
            Ok(both) => both,
            Err(error) => return step(&mut probe.tls, Err(error), |_| ()),
        };
        step(&mut probe.tls, Ok(version), |_| ())?;
        stream = secured;
    }
    step(&mut probe.answered, ask(&mut stream, endpoint), |_| ())
}

/// Stores the result of a step, and continues with a part of it.
fn step<T, U>(
    place: &mut Option<Result<T>>,
    outcome: Result<T>,
    part: impl FnOnce(&T) -> U,
) -> std::result::Result<U, Ended> {
    let kept = place.insert(outcome);
    kept.as_ref().map(part).map_err(|_| Ended)
}

fn port_of(endpoint: &Endpoint) -> u16 {
    endpoint.uri().port_u16().unwrap_or(if endpoint.is_tls() { 443 } else { 80 })
}

/// The system's resolver has no timeout, so it runs on a thread that may be left behind.
fn resolve(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>> {
    let name = host.trim_matches(['[', ']']).to_owned();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        let _ = sender.send(found);
    });
    let failed = |why: String| Error::new(Status::ResolveFailed, format!("the name {host} cannot be resolved: {why}"));
    match receiver.recv_timeout(timeout) {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(failed("it has no address".to_owned())),
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(failed(error.to_string()).with_os_errno(error.raw_os_error())),
        Err(_) => Err(failed(format!("no answer within {} s", timeout.as_secs()))),
    }
}

/// The connection, the address at its other end, and how long it took.
type Connected = (Option<TcpStream>, SocketAddr, Duration);

fn connect(addresses: &[SocketAddr], timeout: Duration) -> Result<Connected> {
    let mut failures = Vec::new();
    for address in addresses {
        let started = Instant::now();
        let connected = TcpStream::connect_timeout(address, timeout).and_then(|stream| {
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => return Ok((Some(stream), *address, started.elapsed())),
            Err(error) => failures.push((format!("{address}: {error}"), error.raw_os_error())),
        }
    }
    let errno = failures.first().and_then(|(_, errno)| *errno);
    let reasons: Vec<_> = failures.into_iter().map(|(reason, _)| reason).collect();
    let message = format!("no connection could be made: {}", reasons.join("; "));
    Err(Error::new(Status::ConnectFailed, message).with_os_errno(errno))
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

fn tunnel(stream: &mut Box<dyn ReadWrite>, endpoint: &Endpoint, proxy: &Proxy) -> Result<()> {
    let target = format!("{}:{}", endpoint.host(), port_of(endpoint));
    let mut request = zeroize::Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes());
    if let Some(authorization) = proxy.authorization() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let (status, _) = exchange(stream, &request).map_err(|error| error.in_step("the proxy"))?;
    if (200..=299).contains(&status) {
        return Ok(());
    }
    let message = format!("the proxy {} refuses a tunnel: {}", proxy.address(), proxy.refusal(status));
    Err(Error::new(Status::ProxyRefused, message).with_http_status(status))
}

/// The version of TLS, and the stream within it. The certificates are kept whether or not they are trusted.
fn shake_hands(
    stream: Box<dyn ReadWrite>,
    host: &str,
    bundle: &CaBundle,
    certificates: &mut Vec<Vec<u8>>,
) -> Result<(String, Box<dyn ReadWrite>)> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let failed = |error: rustls::Error| Error::new(Status::TlsFailed, tls::explain(&error));
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(bundle.load()?), Arc::clone(&provider))
        .build()
        .map_err(|error| Error::new(Status::InvalidCaBundle, error.to_string()))?;
    let seen = Arc::new(Seen { inner, certificates: Mutex::default() });
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|_| Error::new(Status::TlsFailed, format!("{host} is no name that a certificate can have")))?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(failed)?;
    let mut secured = StreamOwned::new(connection, stream);
    let shaken = secured.conn.complete_io(&mut secured.sock);
    *certificates = std::mem::take(&mut *seen.certificates.lock().unwrap_or_else(PoisonError::into_inner));
    if let Err(error) = shaken {
        let text = tls::find_error(&error).map_or_else(|| error.to_string(), tls::explain);
        let status = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Status::TimedOut,
            _ => Status::TlsFailed,
        };
        return Err(Error::new(status, text).with_os_errno(error.raw_os_error()));
    }
    let version = secured.conn.protocol_version().and_then(|version| version.as_str().map(str::to_owned));
    Ok((version.unwrap_or_default().replace('_', "."), Box::new(secured)))
}

/// Verifies as usual, and stores the certificates.
#[derive(Debug)]
struct Seen {
    inner: Arc<WebPkiServerVerifier>,
    certificates: Mutex<Vec<Vec<u8>>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let all = [end_entity].into_iter().chain(intermediates).map(|certificate| certificate.to_vec());
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = all.collect();
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn ask(stream: &mut Box<dyn ReadWrite>, endpoint: &Endpoint) -> Result<Answer> {
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", endpoint.host_header());
    let started = Instant::now();
    let (http_status, date) = exchange(stream, request.as_bytes())?;
    Ok(Answer { http_status, date, received: SystemTime::now(), elapsed: started.elapsed() })
}

/// The status and the `Date` of the reply to a request.
fn exchange(stream: &mut Box<dyn ReadWrite>, request: &[u8]) -> Result<(u16, Option<SystemTime>)> {
    let lost = |error: &io::Error| {
        let status = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Status::TimedOut,
            _ => Status::ConnectionLost,
        };
        let message = match status {
            Status::TimedOut => "no answer came in time".to_owned(),
            _ => format!("the connection broke: {error}"),
        };
        Error::new(status, message).with_os_errno(error.raw_os_error())
    };
    stream.write_all(request).and_then(|()| stream.flush()).map_err(|error| lost(&error))?;
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).map_err(|error| lost(&error))?;
        if read == 0 || head.len() > HEAD_MAX {
            break;
        }
        head.extend_from_slice(&part[..read]);
    }
    if head.is_empty() {
        return Err(Error::new(Status::ConnectionLost, "the connection was closed without an answer"));
    }
    parse_head(&String::from_utf8_lossy(&head)).ok_or_else(|| {
        Error::new(
            Status::ResponseMalformed,
            "the answer is not HTTP, so this is not the service and not a proxy to it",
        )
    })
}

fn parse_head(head: &str) -> Option<(u16, Option<SystemTime>)> {
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let date = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| httpdate::parse_http_date(value.trim()).ok())?
    });
    Some((status, date))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_reply_has_status_and_clock() {
        let date = "HTTP/1.1 403 Forbidden\r\nserver: x\r\nDATE: Tue, 14 Nov 2023 22:13:20 GMT\r\n\r\n";
        let (status, clock) = parse_head(date).unwrap();
        assert_eq!(status, 403);
        assert_eq!(clock.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 1_700_000_000);
        assert_eq!(
            parse_head("HTTP/1.0 200 OK\r\nDate: nonsense\r\n\r\n").map(|(status, date)| (status, date.is_some())),
            Some((200, false))
        );
        for text in ["", "SSH-2.0-OpenSSH_9\r\n", "HTTP/1.1\r\n", "HTTP/1.1 abc\r\n"] {
            assert!(parse_head(text).is_none(), "{text}");
        }
    }
}
