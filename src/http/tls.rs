//! The trusted certificates of TLS: loaded once, kept in memory, never named by an environment variable.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::encoding::{base64_decode_into, explain_pem, without_byte_order_mark};
use crate::error::{Error, Result, find_cause};
use crate::sanitize::quoted;
use crate::status::Status;
use crate::sys::file;

/// Longest CA bundle, in bytes. Those of systems have a quarter of a megabyte.
pub const CA_PEM_MAX: usize = 16 * 1024 * 1024;

/// The paths of the systems' bundles, the most common first: Debian, Fedora, openSUSE, Alpine and macOS, FreeBSD.
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
    pub fn load(&self) -> Result<RootCertStore> {
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

/// A configuration without trusted certificates, for clients that only speak plain http.
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
            let paths = SYSTEM_BUNDLES.join(", ");
            let message = format!("this system has no CA bundle in any of {paths}; give one in the configuration");
            Err(Error::new(Status::InvalidCaBundle, message))
        }
    }
}

fn load_file(path: &Path) -> Result<RootCertStore> {
    let name = format!("CA file {}", quoted(&path.to_string_lossy()));
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
    let file = file::open(path)?;
    let limit = CA_PEM_MAX + 1;
    // Without it, the buffer would grow and be copied and wiped a dozen times. The byte more shows the end to one read.
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(limit);
    let mut pem = Vec::with_capacity(length.saturating_add(1).min(limit));
    file.take(limit as u64).read_to_end(&mut pem)?;
    Ok(pem)
}

/// Skips certificates that the TLS stack cannot use, as every bundle has some; refuses a broken PEM file.
fn parse(name: &str, pem: &[u8]) -> Result<RootCertStore> {
    let refused = |reason: &str| Error::new(Status::InvalidCaBundle, format!("{name} {reason}"));
    let pem = without_byte_order_mark(pem);
    let mut roots = RootCertStore::empty();
    let plain = read_plain_certificates(pem, |certificate| {
        let _ = roots.add(certificate.into());
    });
    if plain.is_some() && !roots.is_empty() {
        return Ok(roots);
    }
    let (mut roots, mut certificates) = (RootCertStore::empty(), 0);
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| refused(&format!("is not valid PEM: {}", explain_pem(&error, pem))))?;
        certificates += 1;
        let _ = roots.add(certificate);
    }
    match (roots.is_empty(), certificates) {
        (false, _) => Ok(roots),
        (true, 0) => Err(refused(&format!("holds no certificate in PEM form: {}", what_it_is(pem)))),
        (true, _) => Err(refused("holds no usable certificate in PEM form: what is marked as one is none")),
    }
}

/// Calls `found` with each certificate of a bundle that holds nothing else and is written as usual, in lines of 64 characters.
/// `None` for any other bundle, which has to be parsed in full; what was found until then does not count. The parser of the
/// TLS stack takes milliseconds for the bundle of a system, more than the rest of a first call.
fn read_plain_certificates(pem: &[u8], mut found: impl FnMut(&[u8])) -> Option<()> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----\n";
    const END: &str = "-----END CERTIFICATE-----";
    let mut rest = std::str::from_utf8(pem).ok()?;
    let (mut text, mut der) = (Vec::new(), Vec::new());
    while let Some(begin) = find_marker(rest)? {
        let block = rest[begin..].strip_prefix(BEGIN)?;
        let (body, end) = block.split_at(block.find('-')?);
        join_lines(body.as_bytes(), &mut text)?;
        der.resize(text.len() / 4 * 3, 0);
        let length = base64_decode_into(&text, &mut der).ok()?;
        found(&der[..length]);
        rest = end.strip_prefix(END)?;
    }
    Some(())
}

/// The beginning of the next line that starts with five dashes, past lines of comment; `None` if a comment contains them.
fn find_marker(text: &str) -> Option<Option<usize>> {
    let mut begin = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with("-----") {
            return Some(Some(begin));
        }
        if line.contains("-----") {
            return None;
        }
        begin += line.len();
    }
    Some(None)
}

