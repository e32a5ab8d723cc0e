//! The tokens of key import. Each contains the private key that unwraps the material, encrypted under a key of the
//! emulator, so tokens do not have to be stored (docs/kms-service.md, "Key import").

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::keys::material::MaterialError;
use crate::random;

const NONCE_LEN: usize = 12;

/// Makes tokens and reads them.
pub struct ImportTokens(LessSafeKey);

/// The content of a token.
#[derive(Serialize, Deserialize)]
pub struct ImportParameters {
    pub key_id: String,
    pub algorithm: String,
    pub valid_to: i64,
    /// The wrapping key in PKCS #8.
    private_key: Vec<u8>,
}

impl ImportParameters {
    /// Makes a wrapping key.
    pub fn generate(
        key_id: String,
        algorithm: String,
        valid_to: i64,
    ) -> Result<(Self, PrivateDecryptingKey), ApiError> {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(ApiError::internal)?;
        let private_key = key.as_der().map_err(ApiError::internal)?.as_ref().to_vec();
        Ok((Self { key_id, algorithm, valid_to, private_key }, key))
    }

    pub fn private_key(&self) -> Result<PrivateDecryptingKey, ApiError> {
        PrivateDecryptingKey::from_pkcs8(&self.private_key).map_err(ApiError::internal)
    }
}

impl ImportTokens {
    pub fn new(key: &[u8]) -> Result<Self, MaterialError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| "AES key refused")?;
        Ok(Self(LessSafeKey::new(key)))
    }

    pub fn write(&self, parameters: &ImportParameters) -> Result<String, ApiError> {
        let mut text = serde_json::to_vec(parameters).map_err(ApiError::internal)?;
        let nonce: [u8; NONCE_LEN] = random::bytes();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut text)
            .map_err(ApiError::internal)?;
        Ok(STANDARD.encode([&nonce[..], &text].concat()))
    }

    /// Reads a token; None if this key did not make it.
    pub fn read(&self, token: &str) -> Option<ImportParameters> {
        let token = STANDARD.decode(token).ok()?;
        let (nonce, text) = token.split_at_checked(NONCE_LEN)?;
        let mut text = text.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.0.open_in_place(nonce, Aad::empty(), &mut text).ok()?;
        serde_json::from_slice(text).ok()
    }
}
