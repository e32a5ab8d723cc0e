//! Which certificates TLS trusts: loaded once, kept in memory, never from a variable.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::file;

/// Longest CA bundle, in bytes. Those of systems have a quarter of a megabyte.
pub const CA_PEM_MAX: usize = 16 * 1024 * 1024;

/// Where systems keep their bundle, the most common first: Debian, Fedora, openSUSE, Alpine and macOS, FreeBSD.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

/// The source of the trust anchors.
#[derive(Clone, Default)]
pub(crate) enum CaBundle {
    #[default]
    System,
    File(PathBuf),
    Pem(Arc<[u8]>),
}

impl CaBundle {
    fn load(&self) -> Result<RootCertStore> {
        match self {
            Self::System => load_system(),
            Self::File(path) => load_file(path),
            Self::Pem(pem) => parse("the CA bundle in memory", pem),
        }
    }
}

/// The TLS configuration of a client: TLS 1.2 and 1.3 with the provider's safe defaults.
pub(crate) fn client_config(bundle: &CaBundle) -> Result<ClientConfig> {
    with_roots(bundle.load()?)
}

/// A configuration that trusts nobody, for clients that only speak plain http.
pub(crate) fn client_config_without_trust() -> Result<ClientConfig> {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(Status::Internal, format!("TLS cannot be set up: {error}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn load_system() -> Result<RootCertStore> {
    match SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists()) {
        Some(path) => load_file(path),
        None => {
            let places = SYSTEM_BUNDLES.join(", ");
            let message = format!("this system has no CA bundle in any of {places}; give one in the configuration");
            Err(Error::new(Status::InvalidCaBundle, message))
        }
    }
}

fn load_file(path: &Path) -> Result<RootCertStore> {
    let name = format!("CA file {path:?}");
    let pem = read(path).map_err(|error| {
        Error::new(Status::InvalidCaBundle, format!("{name} cannot be read: {error}"))
            .with_os_errno(error.raw_os_error())
    })?;
    if pem.len() > CA_PEM_MAX {
        let message = format!("{name} is longer than {CA_PEM_MAX} bytes");
        return Err(Error::new(Status::InvalidCaBundle, message));
    }
    parse(&name, &pem)
}

/// One byte more than is allowed shows that there is more.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut pem = Vec::new();
    file::open(path)?.take(CA_PEM_MAX as u64 + 1).read_to_end(&mut pem)?;
    Ok(pem)
}

/// Certificates that the TLS stack cannot use are passed over, as every bundle has some; a broken PEM file is not.
fn parse(name: &str, pem: &[u8]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate
            .map_err(|error| Error::new(Status::InvalidCaBundle, format!("{name} is not valid PEM: {error:?}")))?;
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(Error::new(Status::InvalidCaBundle, format!("{name} holds no usable certificate in PEM form")));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_without_a_certificate_are_refused() {
        for pem in ["", "no PEM here", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = parse("bundle", pem.as_bytes()).err().unwrap();
            assert_eq!(error.status(), Status::InvalidCaBundle, "{pem}");
        }
    }

    #[test]
    fn a_missing_file_is_named_with_its_errno() {
        let error = load_file(Path::new("/nonexistent/ca.pem")).err().unwrap();
        assert_eq!((error.status(), error.os_errno()), (Status::InvalidCaBundle, Some(2)));
        assert!(error.message().contains("/nonexistent/ca.pem"));
    }
}
