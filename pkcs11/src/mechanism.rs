//! The mechanisms: their keys, operations and parameters.

use aws_lc_rs::digest::{Algorithm, SHA224, SHA256, SHA384, SHA512};
use cryptoki_sys::*;
use tckms::sign::{KeyType, RsaPadding, SignatureAlgorithm};

use crate::config::Usage;
use crate::error::Result;
use crate::key::Key;
use crate::{advice, log};

/// A mechanism, with the data for C_GetMechanismInfo.
pub struct Mechanism {
    /// Its number.
    pub kind: CK_MECHANISM_TYPE,
    /// The keys that it uses.
    pub keys: Keys,
    /// Its operation.
    pub operation: Operation,
}

/// The keys that a mechanism uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// None.
    None,
    /// RSA.
    Rsa,
    /// Elliptic curves.
    Ec,
}

/// The operation of a mechanism.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// Signs and verifies a digest or, with a hash, a message.
    Sign(Scheme, Option<&'static Algorithm>),
    /// Encrypts and decrypts.
    Encrypt,
    /// Signs, verifies, encrypts and decrypts, as CKM_RSA_PKCS does.
    SignAndEncrypt(Scheme),
    /// Digests.
    Digest(&'static Algorithm),
}

/// The signature scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5. If the mechanism has no hash, the input is a DigestInfo.
    Pkcs1,
    /// RSASSA-PSS.
    Pss,
    /// ECDSA.
    Ecdsa,
}

/// All mechanisms, in the order of C_GetMechanismList.
pub const MECHANISMS: &[Mechanism] = &[
    rsa(CKM_RSA_PKCS, Operation::SignAndEncrypt(Scheme::Pkcs1)),
    rsa(CKM_RSA_PKCS_OAEP, Operation::Encrypt),
    rsa(CKM_RSA_PKCS_PSS, Operation::Sign(Scheme::Pss, None)),
    rsa(CKM_SHA256_RSA_PKCS, Operation::Sign(Scheme::Pkcs1, Some(&SHA256))),
    rsa(CKM_SHA256_RSA_PKCS_PSS, Operation::Sign(Scheme::Pss, Some(&SHA256))),
    ec(CKM_ECDSA, None),
    ec(CKM_ECDSA_SHA224, Some(&SHA224)),
    ec(CKM_ECDSA_SHA256, Some(&SHA256)),
    ec(CKM_ECDSA_SHA384, Some(&SHA384)),
    ec(CKM_ECDSA_SHA512, Some(&SHA512)),
    hash(CKM_SHA224, &SHA224),
    hash(CKM_SHA256, &SHA256),
    hash(CKM_SHA384, &SHA384),
    hash(CKM_SHA512, &SHA512),
];

const fn rsa(kind: CK_MECHANISM_TYPE, operation: Operation) -> Mechanism {
    Mechanism { kind, keys: Keys::Rsa, operation }
}

const fn ec(kind: CK_MECHANISM_TYPE, hash: Option<&'static Algorithm>) -> Mechanism {
    Mechanism { kind, keys: Keys::Ec, operation: Operation::Sign(Scheme::Ecdsa, hash) }
}

const fn hash(kind: CK_MECHANISM_TYPE, hash: &'static Algorithm) -> Mechanism {
    Mechanism { kind, keys: Keys::None, operation: Operation::Digest(hash) }
}

/// Mechanisms that programs request and that the service does not support.
const UNSUPPORTED: &[(CK_MECHANISM_TYPE, &str)] = &[
    (CKM_SHA1_RSA_PKCS, "RSA with SHA-1"),
    (CKM_SHA1_RSA_PKCS_PSS, "RSA-PSS with SHA-1"),
    (CKM_SHA224_RSA_PKCS, "RSA with SHA-224"),
    (CKM_SHA384_RSA_PKCS, "RSA with SHA-384"),
    (CKM_SHA384_RSA_PKCS_PSS, "RSA-PSS with SHA-384"),
    (CKM_SHA512_RSA_PKCS, "RSA with SHA-512"),
    (CKM_SHA512_RSA_PKCS_PSS, "RSA-PSS with SHA-512"),
    (CKM_RSA_X_509, "RSA without padding"),
    (CKM_ECDSA_SHA1, "ECDSA with SHA-1"),
];

