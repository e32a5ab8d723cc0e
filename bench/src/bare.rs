//! The first baseline: `reqwest::blocking` alone, with the library's settings.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::blocking::{Client, Request};
use reqwest::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, Url};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::caller::Caller;
use crate::error::Result;
use crate::http::RawRequest;

/// The library's defaults.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client and the request that each call sends.
pub struct BareLoop {
    client: Client,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl BareLoop {
    /// Copies a recorded request, except its host, which becomes that of `endpoint`.
    pub fn new(endpoint: &str, ca_file: Option<&Path>, recorded: &RawRequest) -> Result<Self> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls_config(ca_file)?)
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .http1_only()
            .tcp_nodelay(true)
            .build()?;
        let mut headers = HeaderMap::new();
        for (name, value) in recorded.headers() {
            headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        headers.remove(HOST);
        headers.remove(CONTENT_LENGTH);
        Ok(Self { client, url: endpoint.parse()?, headers, body: Bytes::copy_from_slice(&recorded.body) })
    }
}

impl BareLoop {
    /// Sends `body` with the recorded headers, which `change` may change, and returns the body of the reply.
    pub fn send(&self, body: Bytes, change: impl FnOnce(&mut HeaderMap) -> Result<()>) -> Result<Bytes> {
        let mut request = Request::new(Method::POST, self.url.clone());
        request.headers_mut().clone_from(&self.headers);
        change(request.headers_mut())?;
        *request.body_mut() = Some(body.into());
        Ok(self.client.execute(request)?.error_for_status()?.bytes()?)
    }
}

impl Caller for BareLoop {
    fn call(&self) -> Result<()> {
        let reply = self.send(self.body.clone(), |_| Ok(()))?;
        if reply.is_empty() { Err("the reply has an empty body".into()) } else { Ok(()) }
    }
}

fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if let Some(ca_file) = ca_file {
        for certificate in CertificateDer::pem_file_iter(ca_file)? {
            roots.add(certificate?)?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
