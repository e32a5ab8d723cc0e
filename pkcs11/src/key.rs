//! A key of the service, with the data that PKCS#11 attributes need.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use der::asn1::UintRef;
use der::{Decode, Reader, SliceReader};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use spki::SubjectPublicKeyInfoRef;
use tckms::sign::{KeyType, PublicKey};

use crate::certificate::Certificate;
use crate::config::{ConfigError, KeySettings, Usage};

/// The maximal size of a file with a public key or certificates.
const FILE_MAX: u64 = 1 << 20;

/// DER of the object identifiers of the curves.
const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x22];

/// A key, with its public key and certificates.
pub struct Key {
    /// The KeyId.
    pub id: String,
    /// The label.
    pub label: String,
    /// Its usage.
    pub usage: Usage,
    /// The public key, for verification.
    pub public: Arc<PublicKey>,
    /// The components of the public key.
    pub parts: PublicParts,
    /// Its certificate, then those of its issuers.
    pub certificates: Vec<Certificate>,
    /// The error to log if the service has another public key. `None` if the public key came from the service.
    pub mismatch: Option<String>,
}

/// The components of a public key.
#[derive(Debug, PartialEq, Eq)]
pub enum PublicParts {
    /// Both are big-endian without leading zeros.
    Rsa {
        /// n
        modulus: Vec<u8>,
        /// e
        exponent: Vec<u8>,
    },
    /// A curve, and a point on it.
    Ec {
        /// DER of the curve's object identifier.
        curve: &'static [u8],
        /// DER of an OCTET STRING with the uncompressed point.
        point: Vec<u8>,
        /// The length of r and of s.
        scalar_len: usize,
    },
}

impl Key {
    /// The length of a signature, or of a ciphertext.
    pub fn output_len(&self) -> usize {
        match &self.parts {
            PublicParts::Rsa { modulus, .. } => modulus.len(),
            PublicParts::Ec { scalar_len, .. } => 2 * scalar_len,
        }
    }

    /// The subject of its certificate.
    pub fn subject(&self) -> &[u8] {
        self.certificates.first().map_or(&[], |certificate| &certificate.subject)
    }
}

/// The components of a public key. `Err` is the reason why the module does not support the key.
pub fn parts_of(public: &PublicKey, allow_p384: bool) -> Result<PublicParts, String> {
    let malformed = || "the public key is malformed".to_owned();
    let info = SubjectPublicKeyInfoRef::try_from(public.spki()).map_err(|_| malformed())?;
    let bits = info.subject_public_key.raw_bytes();
    match public.key_type() {
        KeyType::Rsa2048 => rsa_numbers(bits).map_err(|_| malformed()),
        KeyType::P256 => Ok(PublicParts::Ec { curve: P256, point: octet_string(bits), scalar_len: 32 }),
        KeyType::P384 if allow_p384 => Ok(PublicParts::Ec { curve: P384, point: octet_string(bits), scalar_len: 48 }),
        KeyType::P384 => Err("it is a P-384 key, which needs `allow_p384 = yes`".to_owned()),
        _ => Err("it is an SM2 key, for which PKCS#11 has no mechanism".to_owned()),
    }
}

fn rsa_numbers(bits: &[u8]) -> der::Result<PublicParts> {
    let mut reader = SliceReader::new(bits)?;
    let [n, e] = reader.sequence(|inner| Ok::<_, der::Error>([UintRef::decode(inner)?, UintRef::decode(inner)?]))?;
    Ok(PublicParts::Rsa { modulus: n.as_bytes().to_vec(), exponent: e.as_bytes().to_vec() })
}

/// A point has at most 97 bytes, so the length fits in one byte.
fn octet_string(content: &[u8]) -> Vec<u8> {
    [&[4, content.len() as u8], content].concat()
}

/// The contents of the files that the settings of a key name.
#[derive(Default)]
pub struct KeyFiles {
    /// The public key in DER, from its file or from the certificate.
    pub spki: Option<Vec<u8>>,
    /// The certificate, then those of its issuers.
    pub certificates: Vec<Certificate>,
}

impl KeyFiles {
    /// Reads the files.
    pub fn read(key: &KeySettings) -> Result<Self, ConfigError> {
        let mut files = Self::default();
        if let Some(path) = &key.public_key {
            let pem = read_file(key, path)?;
            let spki = SubjectPublicKeyInfoDer::from_pem_slice(&pem)
                .map_err(|_| key.wrong(format!("{}: the file contains no PUBLIC KEY in PEM", path.display())))?;
            files.spki = Some(spki.to_vec());
        }
        if let Some(path) = &key.certificate {
            let pem = read_file(key, path)?;
            files.certificates = Certificate::chain_from_pem(&pem)
                .map_err(|reason| key.wrong(format!("{}: {reason}", path.display())))?;
            files.check_certificate(key, path)?;
        }
        Ok(files)
    }

    /// The first certificate must be that of the key.
    fn check_certificate(&mut self, key: &KeySettings, path: &Path) -> Result<(), ConfigError> {
        let of_certificate = &self.certificates[0].public_key_info;
        match &self.spki {
            Some(spki) if spki != of_certificate => Err(key.wrong(another_key(&path.display().to_string()))),
            Some(_) => Ok(()),
            None => {
                self.spki = Some(of_certificate.clone());
                Ok(())
            }
        }
    }
}

fn another_key(file: &str) -> String {
    format!("{file}: the first certificate is that of another key")
}

/// CKA_ID of an issuer's certificate, by which programs find it: a prefix of the hash of its public key.
pub fn id_of_issuer(certificate: &Certificate) -> Vec<u8> {
    digest(&SHA256, &certificate.public_key_info).as_ref()[..20].to_vec()
}

fn read_file(key: &KeySettings, path: &Path) -> Result<Vec<u8>, ConfigError> {
    use std::io::Read;

    let unreadable = |error: std::io::Error| key.wrong(format!("{} cannot be read: {error}", path.display()));
    let file = tckms::host::open_file(path).map_err(unreadable)?;
    let mut content = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > FILE_MAX {
        return Err(key.wrong(format!("{} is longer than {FILE_MAX} bytes", path.display())));
    }
    Ok(content)
}

/// A key that its objects share.
pub type SharedKey = Arc<Key>;