/// The mechanism with this number.
pub fn find(kind: CK_MECHANISM_TYPE) -> Option<&'static Mechanism> {
    MECHANISMS.iter().find(|mechanism| mechanism.kind == kind)
}

/// The mechanism that a program requests, with parameters copied from its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The mechanism's number.
    pub kind: CK_MECHANISM_TYPE,
    /// Its parameters.
    pub parameters: Parameters,
}

/// Parameters of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// None.
    None,
    /// CK_RSA_PKCS_PSS_PARAMS.
    Pss {
        /// hashAlg
        hash: CK_MECHANISM_TYPE,
        /// mgf
        mgf: CK_RSA_PKCS_MGF_TYPE,
        /// sLen
        salt_len: CK_ULONG,
    },
    /// CK_RSA_PKCS_OAEP_PARAMS.
    Oaep {
        /// hashAlg
        hash: CK_MECHANISM_TYPE,
        /// mgf
        mgf: CK_RSA_PKCS_MGF_TYPE,
        /// source
        source: CK_RSA_PKCS_OAEP_SOURCE_TYPE,
        /// ulSourceDataLen
        label_len: CK_ULONG,
    },
    /// Parameters of another mechanism.
    Unexpected,
}

/// How to sign.
#[derive(Clone, Copy)]
pub struct SignatureRequest {
    /// The scheme.
    pub scheme: Scheme,
    /// The hash that the module computes; `None` if the program passes a digest.
    pub hash: Option<&'static Algorithm>,
    /// The service's algorithm.
    pub algorithm: SignatureAlgorithm,
}

impl Request {
    /// The mechanism.
    fn mechanism(&self) -> Result<&'static Mechanism> {
        find(self.kind).ok_or_else(|| {
            if let Some((_, what)) = UNSUPPORTED.iter().find(|(kind, _)| *kind == self.kind) {
                log::warn(format_args!(
                    "the program requested {what}, which KMS does not support; {}",
                    advice::for_this_program()
                ));
            }
            CKR_MECHANISM_INVALID
        })
    }

    /// How to sign or verify with this key.
    pub fn signature(&self, key: &Key) -> Result<SignatureRequest> {
        let mechanism = self.mechanism()?;
        let (scheme, hash) = match mechanism.operation {
            Operation::Sign(scheme, hash) => (scheme, hash),
            Operation::SignAndEncrypt(scheme) => (scheme, None),
            _ => return Err(CKR_MECHANISM_INVALID),
        };
        check_key(mechanism, key)?;
        check_usage(key, Usage::Sign)?;
        match (scheme, self.parameters) {
            (Scheme::Pss, parameters) => check_pss(parameters)?,
            (_, Parameters::None) => {}
            _ => return Err(CKR_MECHANISM_PARAM_INVALID),
        }
        let algorithm = match (scheme, key.public.key_type()) {
            (Scheme::Pkcs1, _) => SignatureAlgorithm::RsaPkcs1Sha256,
            (Scheme::Pss, _) => SignatureAlgorithm::RsaPssSha256,
            (Scheme::Ecdsa, KeyType::P384) => SignatureAlgorithm::EcdsaP384Sha384,
            (Scheme::Ecdsa, _) => SignatureAlgorithm::EcdsaP256Sha256,
        };
        Ok(SignatureRequest { scheme, hash, algorithm })
    }

    /// The padding to encrypt or decrypt with.
    pub fn padding(&self, key: &Key) -> Result<RsaPadding> {
        let mechanism = self.mechanism()?;
        if !matches!(mechanism.operation, Operation::Encrypt | Operation::SignAndEncrypt(_)) {
            return Err(CKR_MECHANISM_INVALID);
        }
        check_key(mechanism, key)?;
        check_usage(key, Usage::Decrypt)?;
        match (self.kind, self.parameters) {
            (CKM_RSA_PKCS, Parameters::None) => Ok(RsaPadding::Pkcs1V15),
            (CKM_RSA_PKCS_OAEP, parameters) => oaep(parameters),
            _ => Err(CKR_MECHANISM_PARAM_INVALID),
        }
    }

    /// The hash to digest with.
    pub fn digest(&self) -> Result<&'static Algorithm> {
        match (find(self.kind).map(|mechanism| mechanism.operation), self.parameters) {
            (Some(Operation::Digest(hash)), Parameters::None) => Ok(hash),
            (Some(Operation::Digest(_)), _) => Err(CKR_MECHANISM_PARAM_INVALID),
            _ => Err(CKR_MECHANISM_INVALID),
        }
    }
}

