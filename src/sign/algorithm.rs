//! The algorithms of asymmetric CMKs, with the service's names for them.
//!
//! Source of the names: SignByAsymmetricKey and AsymmetricRsaDecrypt in the KMS API documentation; docs/kms-service.md.

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384. The service documents the key but not the name of this algorithm.
    EcdsaP384Sha384,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256, and a salt of 32 bytes.
    RsaPssSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// SM2 with SM3 (GB/T 32918).
    Sm2Sm3,
}

impl SignatureAlgorithm {
    /// The value of `Algorithm` in a request.
    pub(crate) fn service_name(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ECC_P256_R1",
            Self::EcdsaP384Sha384 => "ECC_P384_R1",
            Self::RsaPssSha256 => "RSA_PSS_SHA_256",
            Self::RsaPkcs1Sha256 => "RSA_PKCS1_SHA_256",
            Self::Sm2Sm3 => "SM2DSA",
        }
    }

    /// The name in error texts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ECDSA with P-256 and SHA-256",
            Self::EcdsaP384Sha384 => "ECDSA with P-384 and SHA-384",
            Self::RsaPssSha256 => "RSA-PSS with SHA-256",
            Self::RsaPkcs1Sha256 => "RSA PKCS#1 v1.5 with SHA-256",
            Self::Sm2Sm3 => "SM2 with SM3",
        }
    }

    /// The length of the digest that is signed, in bytes.
    pub fn digest_len(self) -> usize {
        if self == Self::EcdsaP384Sha384 { 48 } else { 32 }
    }

    /// The length of r and of s, for the algorithms whose signature is such a pair.
    pub(crate) fn scalar_len(self) -> Option<usize> {
        match self {
            Self::EcdsaP256Sha256 | Self::Sm2Sm3 => Some(32),
            Self::EcdsaP384Sha384 => Some(48),
            Self::RsaPssSha256 | Self::RsaPkcs1Sha256 => None,
        }
    }
}

/// A padding of RSA encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RsaPadding {
    /// RSAES-OAEP with SHA-256, MGF1 with SHA-256, and an empty label.
    OaepSha256,
    /// RSAES-OAEP with SHA-1, MGF1 with SHA-1, and an empty label.
    OaepSha1,
    /// RSAES-PKCS1-v1_5. Only for peers that support nothing else: a program that reveals to a peer
    /// whether decryption failed lets it decrypt messages (Bleichenbacher's attack).
    Pkcs1V15,
}

impl RsaPadding {
    /// The value of `Algorithm` in a request.
    pub(crate) fn service_name(self) -> &'static str {
        match self {
            Self::OaepSha256 => "RSAES_OAEP_SHA_256",
            Self::OaepSha1 => "RSAES_OAEP_SHA_1",
            Self::Pkcs1V15 => "RSAES_PKCS1_V1_5",
        }
    }
}
