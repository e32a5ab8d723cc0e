//! Certificates (RFC 5280): the parts that are PKCS#11 attributes.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use der::{Decode, Reader, SliceReader, Tag, TagNumber};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The maximal number of certificates in a file.
const CHAIN_MAX: usize = 16;

/// A certificate with the parts that are attributes, each in its DER encoding from the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The complete certificate.
    pub der: Vec<u8>,
    /// The subject's name.
    pub subject: Vec<u8>,
    /// The issuer's name.
    pub issuer: Vec<u8>,
    /// The serial number.
    pub serial_number: Vec<u8>,
    /// The SubjectPublicKeyInfo.
    pub public_key_info: Vec<u8>,
    /// The first and the last day of its validity, as `YYYYMMDD`.
    pub validity: [String; 2],
}

impl Certificate {
    /// Parses DER.
    pub fn from_der(bytes: &[u8]) -> Option<Self> {
        read(bytes).ok()
    }

    /// The certificates of a PEM file, in the order of the file.
    pub fn chain_from_pem(pem: &[u8]) -> Result<Vec<Self>, String> {
        let mut chain = Vec::new();
        for item in CertificateDer::pem_slice_iter(pem) {
            let der = item.map_err(|_| "the file is not PEM".to_owned())?;
            let number = chain.len() + 1;
            if number > CHAIN_MAX {
                return Err(format!("the file has more than {CHAIN_MAX} certificates"));
            }
            chain.push(Self::from_der(&der).ok_or_else(|| format!("certificate {number} of the file is malformed"))?);
        }
        if chain.is_empty() { Err("the file contains no certificate".to_owned()) } else { Ok(chain) }
    }

    /// CKA_CHECK_VALUE: the first bytes of its SHA-1, which some programs compare.
    pub fn check_value(&self) -> [u8; 3] {
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.der);
        [hash.as_ref()[0], hash.as_ref()[1], hash.as_ref()[2]]
    }
}

/// RFC 5280, 4.1.
fn read(bytes: &[u8]) -> der::Result<Certificate> {
    let mut outer = SliceReader::new(bytes)?;
    let mut certificate = outer.sequence(|parts| {
        let fields = parts.sequence(|fields| {
            if Tag::peek(fields)? == (Tag::ContextSpecific { constructed: true, number: TagNumber(0) }) {
                fields.tlv_bytes()?;
            }
            let serial_number = fields.tlv_bytes()?.to_vec();
            fields.tlv_bytes()?;
            let issuer = fields.tlv_bytes()?.to_vec();
            let validity = fields.sequence(|dates| Ok::<_, der::Error>([day(dates)?, day(dates)?]))?;
            let subject = fields.tlv_bytes()?.to_vec();
            let public_key_info = fields.tlv_bytes()?.to_vec();
            while !fields.is_finished() {
                fields.tlv_bytes()?;
            }
            Ok::<_, der::Error>(Certificate {
                der: Vec::new(),
                subject,
                issuer,
                serial_number,
                public_key_info,
                validity,
            })
        })?;
        parts.tlv_bytes()?;
        parts.tlv_bytes()?;
        Ok::<_, der::Error>(fields)
    })?;
    outer.finish()?;
    certificate.der = bytes.to_vec();
    Ok(certificate)
}

/// The date of a UTCTime or GeneralizedTime.
fn day<'a>(reader: &mut impl Reader<'a>) -> der::Result<String> {
    let any = der::asn1::AnyRef::decode(reader)?;
    let text = std::str::from_utf8(any.value()).unwrap_or_default();
    let (century, digits) = match der::Tagged::tag(&any) {
        // RFC 5280, 4.1.2.5.1.
        Tag::UtcTime => (if text.as_bytes().first().is_some_and(|digit| *digit >= b'5') { "19" } else { "20" }, 6),
        _ => ("", 8),
    };
    let day = text.get(..digits).filter(|day| day.bytes().all(|byte| byte.is_ascii_digit()));
    Ok(format!("{century}{}", day.unwrap_or_default()))
}
