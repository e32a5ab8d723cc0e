//! `tckms certificate`: certificate requests (PKCS #10, RFC 2986) and self-signed certificates (RFC 5280) with a CMK.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand, ValueEnum};
use der::asn1::{Any, BitString, GeneralizedTime, Ia5String, Null, ObjectIdentifier, OctetString, SetOfVec, UtcTime};
use der::pem::LineEnding;
use der::{Decode, Encode, Sequence};
use serde::Serialize;
use tckms::Client;
use tckms::sign::{KeyType, PublicKey, SM2_DEFAULT_USER_ID, SignatureAlgorithm};
use x509_cert::attr::{Attribute, AttributeTypeAndValue};
use x509_cert::certificate::Version;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::request::{CertReqInfo, ExtensionReq, Version as RequestVersion};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

use super::algorithm::Algorithm;
use super::delivery::{self, OutputOption};
use super::public_key;
use crate::connection::Global;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::files::output::Output;
use crate::values::number;

const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const SM2_SM3: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.501");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
/// RSASSA-PSS-params (RFC 4055, 3.1): SHA-256, MGF1 with SHA-256, a salt of 32 bytes.
const PSS_PARAMETERS: &[u8] = &[
    0x30, 0x30, 0xa0, 0x0d, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0xa1, 0x1a,
    0x30, 0x18, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86,
    0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0xa2, 0x03, 0x02, 0x01, 0x20,
];
/// The beginning of 2050. From then on a time is a GeneralizedTime (RFC 5280, 4.1.2.5).
const YEAR_2050: Duration = Duration::from_secs(2_524_608_000);

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Create a certificate request for a CA
    Request(RequestOptions),
    /// Create a self-signed certificate
    SelfSigned(SelfSignedOptions),
}

/// The subject of the certificate.
#[derive(Args, Debug)]
struct SubjectOptions {
    /// The CMK, by its key id
    #[arg(short, long, value_name = "KEYID")]
    key: String,
    /// The subject in the form of RFC 4514, such as CN=www.example.com,O=Example,C=DE
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    subject: Name,
    /// A DNS name of the subject; may be repeated
    #[arg(long, value_name = "NAME", value_parser = parse_dns)]
    dns: Vec<GeneralName>,
    /// An IP address of the subject
    #[arg(long, value_name = "ADDRESS", value_parser = parse_ip)]
    ip: Vec<GeneralName>,
    /// An e-mail address of the subject
    #[arg(long, value_name = "ADDRESS", value_parser = parse_email)]
    email: Vec<GeneralName>,
    /// The purpose of the key; may be repeated
    #[arg(long, value_enum, value_name = "PURPOSE")]
    purpose: Vec<Purpose>,
    /// Mark the subject as a certificate authority
    #[arg(long)]
    ca: bool,
    /// The algorithm; default: the one of the key, and rsa-pkcs1-sha256 for RSA keys
    #[arg(short, long, value_enum, value_name = "ALGORITHM")]
    algorithm: Option<Algorithm>,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Pem)]
    format: Format,
    #[command(flatten)]
    output: OutputOption,
}

#[derive(Args, Debug)]
pub struct RequestOptions {
    #[command(flatten)]
    subject: SubjectOptions,
}

#[derive(Args, Debug)]
pub struct SelfSignedOptions {
    #[command(flatten)]
    subject: SubjectOptions,
    /// The validity in days from now
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = number::<u32>(1, 36500))]
    days: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Pem,
    Der,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Purpose {
    /// A TLS server
    Server,
    /// A TLS client
    Client,
    /// Code signing
    CodeSigning,
}

impl Purpose {
    fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Server => SERVER_AUTH,
            Self::Client => CLIENT_AUTH,
            Self::CodeSigning => CODE_SIGNING,
        }
    }
}

