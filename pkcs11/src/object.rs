//! Objects: the private key, the public key and the certificates of each key, with their attributes.

use cryptoki_sys::*;

use crate::certificate::Certificate;
use crate::config::Usage;
use crate::key::{PublicParts, SharedKey, id_of_issuer};
use crate::mechanism;

/// An object of a token. It is immutable.
pub struct Object {
    /// Its class.
    pub kind: Kind,
    /// The key that it belongs to.
    pub key: SharedKey,
}

/// The class of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The private key, which is in the service.
    Private,
    /// The public key.
    Public,
    /// A certificate, by its index in the chain. The first is that of the key.
    Certificate(usize),
}

/// The result of reading an attribute.
#[derive(Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Its value.
    Value(Vec<u8>),
    /// It exists and is sensitive.
    Sensitive,
    /// The object has no such attribute.
    Unknown,
}

use Attribute::{Sensitive, Unknown, Value};

/// The objects of a key, in the order in which they are listed.
pub fn objects_of(key: &SharedKey) -> impl Iterator<Item = Object> {
    let certificates = (0..key.certificates.len()).map(Kind::Certificate);
    let kinds = [Kind::Private, Kind::Public].into_iter().chain(certificates);
    kinds.map(|kind| Object { kind, key: SharedKey::clone(key) })
}

impl Object {
    /// The attribute of this type.
    pub fn attribute(&self, kind: CK_ATTRIBUTE_TYPE) -> Attribute {
        match (self.common(kind), self.kind) {
            (Unknown, Kind::Private) => self.private_key(kind),
            (Unknown, Kind::Public) => self.public_key(kind),
            (Unknown, Kind::Certificate(index)) => self.certificate(kind, index),
            (known, _) => known,
        }
    }

    /// Whether the object has all these attributes.
    pub fn matches(&self, template: &[(CK_ATTRIBUTE_TYPE, Vec<u8>)]) -> bool {
        template.iter().all(|(kind, wanted)| matches!(self.attribute(*kind), Value(value) if value == *wanted))
    }

    /// The total size of its attributes in bytes.
    pub fn size(&self) -> usize {
        let lens = ATTRIBUTES.iter().map(|kind| match self.attribute(*kind) {
            Value(value) => value.len(),
            _ => 0,
        });
        lens.sum()
    }

    /// The attributes of every object.
    fn common(&self, kind: CK_ATTRIBUTE_TYPE) -> Attribute {
        match kind {
            CKA_CLASS => number(match self.kind {
                Kind::Private => CKO_PRIVATE_KEY,
                Kind::Public => CKO_PUBLIC_KEY,
                Kind::Certificate(_) => CKO_CERTIFICATE,
            }),
            CKA_TOKEN => flag(true),
            // Readable before C_Login: OpenSSH lists keys without a login.
            CKA_PRIVATE | CKA_MODIFIABLE | CKA_COPYABLE | CKA_DESTROYABLE => flag(false),
            CKA_LABEL => text(self.label()),
            CKA_UNIQUE_ID => text(self.unique_id()),
            CKA_ID => Value(self.id()),
            CKA_SUBJECT => Value(self.subject()),
            CKA_PUBLIC_KEY_INFO => Value(match self.certificate_at() {
                Some(certificate) => certificate.public_key_info.clone(),
                None => self.key.public.spki().to_vec(),
            }),
            _ => Unknown,
        }
    }

    fn certificate_at(&self) -> Option<&Certificate> {
        match self.kind {
            Kind::Certificate(index) => self.key.certificates.get(index),
            _ => None,
        }
    }

    fn label(&self) -> String {
        match self.kind {
            Kind::Certificate(index) if index > 0 => format!("{} issuer {index}", self.key.label),
            _ => self.key.label.clone(),
        }
    }

    fn unique_id(&self) -> String {
        let what = match self.kind {
            Kind::Private => "private".to_owned(),
            Kind::Public => "public".to_owned(),
            Kind::Certificate(index) => format!("certificate-{index}"),
        };
        format!("{}-{what}", self.key.id)
    }

