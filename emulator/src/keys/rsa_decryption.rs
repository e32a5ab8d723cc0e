//! RSA decryption, with the paddings by their names in the service (docs/kms-service.md, "RSA and SM2 decryption").

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey, Pkcs1PrivateDecryptingKey,
    PrivateDecryptingKey,
};

/// A padding.
#[derive(Clone, Copy)]
pub enum Padding {
    Pkcs1,
    OaepSha1,
    OaepSha256,
}

impl Padding {
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "RSAES_PKCS1_V1_5" => Some(Self::Pkcs1),
            "RSAES_OAEP_SHA_1" => Some(Self::OaepSha1),
            "RSAES_OAEP_SHA_256" => Some(Self::OaepSha256),
            _ => None,
        }
    }

    /// The plaintext. None for every failure, so that the caller cannot distinguish the reasons.
    pub fn decrypt(self, key: &PrivateDecryptingKey, ciphertext: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Pkcs1 => pkcs1_decrypt(key, ciphertext),
            Self::OaepSha1 => oaep_decrypt(key, &OAEP_SHA1_MGF1SHA1, ciphertext),
            Self::OaepSha256 => oaep_decrypt(key, &OAEP_SHA256_MGF1SHA256, ciphertext),
        }
    }
}

fn pkcs1_decrypt(key: &PrivateDecryptingKey, ciphertext: &[u8]) -> Option<Vec<u8>> {
    let key = Pkcs1PrivateDecryptingKey::new(key.clone()).ok()?;
    let mut plaintext = vec![0; key.min_output_size()];
    key.decrypt(ciphertext, &mut plaintext).ok().map(|plaintext| plaintext.to_vec())
}

fn oaep_decrypt(key: &PrivateDecryptingKey, algorithm: &'static OaepAlgorithm, ciphertext: &[u8]) -> Option<Vec<u8>> {
    let key = OaepPrivateDecryptingKey::new(key.clone()).ok()?;
    let mut plaintext = vec![0; key.min_output_size()];
    key.decrypt(algorithm, ciphertext, &mut plaintext, None).ok().map(|plaintext| plaintext.to_vec())
}