fn parse_name(text: &str) -> Result<Name, String> {
    let wrong = "a subject has the form CN=www.example.com,O=Example,C=DE (RFC 4514)";
    let name: Name = text.parse().map_err(|_| wrong.to_owned())?;
    if name.is_empty() {
        return Err(wrong.to_owned());
    }
    name.iter().try_for_each(check_attribute)?;
    Ok(name)
}

/// The maximal lengths of the attributes, in characters (RFC 5280, appendix A.1).
const ATTRIBUTES: &[(&str, &str, usize)] = &[
    ("2.5.4.3", "CN", 64),
    ("2.5.4.5", "serialNumber", 64),
    ("2.5.4.7", "L", 128),
    ("2.5.4.8", "ST", 128),
    ("2.5.4.10", "O", 64),
    ("2.5.4.11", "OU", 64),
    ("2.5.4.12", "title", 64),
    ("1.2.840.113549.1.9.1", "emailAddress", 255),
];
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");

/// CAs refuse other values.
fn check_attribute(attribute: &AttributeTypeAndValue) -> Result<(), String> {
    let text = String::from_utf8_lossy(attribute.value.value());
    let len = text.chars().count();
    if attribute.oid == COUNTRY {
        let is_code = len == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        return if is_code { Ok(()) } else { Err("C is the two letters of a country, such as C=DE".to_owned()) };
    }
    let oid = attribute.oid.to_string();
    let bound = ATTRIBUTES.iter().find(|(known, ..)| *known == oid);
    let (name, max) = bound.map_or((oid.as_str(), 32_768), |(_, name, max)| (*name, *max));
    if (1..=max).contains(&len) { Ok(()) } else { Err(format!("{name} has 1 to {max} characters, and here {len}")) }
}

fn parse_dns(text: &str) -> Result<GeneralName, String> {
    let allowed = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let rest = text.strip_prefix("*.").unwrap_or(text);
    let is_name = text.len() <= 253 && rest.split('.').all(allowed);
    let name = Ia5String::new(text).ok().filter(|_| is_name);
    name.map(GeneralName::DnsName).ok_or_else(|| "a DNS name has the form www.example.com or *.example.com".to_owned())
}

fn parse_ip(text: &str) -> Result<GeneralName, String> {
    let address: IpAddr = text.parse().map_err(|_| "an IP address has the form 192.0.2.1 or 2001:db8::1".to_owned())?;
    let octets = match address {
        IpAddr::V4(address) => OctetString::new(address.octets()),
        IpAddr::V6(address) => OctetString::new(address.octets()),
    };
    octets.map(GeneralName::IpAddress).map_err(|error| error.to_string())
}

fn parse_email(text: &str) -> Result<GeneralName, String> {
    let is_address = text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    let address = Ia5String::new(text).ok().filter(|_| is_address && !text.contains(char::is_whitespace));
    address.map(GeneralName::Rfc822Name).ok_or_else(|| "an e-mail address has the form a@example.com".to_owned())
}

pub fn run(command: &Command, global: &Global) -> Outcome {
    match command {
        Command::Request(options) => request(options, global),
        Command::SelfSigned(options) => self_signed(options, global),
    }
}

fn request(options: &RequestOptions, global: &Global) -> Outcome {
    let subject = &options.subject;
    let output = subject.output.find(false)?;
    let signer = Signer::new(subject, global)?;
    let mut attributes = SetOfVec::new();
    let extensions = subject.extensions().map_err(encoding)?;
    if !extensions.is_empty() {
        attributes.insert(Attribute::try_from(ExtensionReq(extensions)).map_err(encoding)?).map_err(encoding)?;
    }
    let info = CertReqInfo {
        version: RequestVersion::V1,
        subject: subject.subject.clone(),
        public_key: signer.spki()?,
        attributes,
    };
    subject.deliver(output, global, "CERTIFICATE REQUEST", &signer.sign(&info.to_der().map_err(encoding)?)?)
}