    /// A certificate has the id of its private key: Java and NSS match them by it.
    fn id(&self) -> Vec<u8> {
        match (self.kind, self.certificate_at()) {
            (Kind::Certificate(index), Some(certificate)) if index > 0 => id_of_issuer(certificate),
            _ => self.key.id.clone().into_bytes(),
        }
    }

    fn subject(&self) -> Vec<u8> {
        self.certificate_at().map_or(self.key.subject(), |certificate| &certificate.subject).to_vec()
    }

    fn private_key(&self, kind: CK_ATTRIBUTE_TYPE) -> Attribute {
        match kind {
            CKA_SENSITIVE | CKA_ALWAYS_SENSITIVE | CKA_NEVER_EXTRACTABLE => flag(true),
            CKA_EXTRACTABLE | CKA_ALWAYS_AUTHENTICATE | CKA_WRAP_WITH_TRUSTED => flag(false),
            CKA_SIGN => flag(self.key.usage == Usage::Sign),
            CKA_DECRYPT => flag(self.key.usage == Usage::Decrypt),
            CKA_SIGN_RECOVER | CKA_UNWRAP => flag(false),
            CKA_MODULUS_BITS => Unknown,
            CKA_PRIVATE_EXPONENT | CKA_PRIME_1 | CKA_PRIME_2 | CKA_EXPONENT_1 | CKA_EXPONENT_2 | CKA_COEFFICIENT
                if self.is_rsa() =>
            {
                Sensitive
            }
            CKA_VALUE if !self.is_rsa() => Sensitive,
            _ => self.key_attribute(kind),
        }
    }

    fn public_key(&self, kind: CK_ATTRIBUTE_TYPE) -> Attribute {
        match kind {
            CKA_VERIFY => flag(self.key.usage == Usage::Sign),
            CKA_ENCRYPT => flag(self.key.usage == Usage::Decrypt),
            CKA_VERIFY_RECOVER | CKA_WRAP | CKA_TRUSTED => flag(false),
            _ => self.key_attribute(kind),
        }
    }

    /// The attributes of private and public keys.
    fn key_attribute(&self, kind: CK_ATTRIBUTE_TYPE) -> Attribute {
        match (kind, &self.key.parts) {
            (CKA_KEY_TYPE, PublicParts::Rsa { .. }) => number(CKK_RSA),
            (CKA_KEY_TYPE, PublicParts::Ec { .. }) => number(CKK_EC),
            (CKA_DERIVE, _) => flag(false),
            (CKA_LOCAL, _) => flag(true),
            (CKA_KEY_GEN_MECHANISM, PublicParts::Rsa { .. }) => number(CKM_RSA_PKCS_KEY_PAIR_GEN),
            (CKA_KEY_GEN_MECHANISM, PublicParts::Ec { .. }) => number(CKM_EC_KEY_PAIR_GEN),
            (CKA_START_DATE | CKA_END_DATE, _) => Value(Vec::new()),
            (CKA_ALLOWED_MECHANISMS, _) => {
                Value(mechanism::allowed_for(&self.key).iter().flat_map(|kind| kind.to_ne_bytes()).collect())
            }
            (CKA_MODULUS, PublicParts::Rsa { modulus, .. }) => Value(modulus.clone()),
            (CKA_PUBLIC_EXPONENT, PublicParts::Rsa { exponent, .. }) => Value(exponent.clone()),
            (CKA_MODULUS_BITS, PublicParts::Rsa { modulus, .. }) => number(8 * modulus.len() as CK_ULONG),
            (CKA_EC_PARAMS, PublicParts::Ec { curve, .. }) => Value(curve.to_vec()),
            (CKA_EC_POINT, PublicParts::Ec { point, .. }) => Value(point.clone()),
            _ => Unknown,
        }
    }

