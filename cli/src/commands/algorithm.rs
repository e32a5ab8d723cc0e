//! The names of asymmetric algorithms at the command line.

use clap::ValueEnum;
use tckms::sign::{RsaPadding, SignatureAlgorithm};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256
    EcdsaSha256,
    /// ECDSA on P-384 with SHA-384
    EcdsaSha384,
    /// RSA-PSS with SHA-256 and a salt of 32 bytes
    RsaPssSha256,
    /// RSA PKCS#1 v1.5 with SHA-256
    RsaPkcs1Sha256,
    /// SM2 with SM3
    Sm2Sm3,
}

impl From<Algorithm> for SignatureAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::EcdsaSha256 => Self::EcdsaP256Sha256,
            Algorithm::EcdsaSha384 => Self::EcdsaP384Sha384,
            Algorithm::RsaPssSha256 => Self::RsaPssSha256,
            Algorithm::RsaPkcs1Sha256 => Self::RsaPkcs1Sha256,
            Algorithm::Sm2Sm3 => Self::Sm2Sm3,
        }
    }
}

/// The length of r and s together, for algorithms whose signatures are such pairs.
pub fn raw_len(algorithm: SignatureAlgorithm) -> Option<usize> {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 | SignatureAlgorithm::Sm2Sm3 => Some(64),
        SignatureAlgorithm::EcdsaP384Sha384 => Some(96),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Padding {
    /// OAEP with SHA-256
    OaepSha256,
    /// OAEP with SHA-1
    OaepSha1,
    /// PKCS#1 v1.5, only for peers that support nothing else
    Pkcs1,
}

impl From<Padding> for RsaPadding {
    fn from(padding: Padding) -> Self {
        match padding {
            Padding::OaepSha256 => Self::OaepSha256,
            Padding::OaepSha1 => Self::OaepSha1,
            Padding::Pkcs1 => Self::Pkcs1V15,
        }
    }
}
