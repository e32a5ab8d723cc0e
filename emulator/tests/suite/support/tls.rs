//! HTTPS with the same HTTP/1.1.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::http::{Reply, read_reply};

/// Sends one request and reads the reply. The server's certificate must be for `name` and signed by the CA.
pub fn tls_exchange(ca_file: &str, address: &str, name: &'static str, request: &[u8]) -> io::Result<Reply> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file).expect("a PEM file")).expect("a CA certificate");
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(name).expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    let mut stream = StreamOwned::new(session, TcpStream::connect(address)?);
    stream.write_all(request)?;
    read_reply(&mut BufReader::new(stream))
}