    fn certificate(&self, kind: CK_ATTRIBUTE_TYPE, index: usize) -> Attribute {
        let Some(certificate) = self.certificate_at() else { return Unknown };
        match kind {
            CKA_CERTIFICATE_TYPE => number(CKC_X_509),
            CKA_TRUSTED => flag(false),
            CKA_CERTIFICATE_CATEGORY => {
                number(if index == 0 { CK_CERTIFICATE_CATEGORY_TOKEN_USER } else { CK_CERTIFICATE_CATEGORY_AUTHORITY })
            }
            CKA_JAVA_MIDP_SECURITY_DOMAIN => number(CK_SECURITY_DOMAIN_UNSPECIFIED),
            CKA_CHECK_VALUE => Value(certificate.check_value().to_vec()),
            CKA_START_DATE => text(certificate.validity[0].clone()),
            CKA_END_DATE => text(certificate.validity[1].clone()),
            CKA_ISSUER => Value(certificate.issuer.clone()),
            CKA_SERIAL_NUMBER => Value(certificate.serial_number.clone()),
            CKA_VALUE => Value(certificate.der.clone()),
            CKA_URL | CKA_HASH_OF_SUBJECT_PUBLIC_KEY | CKA_HASH_OF_ISSUER_PUBLIC_KEY => Value(Vec::new()),
            CKA_NAME_HASH_ALGORITHM => number(CKM_SHA_1),
            _ => Unknown,
        }
    }

    fn is_rsa(&self) -> bool {
        matches!(self.key.parts, PublicParts::Rsa { .. })
    }
}

/// Every attribute that any object has.
const ATTRIBUTES: &[CK_ATTRIBUTE_TYPE] = &[
    CKA_CLASS,
    CKA_TOKEN,
    CKA_PRIVATE,
    CKA_LABEL,
    CKA_UNIQUE_ID,
    CKA_VALUE,
    CKA_CERTIFICATE_TYPE,
    CKA_ISSUER,
    CKA_SERIAL_NUMBER,
    CKA_TRUSTED,
    CKA_CERTIFICATE_CATEGORY,
    CKA_URL,
    CKA_HASH_OF_SUBJECT_PUBLIC_KEY,
    CKA_HASH_OF_ISSUER_PUBLIC_KEY,
    CKA_NAME_HASH_ALGORITHM,
    CKA_JAVA_MIDP_SECURITY_DOMAIN,
    CKA_CHECK_VALUE,
    CKA_KEY_TYPE,
    CKA_SUBJECT,
    CKA_ID,
    CKA_SENSITIVE,
    CKA_ENCRYPT,
    CKA_DECRYPT,
    CKA_WRAP,
    CKA_UNWRAP,
    CKA_SIGN,
    CKA_SIGN_RECOVER,
    CKA_VERIFY,
    CKA_VERIFY_RECOVER,
    CKA_DERIVE,
    CKA_START_DATE,
    CKA_END_DATE,
    CKA_MODULUS,
    CKA_MODULUS_BITS,
    CKA_PUBLIC_EXPONENT,
    CKA_PUBLIC_KEY_INFO,
    CKA_EXTRACTABLE,
    CKA_LOCAL,
    CKA_NEVER_EXTRACTABLE,
    CKA_ALWAYS_SENSITIVE,
    CKA_KEY_GEN_MECHANISM,
    CKA_MODIFIABLE,
    CKA_COPYABLE,
    CKA_DESTROYABLE,
    CKA_EC_PARAMS,
    CKA_EC_POINT,
    CKA_ALWAYS_AUTHENTICATE,
    CKA_WRAP_WITH_TRUSTED,
    CKA_ALLOWED_MECHANISMS,
];

fn number(value: CK_ULONG) -> Attribute {
    Value(value.to_ne_bytes().to_vec())
}

fn flag(value: bool) -> Attribute {
    Value(vec![CK_BBOOL::from(value)])
}

fn text(value: impl Into<String>) -> Attribute {
    Value(value.into().into_bytes())
}
