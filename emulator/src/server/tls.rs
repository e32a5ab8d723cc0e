//! A certificate authority for one run of the emulator, and the server certificates that it signs: a valid one, and one
//! with each flaw for scripted faults.

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

use crate::faults::script::Flaw;

/// Why there is no TLS, in words for the log.
pub type TlsError = Box<dyn std::error::Error + Send + Sync>;

/// The names in the server's certificate.
const SERVER_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A name that no client uses.
const OTHER_NAME: &str = "elsewhere.invalid";

/// The acceptors for HTTPS. Dropping this value removes the temporary directory of the CA's certificate.
pub struct Tls {
    valid: TlsAcceptor,
    expired: TlsAcceptor,
    wrong_host: TlsAcceptor,
    unknown_ca: TlsAcceptor,
    pub ca_file: PathBuf,
    _directory: Option<TempDir>,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

impl Tls {
    /// Makes a CA and server certificates, which are for `names` too. Writes the CA's certificate to `ca_file`, by
    /// default to a temporary file.
    pub fn new(names: &[String], ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let ca = authority("tckms-emulator CA")?;
        let other_ca = authority("tckms-emulator unknown CA")?;
        let now = OffsetDateTime::now_utc();
        let (yesterday, next_year) = (now - Duration::days(1), now + Duration::days(365));
        let names: Vec<_> = SERVER_NAMES.into_iter().chain(names.iter().map(String::as_str)).collect();
        let (ca_file, directory) = match ca_file {
            Some(path) => (replace_file(path, &ca.pem())?, None),
            None => temporary_file(&ca.pem()).map(|(path, directory)| (path, Some(directory)))?,
        };
        Ok(Self {
            valid: acceptor(&ca, &names, next_year)?,
            expired: acceptor(&ca, &names, yesterday)?,
            wrong_host: acceptor(&ca, &[OTHER_NAME], next_year)?,
            unknown_ca: acceptor(&other_ca, &names, next_year)?,
            ca_file,
            _directory: directory,
        })
    }

    /// The acceptor whose certificate has this flaw, or the one whose certificate is valid.
    pub fn acceptor(&self, flaw: Option<Flaw>) -> &TlsAcceptor {
        match flaw {
            None => &self.valid,
            Some(Flaw::Expired) => &self.expired,
            Some(Flaw::WrongHost) => &self.wrong_host,
            Some(Flaw::UnknownCa) => &self.unknown_ca,
        }
    }
}

fn authority(name: &str) -> Result<Authority, TlsError> {
    let mut params = certificate_params(name, &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_after = OffsetDateTime::now_utc() + Duration::days(365);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn acceptor(ca: &Authority, names: &[&str], expires: OffsetDateTime) -> Result<TlsAcceptor, TlsError> {
    let key = KeyPair::generate()?;
    let mut params = certificate_params("tckms-emulator", names)?;
    params.not_after = expires;
    let certificate = params.signed_by(&key, ca)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificate_params(common_name: &str, names: &[&str]) -> Result<CertificateParams, TlsError> {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = OffsetDateTime::now_utc() - Duration::days(30);
    Ok(params)
}

/// Writes a file in a new directory, both accessible only by the owner.
fn temporary_file(text: &str) -> std::io::Result<(PathBuf, TempDir)> {
    let owner_only = Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new().prefix("tckms-emulator-").permissions(owner_only).tempdir()?;
    let path = directory.path().join("ca.pem");
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(text.as_bytes())?;
    Ok((path, directory))
}

/// Writes a file that all users may read. An existing file is replaced atomically.
fn replace_file(path: &Path, text: &str) -> Result<PathBuf, TlsError> {
    let write = || {
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        std::path::absolute(path)
    };
    write().map_err(|error| format!("--ca-file {}: {error}", path.display()).into())
}