fn check_key(mechanism: &Mechanism, key: &Key) -> Result<()> {
    let keys = if key.public.key_type() == KeyType::Rsa2048 { Keys::Rsa } else { Keys::Ec };
    if mechanism.keys == keys { Ok(()) } else { Err(CKR_KEY_TYPE_INCONSISTENT) }
}

fn check_usage(key: &Key, usage: Usage) -> Result<()> {
    if key.usage == usage { Ok(()) } else { Err(CKR_KEY_FUNCTION_NOT_PERMITTED) }
}

/// Only the parameters of `RSA_PSS_SHA_256` of the service: SHA-256 for both hashes, and a salt of its length.
fn check_pss(parameters: Parameters) -> Result<()> {
    match parameters {
        Parameters::Pss { hash: CKM_SHA256, mgf: CKG_MGF1_SHA256, salt_len: 32 } => Ok(()),
        Parameters::Pss { hash, mgf, salt_len } => {
            log::warn(format_args!(
                "the program requested RSA-PSS with hash {hash:#x}, MGF {mgf:#x} and a salt of {salt_len} bytes; KMS supports \
                 SHA-256, MGF1 with SHA-256 and 32 bytes; {}",
                advice::for_this_program()
            ));
            Err(CKR_MECHANISM_PARAM_INVALID)
        }
        _ => Err(CKR_MECHANISM_PARAM_INVALID),
    }
}

fn oaep(parameters: Parameters) -> Result<RsaPadding> {
    let Parameters::Oaep { hash, mgf, source: 0 | CKZ_DATA_SPECIFIED, label_len: 0 } = parameters else {
        return Err(CKR_MECHANISM_PARAM_INVALID);
    };
    match (hash, mgf) {
        (CKM_SHA_1, CKG_MGF1_SHA1) => Ok(RsaPadding::OaepSha1),
        (CKM_SHA256, CKG_MGF1_SHA256) => Ok(RsaPadding::OaepSha256),
        _ => Err(CKR_MECHANISM_PARAM_INVALID),
    }
}

/// The result of C_GetMechanismInfo.
pub struct Info {
    /// The smallest key, in bits.
    pub min_bits: CK_ULONG,
    /// The largest key, in bits.
    pub max_bits: CK_ULONG,
    /// The flags of its operations.
    pub flags: CK_FLAGS,
}

impl Mechanism {
    /// The mechanism's information.
    pub fn info(&self, allow_p384: bool) -> Info {
        let operations = match self.operation {
            Operation::Sign(..) => CKF_SIGN | CKF_VERIFY | CKF_HW,
            Operation::Encrypt => CKF_ENCRYPT | CKF_DECRYPT | CKF_HW,
            Operation::SignAndEncrypt(_) => CKF_SIGN | CKF_VERIFY | CKF_ENCRYPT | CKF_DECRYPT | CKF_HW,
            Operation::Digest(_) => CKF_DIGEST,
        };
        let (min_bits, max_bits, form) = match self.keys {
            Keys::None => (0, 0, 0),
            Keys::Rsa => (2048, 2048, 0),
            Keys::Ec => (256, if allow_p384 { 384 } else { 256 }, CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS),
        };
        Info { min_bits, max_bits, flags: operations | form }
    }
}

/// The mechanisms that a key supports.
pub fn allowed_for(key: &Key) -> Vec<CK_MECHANISM_TYPE> {
    let fits = |mechanism: &&Mechanism| {
        let has_operation = matches!(
            (mechanism.operation, key.usage),
            (Operation::Sign(..) | Operation::SignAndEncrypt(_), Usage::Sign)
                | (Operation::Encrypt | Operation::SignAndEncrypt(_), Usage::Decrypt)
        );
        has_operation && check_key(mechanism, key).is_ok()
    };
    MECHANISMS.iter().filter(fits).map(|mechanism| mechanism.kind).collect()
}
