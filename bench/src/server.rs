//! The server of all clients, over HTTP and HTTPS. Its reply to an action is always the same.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

use crate::affinity::Role;
use crate::asymmetric::Replies;
use crate::error::Result;
use crate::http::Requests;
use crate::{affinity, process};

/// The length of the body of the service's reply to Encrypt.
const BODY_LEN: usize = 285;

/// The delay before each reply at the slow address.
pub const SLOW_REPLY_MS: u64 = 50;

/// The addresses of the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    pub http: SocketAddr,
    pub https: SocketAddr,
    /// HTTP, with [`SLOW_REPLY_MS`] before each reply.
    pub slow: SocketAddr,
}

/// Serves until standard input is closed.
pub fn run(ca_file: &Path) -> Result<()> {
    affinity::bind(Role::Server);
    let ca = certificate_authority()?;
    std::fs::write(ca_file, ca.pem())?;
    let tls = Arc::new(server_config(&ca)?);

    let listen = || TcpListener::bind("127.0.0.1:0");
    let (http, https, slow) = (listen()?, listen()?, listen()?);
    let ready = Ready { http: http.local_addr()?, https: https.local_addr()?, slow: slow.local_addr()? };
    let no_delay = Duration::ZERO;
    thread::spawn(move || accept(&http, move |stream| reply_to_all(&mut Requests::new(stream), no_delay)));
    let delay = Duration::from_millis(SLOW_REPLY_MS);
    thread::spawn(move || accept(&slow, move |stream| reply_to_all(&mut Requests::new(stream), delay)));
    thread::spawn(move || {
        accept(&https, move |stream| {
            let session = ServerConnection::new(Arc::clone(&tls)).map_err(io::Error::other)?;
            reply_to_all(&mut Requests::new(StreamOwned::new(session, stream)), no_delay)
        })
    });
    process::send(&ready)?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// Each connection has a thread. Its error is ignored: it only means that the client closed the connection.
fn accept(listener: &TcpListener, serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) {
    for stream in listener.incoming().flatten() {
        let serve = serve.clone();
        thread::spawn(move || stream.set_nodelay(true).and_then(|()| serve(stream)));
    }
}

fn reply_to_all<S: Read + Write>(requests: &mut Requests<S>, delay: Duration) -> io::Result<()> {
    while let Some(request) = requests.next()? {
        let action = request.headers().find(|(name, _)| name.eq_ignore_ascii_case("x-tc-action"));
        let reply = match action {
            Some((_, "DescribeKey")) => &METADATA_REPLY,
            Some((_, "GetPublicKey")) => &PUBLIC_KEY_REPLY,
            Some((_, "SignByAsymmetricKey")) => &SIGNATURE_REPLY,
            _ => &ENCRYPT_REPLY,
        };
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        requests.stream_mut().write_all(reply)?;
        requests.stream_mut().flush()?;
    }
    Ok(())
}

pub static ENCRYPT_REPLY: LazyLock<Vec<u8>> = LazyLock::new(|| reply(&encrypt_body()));

static ASYMMETRIC: LazyLock<Replies> = LazyLock::new(|| Replies::new().expect("aws-lc-rs generates a key and signs"));
static METADATA_REPLY: LazyLock<Vec<u8>> = LazyLock::new(|| reply(&ASYMMETRIC.metadata));
static PUBLIC_KEY_REPLY: LazyLock<Vec<u8>> = LazyLock::new(|| reply(&ASYMMETRIC.public_key));
static SIGNATURE_REPLY: LazyLock<Vec<u8>> = LazyLock::new(|| reply(&ASYMMETRIC.signature));

/// A reply with the headers that the service sends, because clients have to parse them.
fn reply(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: keep-alive\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn encrypt_body() -> String {
    let template = r#"{"Response":{"CiphertextBlob":"","KeyId":"23e80852-1e38-11e9-b129-5cb9019b4b01","RequestId":"6ef60bec-0242-43af-bb20-270359fb54a7"}}"#;
    let blob = "U-k-".chars().cycle().take(BODY_LEN - template.len()).collect::<String>();
    template.replacen("\"\"", &format!("\"{blob}\""), 1)
}

fn certificate_authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn server_config(ca: &CertifiedIssuer<'_, KeyPair>) -> Result<ServerConfig> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, ca)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_to_encrypt_is_json_of_the_right_length() {
        let body = encrypt_body();
        assert_eq!(body.len(), BODY_LEN);
        let reply: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(reply["Response"]["CiphertextBlob"].as_str().is_some_and(|blob| blob.len() > 100));
    }
}
