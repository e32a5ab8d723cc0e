//! Key material: generation, encoding, decoding.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
    RsaKeyPair,
};
use sm2::elliptic_curve::Generate;
use sm2::pkcs8::EncodePublicKey;

use crate::keys::key_usage::KeyUsage;
use crate::random;

/// The length of a version's public label, the first part of a ciphertext blob (docs/kms-service.md, "Ciphertext
/// blobs").
pub const LABEL_LEN: usize = 64;

/// A public name for one version of one symmetric key.
pub type Label = [u8; LABEL_LEN];

/// Why material cannot be made or read: a text for the log.
pub type MaterialError = &'static str;

/// A key, ready for use.
pub enum Material {
    Symmetric(SymmetricKey),
    RsaDecrypt(PrivateDecryptingKey),
    RsaSign(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Sm2(sm2::SecretKey),
}

/// An AES-256 key and the label that identifies its ciphertexts.
pub struct SymmetricKey {
    bytes: [u8; 32],
    pub label: Label,
    pub cipher: LessSafeKey,
}

impl SymmetricKey {
    pub fn new(bytes: [u8; 32]) -> Result<Self, MaterialError> {
        let cipher = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| "AES key refused")?;
        Ok(Self { bytes, label: label_of(&bytes), cipher: LessSafeKey::new(cipher) })
    }

    /// A pseudo-random function of the key and a message, of any length.
    pub fn keyed_hash(&self, message: &[u8], length: usize) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA512, &self.bytes);
        let block = |number: u32| hmac::sign(&key, &[&number.to_be_bytes(), message].concat()).as_ref().to_vec();
        (0..).flat_map(block).take(length).collect()
    }
}

/// A pseudo-random function of the key, so the label says nothing about the key or its CMK.
fn label_of(key: &[u8; 32]) -> Label {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key), b"tckms-emulator: label of a key version");
    tag.as_ref().try_into().expect("HMAC-SHA-512 returns 64 bytes")
}

impl Material {
    /// Makes new material. For RSA this takes too long for the thread that serves calls.
    pub fn generate(usage: KeyUsage) -> Result<Self, MaterialError> {
        match usage {
            KeyUsage::EncryptDecrypt | KeyUsage::PostQuantumEncrypt | KeyUsage::PostQuantumSign => {
                SymmetricKey::new(random::bytes()).map(Self::Symmetric)
            }
            KeyUsage::DecryptRsa2048 => PrivateDecryptingKey::generate(KeySize::Rsa2048)
                .map(Self::RsaDecrypt)
                .map_err(|_| "RSA key generation failed"),
            KeyUsage::SignRsa2048 => {
                RsaKeyPair::generate(KeySize::Rsa2048).map(Self::RsaSign).map_err(|_| "RSA key generation failed")
            }
            KeyUsage::SignP256 | KeyUsage::SignP384 => {
                EcdsaKeyPair::generate(ecdsa_algorithm(usage)).map(Self::Ecdsa).map_err(|_| "EC key generation failed")
            }
            KeyUsage::DecryptSm2 | KeyUsage::SignSm2 => Ok(Self::Sm2(sm2::SecretKey::generate())),
        }
    }

    /// The material as bytes for the store: raw for AES and SM2, PKCS #8 for the others.
    pub fn encode(&self) -> Result<Vec<u8>, MaterialError> {
        const FAILED: MaterialError = "key encoding failed";
        Ok(match self {
            Self::Symmetric(key) => key.bytes.to_vec(),
            Self::RsaDecrypt(key) => key.as_der().map_err(|_| FAILED)?.as_ref().to_vec(),
            Self::RsaSign(key) => key.as_der().map_err(|_| FAILED)?.as_ref().to_vec(),
            Self::Ecdsa(key) => key.to_pkcs8v1().map_err(|_| FAILED)?.as_ref().to_vec(),
            Self::Sm2(key) => key.to_bytes().to_vec(),
        })
    }

    /// Reads what [`Material::encode`] wrote for a key of the same usage.
    pub fn decode(usage: KeyUsage, bytes: &[u8]) -> Result<Self, MaterialError> {
        const BROKEN: MaterialError = "stored key material is corrupt";
        match usage {
            KeyUsage::EncryptDecrypt | KeyUsage::PostQuantumEncrypt | KeyUsage::PostQuantumSign => {
                bytes.try_into().map_err(|_| BROKEN).and_then(SymmetricKey::new).map(Self::Symmetric)
            }
            KeyUsage::DecryptRsa2048 => {
                PrivateDecryptingKey::from_pkcs8(bytes).map(Self::RsaDecrypt).map_err(|_| BROKEN)
            }
            KeyUsage::SignRsa2048 => RsaKeyPair::from_pkcs8(bytes).map(Self::RsaSign).map_err(|_| BROKEN),
            KeyUsage::SignP256 | KeyUsage::SignP384 => {
                EcdsaKeyPair::from_pkcs8(ecdsa_algorithm(usage), bytes).map(Self::Ecdsa).map_err(|_| BROKEN)
            }
            KeyUsage::DecryptSm2 | KeyUsage::SignSm2 => {
                sm2::SecretKey::from_slice(bytes).map(Self::Sm2).map_err(|_| BROKEN)
            }
        }
    }

    /// The public key as DER SubjectPublicKeyInfo; None for symmetric material.
    pub fn public_key(&self) -> Result<Option<Vec<u8>>, MaterialError> {
        const FAILED: MaterialError = "public key encoding failed";
        let der = match self {
            Self::Symmetric(_) => return Ok(None),
            Self::RsaDecrypt(key) => key.public_key().as_der().map_err(|_| FAILED)?.as_ref().to_vec(),
            Self::RsaSign(key) => AsDer::as_der(key.public_key()).map_err(|_| FAILED)?.as_ref().to_vec(),
            Self::Ecdsa(key) => AsDer::as_der(key.public_key()).map_err(|_| FAILED)?.as_ref().to_vec(),
            Self::Sm2(key) => key.public_key().to_public_key_der().map_err(|_| FAILED)?.into_vec(),
        };
        Ok(Some(der))
    }
}

fn ecdsa_algorithm(usage: KeyUsage) -> &'static EcdsaSigningAlgorithm {
    if usage == KeyUsage::SignP384 { &ECDSA_P384_SHA384_ASN1_SIGNING } else { &ECDSA_P256_SHA256_ASN1_SIGNING }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoded_material_of_every_usage_has_the_same_public_key() {
        for usage in KeyUsage::ALL {
            let made = Material::generate(usage).unwrap();
            let read = Material::decode(usage, &made.encode().unwrap()).unwrap();
            assert_eq!(made.public_key(), read.public_key(), "{usage:?}");
            assert_eq!(made.encode(), read.encode(), "{usage:?}");
        }
    }

    #[test]
    fn broken_material_is_refused() {
        for usage in KeyUsage::ALL {
            assert!(Material::decode(usage, b"broken").is_err(), "{usage:?}");
        }
    }
}