fn self_signed(options: &SelfSignedOptions, global: &Global) -> Outcome {
    let subject = &options.subject;
    let output = subject.output.find(false)?;
    let signer = Signer::new(subject, global)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let end = now + Duration::from_secs(86_400) * options.days;
    let mut extensions = subject.extensions().map_err(encoding)?;
    let identifier = signer.key_identifier()?;
    extensions.push((&identifier).to_extension(&subject.subject, &extensions).map_err(encoding)?);
    let certificate = TbsCertificate {
        version: Version::V3,
        serial_number: serial_number()?,
        signature: signer.identifier.clone(),
        issuer: subject.subject.clone(),
        validity: Validity::new(time(now)?, time(end)?),
        subject: subject.subject.clone(),
        subject_public_key_info: signer.spki()?,
        extensions: Some(extensions),
    };
    subject.deliver(output, global, "CERTIFICATE", &signer.sign(&certificate.to_der().map_err(encoding)?)?)
}

/// The part of a certificate that is signed (RFC 5280, 4.1.2).
#[derive(Sequence)]
struct TbsCertificate {
    #[asn1(context_specific = "0")]
    version: Version,
    serial_number: SerialNumber,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: Validity,
    subject: Name,
    subject_public_key_info: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

/// A structure with its signature: the outer form of certificates and requests.
#[derive(Sequence)]
struct Signed {
    content: Any,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// The output with --json.
#[derive(Serialize)]
struct JsonResult<'a> {
    key_id: &'a str,
    pem: &'a str,
}

impl SubjectOptions {
    fn extensions(&self) -> der::Result<Vec<Extension>> {
        let constraints = BasicConstraints { ca: self.ca, path_len_constraint: None };
        let usage =
            if self.ca { KeyUsages::KeyCertSign | KeyUsages::CRLSign } else { KeyUsages::DigitalSignature.into() };
        let mut extensions = vec![critical(&constraints, &self.subject)?, critical(&KeyUsage(usage), &self.subject)?];
        if !self.purpose.is_empty() {
            let purposes = ExtendedKeyUsage(self.purpose.iter().map(|purpose| purpose.oid()).collect());
            extensions.push((&purposes).to_extension(&self.subject, &extensions)?);
        }
        let names: Vec<_> = self.dns.iter().chain(&self.ip).chain(&self.email).cloned().collect();
        if !names.is_empty() {
            extensions.push((&SubjectAltName(names)).to_extension(&self.subject, &extensions)?);
        }
        Ok(extensions)
    }

    fn deliver(&self, output: Output, global: &Global, label: &str, der: &[u8]) -> Outcome {
        let pem = der::pem::encode_string(label, LineEnding::LF, der)
            .map_err(|error| Failure::failed("PEM", error.to_string()))?;
        if global.json {
            return delivery::described(output, global, &JsonResult { key_id: &self.key, pem: &pem }, "");
        }
        if self.format == Format::Der {
            return delivery::bytes(output, der);
        }
        output.deliver(pem.as_bytes())?;
        Ok(Exit::Done)
    }
}

fn critical<'a, T>(value: &'a T, subject: &Name) -> der::Result<Extension>
where
    &'a T: ToExtension<Error = der::Error>,
{
    Ok(Extension { critical: true, ..value.to_extension(subject, &[])? })
}

/// The CMK with its algorithm.
struct Signer<'a> {
    client: Client,
    key_id: &'a str,
    key: std::sync::Arc<PublicKey>,
    algorithm: SignatureAlgorithm,
    identifier: AlgorithmIdentifierOwned,
}

impl<'a> Signer<'a> {
    fn new(subject: &'a SubjectOptions, global: &Global) -> Outcome<Self> {
        let client = global.client()?;
        let key = client.public_key(&subject.key)?;
        // Not every program that verifies certificates supports PSS.
        let rsa = (key.key_type() == KeyType::Rsa2048).then_some(SignatureAlgorithm::RsaPkcs1Sha256);
        let algorithm = key.algorithm(subject.algorithm.map(SignatureAlgorithm::from).or(rsa))?;
        Ok(Self { client, key_id: &subject.key, key, algorithm, identifier: identifier(algorithm).map_err(encoding)? })
    }