/// The characters of lines that have 64 each, but the last.
fn join_lines(body: &[u8], joined: &mut Vec<u8>) -> Option<()> {
    const LINE: usize = 64;
    joined.clear();
    let mut lines = body.chunks(LINE + 1).peekable();
    while let Some(line) = lines.next() {
        let (b'\n', characters) = line.split_last()? else { return None };
        if lines.peek().is_some() && characters.len() != LINE {
            return None;
        }
        joined.extend_from_slice(characters);
    }
    Some(())
}

/// What a file without a certificate seems to be.
fn what_it_is(content: &[u8]) -> &'static str {
    let has = |text: &[u8]| content.windows(text.len()).any(|window| window == text);
    match content {
        [] => "it is empty",
        // The beginning of a sequence in DER.
        [0x30, 0x82, ..] => "it seems to be DER; convert it with `openssl x509 -inform der`",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it is UTF-16, ASCII is expected",
        _ if has(b"PRIVATE KEY-----") => "it holds a private key, which does not belong there",
        _ if has(b"PUBLIC KEY-----") => "it holds a public key",
        _ if has(b"CERTIFICATE REQUEST-----") => "it holds a certificate request",
        _ if has(b"-----BEGIN ") => "it holds something else",
        _ => "it has no -----BEGIN line",
    }
}

/// The TLS error among the causes of an error.
pub(crate) fn find_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    find_cause(error)
}

/// What a TLS error means, and what to do where that is known.
pub(crate) fn explain(error: &rustls::Error) -> String {
    let certificate = match error {
        rustls::Error::InvalidCertificate(reason) => reason,
        rustls::Error::InvalidMessage(_) => return format!("the server does not speak TLS ({error})"),
        other => return other.to_string(),
    };
    let advice = match certificate {
        CertificateError::UnknownIssuer => {
            "no trusted certificate issued it; a private CA is trusted by tckms_config_set_ca_file or TCKMS_CA_FILE"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired, or this clock is wrong",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet, or this clock is wrong"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host name"
        }
        _ => return error.to_string(),
    };
    format!("{error}: {advice}")
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

    fn block(bytes: &[u8]) -> String {
        let base64 = crate::encoding::base64_encode(bytes);
        let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    #[test]
    fn both_readers_of_pem_find_the_same_certificates() {
        let bundle = format!("# One\n{}\n# Two: a-b\n{}{}", block(&[1; 48]), block(&[2; 700]), block(&[3; 1]));
        let slow: Vec<_> = CertificateDer::pem_slice_iter(bundle.as_bytes()).map(|found| found.unwrap()).collect();
        let mut fast = Vec::new();
        read_plain_certificates(bundle.as_bytes(), |found| fast.push(CertificateDer::from(found.to_vec()))).unwrap();
        assert_eq!(slow.len(), 3);
        assert_eq!(fast, slow);
    }

    #[test]
    fn what_is_not_written_as_usual_is_left_to_the_parser() {
        let good = block(&[7; 100]);
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for bundle in [
            good.replace('\n', "\r\n"),
            good.clone() + key,
            key.to_owned() + &good,
            good.replace("-----END CERTIFICATE-----\n", ""),
            good.replacen("CERTIFICATE", "TRUSTED CERTIFICATE", 2),
            good.replacen("Bw", "B ", 1),
            good.replace("\n", ""),
            good.replacen("BwcHB", "BwcH\nB", 1),
            "-----BEGIN CERTIFICATE-----\n".to_owned() + &good,
        ] {
            assert!(read_plain_certificates(bundle.as_bytes(), |_| ()).is_none(), "{bundle}");
        }
        assert!(read_plain_certificates(b"\xff", |_| ()).is_none());
        assert!(read_plain_certificates(b"", |_| panic!("there is none")).is_some());
    }

    #[test]
    fn a_missing_file_is_named_with_its_errno() {
        let error = load_file(Path::new("/nonexistent/ca.pem")).err().unwrap();
        assert_eq!((error.status(), error.os_errno()), (Status::InvalidCaBundle, Some(2)));
        assert!(error.message().contains("/nonexistent/ca.pem"));
    }
}
