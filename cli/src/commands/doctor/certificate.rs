//! The names and dates of a certificate.

use std::time::{Duration, SystemTime};

use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use tckms::rfc3339;

/// The maximal number of names shown. Further names are only counted.
const NAMES_MAX: usize = 4;

pub struct Described {
    pub text: String,
    not_before: Option<SystemTime>,
    not_after: Option<SystemTime>,
    names: Vec<String>,
}

pub fn describe(der: &[u8]) -> Described {
    match Certificate::from_der(der) {
        Ok(certificate) => read(&certificate),
        Err(_) => Described {
            text: "its certificate cannot be read".to_owned(),
            not_before: None,
            not_after: None,
            names: Vec::new(),
        },
    }
}

fn read(certificate: &Certificate) -> Described {
    let certificate = certificate.tbs_certificate();
    let validity = certificate.validity();
    let time = |since_epoch: Duration| SystemTime::UNIX_EPOCH + since_epoch;
    let (begin, end) = (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
    let names = certificate
        .get_extension::<SubjectAltName>()
        .ok()
        .flatten()
        .map(|(_, alternative)| alternative.0.iter().filter_map(name).collect::<Vec<_>>())
        .unwrap_or_default();
    let more = names.len().saturating_sub(NAMES_MAX);
    let listed = names.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
    let listed = if more > 0 { format!("{listed} and {more} more") } else { listed };
    let text = format!(
        "the certificate is for {}, from {}, issued by {}, valid from {} to {}",
        if listed.is_empty() { "no name" } else { &listed },
        certificate.subject(),
        certificate.issuer(),
        rfc3339(begin.as_secs() as i64),
        rfc3339(end.as_secs() as i64)
    );
    Described { text, not_before: Some(time(begin)), not_after: Some(time(end)), names }
}

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        GeneralName::IpAddress(octets) => match octets.as_bytes() {
            [a, b, c, d] => Some(format!("{a}.{b}.{c}.{d}")),
            bytes => <[u8; 16]>::try_from(bytes).ok().map(|octets| std::net::Ipv6Addr::from(octets).to_string()),
        },
        _ => None,
    }
}

impl Described {
    /// The cause of a refusal and the advice.
    pub fn problem(&self, message: &str) -> Option<(&'static str, String)> {
        let now = SystemTime::now();
        if self.not_after.is_some_and(|end| now > end) {
            return Some((
                "certificate_expired",
                "renew the certificate of the server, or correct the clock of this machine".to_owned(),
            ));
        }
        if self.not_before.is_some_and(|begin| now < begin) {
            return Some(("certificate_not_yet_valid", "correct the clock of this machine".to_owned()));
        }
        if message.contains("another host name") {
            let names = self.names.join(", ");
            return Some((
                "certificate_wrong_name",
                format!(
                    "use an endpoint with a name of the certificate ({names}), or find the server that replies instead of the service"
                ),
            ));
        }
        if message.contains("no trusted certificate issued it") {
            return Some((
                "certificate_untrusted",
                "trust the CA with --ca-file or TCKMS_CA_FILE if it belongs to your own endpoint or inspecting proxy"
                    .to_owned(),
            ));
        }
        None
    }
}
