//! The other end of both clients: a server whose every answer to an action is the same bytes, over HTTP and HTTPS.

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

use crate::asymmetric::Answers;
use crate::error::Result;
use crate::http::Requests;
use crate::placement::Place;
use crate::{placement, process};

/// Length of the answer's body: that of the service's to an Encrypt call.
const BODY_LEN: usize = 285;

/// How long the slow server takes for each answer.
pub const SLOW_ANSWER_MS: u64 = 50;

/// What a client needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    pub http: SocketAddr,
    pub https: SocketAddr,
    /// HTTP, with [`SLOW_ANSWER_MS`] before each answer.
    pub slow: SocketAddr,
}

/// Serves until standard input is closed.
pub fn run(ca_file: &Path) -> Result<()> {
    placement::take(Place::Server);
    let ca = authority()?;
    std::fs::write(ca_file, ca.pem())?;
    let tls = Arc::new(server_config(&ca)?);

    let listen = || TcpListener::bind("127.0.0.1:0");
    let (http, https, slow) = (listen()?, listen()?, listen()?);
    let ready = Ready { http: http.local_addr()?, https: https.local_addr()?, slow: slow.local_addr()? };
    let at_once = Duration::ZERO;
    thread::spawn(move || accept(&http, move |stream| answer_all(&mut Requests::new(stream), at_once)));
    let late = Duration::from_millis(SLOW_ANSWER_MS);
    thread::spawn(move || accept(&slow, move |stream| answer_all(&mut Requests::new(stream), late)));
    thread::spawn(move || {
        accept(&https, move |stream| {
            let session = ServerConnection::new(Arc::clone(&tls)).map_err(io::Error::other)?;
            answer_all(&mut Requests::new(StreamOwned::new(session, stream)), at_once)
        })
    });
    process::send(&ready)?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// Each connection has a thread. That it ends with an error only means that a client has gone.
fn accept(listener: &TcpListener, serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) {
    for stream in listener.incoming().flatten() {
        let serve = serve.clone();
        thread::spawn(move || stream.set_nodelay(true).and_then(|()| serve(stream)));
    }
}

fn answer_all<S: Read + Write>(requests: &mut Requests<S>, delay: Duration) -> io::Result<()> {
    while let Some(request) = requests.next()? {
        let action = request.headers().find(|(name, _)| name.eq_ignore_ascii_case("x-tc-action"));
        let answer = match action {
            Some((_, "DescribeKey")) => &METADATA,
            Some((_, "GetPublicKey")) => &PUBLIC_KEY,
            Some((_, "SignByAsymmetricKey")) => &SIGNATURE,
            _ => &ANSWER,
        };
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        requests.stream_mut().write_all(answer)?;
        requests.stream_mut().flush()?;
    }
    Ok(())
}

/// What the server answers to Encrypt.
pub static ANSWER: LazyLock<Vec<u8>> = LazyLock::new(|| answer(&body()));

static ASYMMETRIC: LazyLock<Answers> = LazyLock::new(|| Answers::new().expect("a key is generated"));
static METADATA: LazyLock<Vec<u8>> = LazyLock::new(|| answer(&ASYMMETRIC.metadata));
static PUBLIC_KEY: LazyLock<Vec<u8>> = LazyLock::new(|| answer(&ASYMMETRIC.public_key));
static SIGNATURE: LazyLock<Vec<u8>> = LazyLock::new(|| answer(&ASYMMETRIC.signature));

/// With the headers that the service sends, as a client has to read them.
fn answer(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: keep-alive\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn body() -> String {
    let around = r#"{"Response":{"CiphertextBlob":"","KeyId":"23e80852-1e38-11e9-b129-5cb9019b4b01","RequestId":"6ef60bec-0242-43af-bb20-270359fb54a7"}}"#;
    let blob = "U-k-".chars().cycle().take(BODY_LEN - around.len()).collect::<String>();
    around.replacen("\"\"", &format!("\"{blob}\""), 1)
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
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
    fn the_answer_is_json_of_the_promised_length() {
        let body = body();
        assert_eq!(body.len(), BODY_LEN);
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(answer["Response"]["CiphertextBlob"].as_str().is_some_and(|blob| blob.len() > 100));
    }
}
