//! Encryption under a public key that the caller sends (EncryptionPublicKey, docs/kms-service.md, "Values").

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey,
    PublicEncryptingKey,
};
use sm2::elliptic_curve::common::getrandom::SysRng;
use sm2::pkcs8::{DecodePublicKey, Document};
use sm2::pke::{EncryptingKey, Mode};

use crate::error::ApiError;

const RSA_2048_BYTES: usize = 256;

/// Encrypts `plaintext` under the PEM public key by the algorithm's name; the empty name means `SM2`.
pub fn encrypt(pem: &str, algorithm: &str, plaintext: &[u8]) -> Result<Vec<u8>, ApiError> {
    match algorithm {
        "" | "SM2" => sm2_encrypt(&sm2_key(pem)?, plaintext, Encoding::Raw),
        "SM2_C1C3C2_ASN1" => sm2_encrypt(&sm2_key(pem)?, plaintext, Encoding::Asn1),
        "RSAES_PKCS1_V1_5" => pkcs1_encrypt(rsa_key(pem)?, plaintext),
        "RSAES_OAEP_SHA_1" => oaep_encrypt(rsa_key(pem)?, &OAEP_SHA1_MGF1SHA1, plaintext),
        "RSAES_OAEP_SHA_256" => oaep_encrypt(rsa_key(pem)?, &OAEP_SHA256_MGF1SHA256, plaintext),
        other => Err(ApiError::invalid_parameter(format!("The encryption algorithm `{other}` does not exist."))),
    }
}

#[derive(PartialEq)]
enum Encoding {
    Raw,
    Asn1,
}

fn sm2_key(pem: &str) -> Result<EncryptingKey, ApiError> {
    sm2::PublicKey::from_public_key_pem(pem)
        .map(|key| EncryptingKey::new_with_mode(key, Mode::C1C3C2))
        .map_err(|_| ApiError::invalid_parameter("`EncryptionPublicKey` is not an SM2 public key in PEM."))
}

fn rsa_key(pem: &str) -> Result<PublicEncryptingKey, ApiError> {
    Document::from_pem(pem)
        .ok()
        .and_then(|(_, der)| PublicEncryptingKey::from_der(der.as_bytes()).ok())
        .filter(|key| key.key_size_bytes() == RSA_2048_BYTES)
        .ok_or_else(|| ApiError::invalid_parameter("`EncryptionPublicKey` is not an RSA-2048 public key in PEM."))
}

fn sm2_encrypt(key: &EncryptingKey, plaintext: &[u8], encoding: Encoding) -> Result<Vec<u8>, ApiError> {
    let ciphertext = match encoding {
        Encoding::Raw => key.encrypt(&mut SysRng, plaintext),
        Encoding::Asn1 => key.encrypt_der(&mut SysRng, plaintext),
    };
    ciphertext.map_err(ApiError::internal)
}

fn pkcs1_encrypt(key: PublicEncryptingKey, plaintext: &[u8]) -> Result<Vec<u8>, ApiError> {
    let key = Pkcs1PublicEncryptingKey::new(key).map_err(ApiError::internal)?;
    check_plaintext_len(plaintext, key.max_plaintext_size())?;
    let mut ciphertext = vec![0; key.ciphertext_size()];
    key.encrypt(plaintext, &mut ciphertext).map_err(ApiError::internal)?;
    Ok(ciphertext)
}

fn oaep_encrypt(
    key: PublicEncryptingKey,
    algorithm: &'static OaepAlgorithm,
    plaintext: &[u8],
) -> Result<Vec<u8>, ApiError> {
    let key = OaepPublicEncryptingKey::new(key).map_err(ApiError::internal)?;
    check_plaintext_len(plaintext, key.max_plaintext_size(algorithm))?;
    let mut ciphertext = vec![0; key.ciphertext_size()];
    key.encrypt(algorithm, plaintext, &mut ciphertext, None).map_err(ApiError::internal)?;
    Ok(ciphertext)
}

fn check_plaintext_len(plaintext: &[u8], max: usize) -> Result<(), ApiError> {
    let length = plaintext.len();
    if length <= max {
        return Ok(());
    }
    Err(ApiError::invalid_parameter(format!("The public key encrypts at most {max} bytes, not {length}.")))
}