    fn spki(&self) -> Outcome<SubjectPublicKeyInfoOwned> {
        SubjectPublicKeyInfoOwned::from_der(self.key.spki()).map_err(encoding)
    }

    /// The leftmost 160 bits of a digest of the key (RFC 7093, 2). A certificate of a CA must have it (RFC 5280, 4.2.1.2).
    fn key_identifier(&self) -> Outcome<SubjectKeyIdentifier> {
        let mut digest = self.key.digest(self.algorithm, SM2_DEFAULT_USER_ID)?;
        digest.update(public_key::raw(&self.key)?);
        let digest = digest.finish();
        OctetString::new(&digest.as_ref()[..20]).map(SubjectKeyIdentifier).map_err(encoding)
    }

    fn sign(&self, content: &[u8]) -> Outcome<Vec<u8>> {
        let signature = self.client.sign(self.key_id, Some(self.algorithm), content)?;
        let signed = Signed {
            content: Any::from_der(content).map_err(encoding)?,
            algorithm: self.identifier.clone(),
            signature: BitString::from_bytes(&signature.bytes).map_err(encoding)?,
        };
        signed.to_der().map_err(encoding)
    }
}

fn identifier(algorithm: SignatureAlgorithm) -> der::Result<AlgorithmIdentifierOwned> {
    let (oid, parameters) = match algorithm {
        SignatureAlgorithm::EcdsaP384Sha384 => (ECDSA_SHA384, None),
        SignatureAlgorithm::RsaPkcs1Sha256 => (RSA_SHA256, Some(Any::from(Null))),
        SignatureAlgorithm::RsaPssSha256 => (RSA_PSS, Some(Any::from_der(PSS_PARAMETERS)?)),
        SignatureAlgorithm::Sm2Sm3 => (SM2_SM3, None),
        _ => (ECDSA_SHA256, None),
    };
    Ok(AlgorithmIdentifierOwned { oid, parameters })
}

/// 16 random bytes. The first is not 0 and has no high bit, so the number is positive and has its full length.
fn serial_number() -> Outcome<SerialNumber> {
    let mut bytes = [0; 16];
    tckms::host::fill_random(&mut bytes)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::new(&bytes).map_err(encoding)
}

fn time(since_epoch: Duration) -> Outcome<Time> {
    let seconds = Duration::from_secs(since_epoch.as_secs());
    if seconds < YEAR_2050 {
        return UtcTime::from_unix_duration(seconds).map(Time::UtcTime).map_err(encoding);
    }
    GeneralizedTime::from_unix_duration(seconds).map(Time::GeneralTime).map_err(encoding)
}

fn encoding(error: der::Error) -> Failure {
    Failure::failed("DER", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_validated() {
        for good in ["www.example.com", "*.example.com", "localhost", "a_b.c"] {
            assert!(parse_dns(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a..b", "a b", "*", "w*.example.com", "密.example", &"a".repeat(64)] {
            assert!(parse_dns(bad).is_err(), "{bad}");
        }
        assert!(parse_ip("2001:db8::1").is_ok() && parse_ip("1.2.3").is_err());
        assert!(parse_email("a@example.com").is_ok() && parse_email("a").is_err() && parse_email("a b@c").is_err());
        assert!(parse_name("CN=a,O=b").is_ok());
        let (longest, longer) = (format!("CN={}", "密".repeat(64)), format!("CN={}", "a".repeat(65)));
        assert!(parse_name(&longest).is_ok());
        for bad in ["", "a", "CN", "=a", "CN=", "O=", "1.2.3.4=", "C=DEU", "C=D1", "C=", &longer] {
            assert!(parse_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_generalized_from_2050() {
        assert!(matches!(time(YEAR_2050 - Duration::from_secs(1)).unwrap(), Time::UtcTime(_)));
        assert!(matches!(time(YEAR_2050).unwrap(), Time::GeneralTime(_)));
    }
}
