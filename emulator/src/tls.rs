//! A certificate authority for one run of the emulator, and the server certificate it signs.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Why there is no TLS, in words for the log.
pub type TlsError = Box<dyn std::error::Error + Send + Sync>;

/// The names that the server's certificate is good for.
const SERVER_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Serving HTTPS. The directory with the CA's certificate goes away with this value.
pub struct Tls {
    pub acceptor: TlsAcceptor,
    pub ca_file: PathBuf,
    _directory: TempDir,
}

impl Tls {
    /// Makes a CA and a server certificate, and writes the CA's to a private file.
    pub fn new() -> Result<Self, TlsError> {
        let ca = authority("tckms-emulator CA")?;
        let owner_only = Permissions::from_mode(0o700);
        let directory = tempfile::Builder::new().prefix("tckms-emulator-").permissions(owner_only).tempdir()?;
        let ca_file = directory.path().join("ca.pem");
        write_private(&ca_file, &ca.pem())?;
        let acceptor = TlsAcceptor::from(Arc::new(server_config(&ca)?));
        Ok(Self { acceptor, ca_file, _directory: directory })
    }
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>, TlsError> {
    let mut params = certificate_params(name, Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn certificate_params(name: &str, subject_names: Vec<String>) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(subject_names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(365);
    Ok(params)
}

fn server_config(ca: &CertifiedIssuer<'_, KeyPair>) -> Result<ServerConfig, TlsError> {
    let key = KeyPair::generate()?;
    let params = certificate_params("tckms-emulator", SERVER_NAMES.map(str::to_owned).to_vec())?;
    let certificate = params.signed_by(&key, ca)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
