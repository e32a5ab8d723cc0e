//! Asymmetric CMKs: public keys, signatures, decryption.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey, Pkcs1PrivateDecryptingKey,
    PrivateDecryptingKey,
};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, EcdsaKeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sm2::dsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use sm2::dsa::signature::{Signer, Verifier};
use sm2::dsa::{Signature, SigningKey};
use sm2::pke::{DecryptingKey, Mode};

use crate::api::answer::Answer;
use crate::api::params::{Params, decode_base64};
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::keys::cmk::{Cmk, KeyState};
use crate::keys::key_usage::KeyUsage;
use crate::keys::material::Material;

/// Longest RAW message, before base64 (docs/kms-service.md, "Asymmetric actions").
const MAX_MESSAGE: usize = 4096;

/// Longest SM2 ciphertext, before base64 (docs/kms-service.md, "Asymmetric actions").
const MAX_SM2_CIPHERTEXT: usize = 256;

/// The distinguishing identifier of an SM2 signer where none is agreed (GB/T 35276).
const SM2_DEFAULT_ID: &str = "1234567812345678";

const SIGN_USAGES: [KeyUsage; 4] = [KeyUsage::SignSm2, KeyUsage::SignP256, KeyUsage::SignRsa2048, KeyUsage::SignP384];

pub fn get_public_key(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    params.finish()?;

    let key = emulator.keys.get(&key_id)?;
    key.require_state(&[KeyState::Enabled])?;
    let der = key.current()?.material.public_key().map_err(ApiError::internal)?;
    let body = STANDARD.encode(der.ok_or_else(|| no_public_key(&key))?);
    Ok(json!({ "KeyId": key_id, "PublicKey": body, "PublicKeyPem": pem("PUBLIC KEY", &body) }))
}

pub fn sign(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let input = SigningInput::from_params(&mut params)?;
    params.finish()?;

    let key = emulator.keys.get(&key_id)?;
    key.require_usage(&SIGN_USAGES)?;
    key.require_state(&[KeyState::Enabled])?;
    let scheme = Scheme::of(&key, &input.algorithm)?;
    let signature = scheme.sign(&key.current()?.material, &input.message(scheme)?)?;
    Ok(json!({ "Signature": STANDARD.encode(signature) }))
}

pub fn verify(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let signature: String = params.required("SignatureValue")?;
    let input = SigningInput::from_params(&mut params)?;
    params.finish()?;

    let signature = decode_base64(&signature, |message| ApiError::new("InvalidParameterValue", message))?;
    let key = emulator.keys.get(&key_id)?;
    key.require_usage(&SIGN_USAGES)?;
    key.require_state(&[KeyState::Enabled])?;
    let scheme = Scheme::of(&key, &input.algorithm)?;
    let valid = scheme.verify(&key.current()?.material, &input.message(scheme)?, &signature)?;
    Ok(json!({ "SignatureValid": valid }))
}

pub fn rsa_decrypt(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let ciphertext: String = params.required("Ciphertext")?;
    let algorithm: String = params.required("Algorithm")?;
    params.finish()?;

    let ciphertext = decode_base64(&ciphertext, ApiError::invalid_parameter)?;
    let key = emulator.keys.get(&key_id)?;
    key.require_usage(&[KeyUsage::DecryptRsa2048])?;
    key.require_state(&[KeyState::Enabled])?;
    let Material::RsaDecrypt(private) = &key.current()?.material else { return Err(wrong_material(&key)) };
    let plaintext = match algorithm.as_str() {
        "RSAES_PKCS1_V1_5" => pkcs1_decrypt(private, &ciphertext),
        "RSAES_OAEP_SHA_1" => oaep_decrypt(private, &OAEP_SHA1_MGF1SHA1, &ciphertext),
        "RSAES_OAEP_SHA_256" => oaep_decrypt(private, &OAEP_SHA256_MGF1SHA256, &ciphertext),
        other => return Err(no_such_algorithm(other)),
    };
    let plaintext = plaintext.ok_or_else(decrypt_error)?;
    Ok(json!({ "KeyId": key_id, "Plaintext": STANDARD.encode(plaintext) }))
}

pub fn sm2_decrypt(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let ciphertext: String = params.required("Ciphertext")?;
    params.finish()?;

    let ciphertext = decode_base64(&ciphertext, ApiError::invalid_parameter)?;
    if ciphertext.len() > MAX_SM2_CIPHERTEXT {
        let message = format!("The ciphertext is longer than {MAX_SM2_CIPHERTEXT} bytes.");
        return Err(ApiError::invalid_parameter(message));
    }
    let key = emulator.keys.get(&key_id)?;
    key.require_usage(&[KeyUsage::DecryptSm2])?;
    key.require_state(&[KeyState::Enabled])?;
    let Material::Sm2(secret) = &key.current()?.material else { return Err(wrong_material(&key)) };
    let plaintext = DecryptingKey::new_with_mode(secret.to_nonzero_scalar(), Mode::C1C3C2)
        .decrypt_der(&ciphertext)
        .map_err(|_| decrypt_error())?;
    Ok(json!({ "KeyId": key_id, "Plaintext": STANDARD.encode(plaintext) }))
}

/// What is signed, as the caller sent it.
struct SigningInput {
    algorithm: String,
    bytes: Vec<u8>,
    is_digest: bool,
}

impl SigningInput {
    fn from_params(params: &mut Params) -> Result<Self, ApiError> {
        let algorithm = params.required("Algorithm")?;
        let message: String = params.required("Message")?;
        let is_digest = match params.text("MessageType")?.as_str() {
            "" | "RAW" => false,
            "DIGEST" => true,
            other => return Err(ApiError::invalid_parameter(format!("The message type `{other}` does not exist."))),
        };
        let bytes = decode_base64(&message, ApiError::invalid_parameter)?;
        Ok(Self { algorithm, bytes, is_digest })
    }

    /// Checks the length: RAW up to 4096 bytes, DIGEST exactly as long as the scheme's hash.
    fn message(&self, scheme: Scheme) -> Result<Message<'_>, ApiError> {
        match (self.is_digest, self.bytes.len()) {
            (false, ..=MAX_MESSAGE) => Ok(Message::Raw(&self.bytes)),
            (true, length) if length == scheme.digest_length() => Ok(Message::Digest(&self.bytes)),
            (_, length) => Err(ApiError::invalid_parameter(format!("A message cannot have {length} bytes here."))),
        }
    }
}

enum Message<'a> {
    Raw(&'a [u8]),
    Digest(&'a [u8]),
}

/// A way to sign, named by `Algorithm` (docs/kms-service.md, "Signature algorithms").
#[derive(Clone, Copy)]
enum Scheme {
    Sm2,
    P256,
    /// The service's name for this algorithm is not documented; the emulator goes by analogy.
    P384,
    RsaPss,
    RsaPkcs1,
}

impl Scheme {
    /// The scheme called `algorithm`, if it fits the key.
    fn of(key: &Cmk, algorithm: &str) -> Result<Self, ApiError> {
        match (key.usage, algorithm) {
            (KeyUsage::SignSm2, "SM2DSA") => Ok(Self::Sm2),
            (KeyUsage::SignP256, "ECC_P256_R1") => Ok(Self::P256),
            (KeyUsage::SignP384, "ECC_P384_R1") => Ok(Self::P384),
            (KeyUsage::SignRsa2048, "RSA_PSS_SHA_256") => Ok(Self::RsaPss),
            (KeyUsage::SignRsa2048, "RSA_PKCS1_SHA_256") => Ok(Self::RsaPkcs1),
            _ => Err(no_such_algorithm(algorithm)),
        }
    }

    fn hash(self) -> &'static digest::Algorithm {
        if matches!(self, Self::P384) { &digest::SHA384 } else { &digest::SHA256 }
    }

    /// SM3 and SHA-256 both have 32 bytes.
    fn digest_length(self) -> usize {
        self.hash().output_len()
    }

    fn digest(self, message: &Message<'_>) -> Result<Digest, ApiError> {
        match message {
            Message::Raw(bytes) => Ok(digest::digest(self.hash(), bytes)),
            Message::Digest(bytes) => Digest::import_less_safe(bytes, self.hash()).map_err(ApiError::internal),
        }
    }

    fn sign(self, material: &Material, message: &Message<'_>) -> Result<Vec<u8>, ApiError> {
        match (self, material) {
            (Self::Sm2, Material::Sm2(key)) => sm2_sign(key, message),
            (Self::P256 | Self::P384, Material::Ecdsa(key)) => ecdsa_sign(key, &self.digest(message)?),
            (Self::RsaPss, Material::RsaSign(key)) => rsa_sign(key, &RSA_PSS_SHA256, &self.digest(message)?),
            (Self::RsaPkcs1, Material::RsaSign(key)) => rsa_sign(key, &RSA_PKCS1_SHA256, &self.digest(message)?),
            _ => Err(sign_error()),
        }
    }

    fn verify(self, material: &Material, message: &Message<'_>, signature: &[u8]) -> Result<bool, ApiError> {
        let algorithm: &'static dyn VerificationAlgorithm = match self {
            Self::Sm2 => return sm2_verify(material, message, signature),
            Self::P256 => &ECDSA_P256_SHA256_ASN1,
            Self::P384 => &ECDSA_P384_SHA384_ASN1,
            Self::RsaPss => &RSA_PSS_2048_8192_SHA256,
            Self::RsaPkcs1 => &RSA_PKCS1_2048_8192_SHA256,
        };
        let public_key = material.public_key().map_err(ApiError::internal)?.unwrap_or_default();
        let public_key = UnparsedPublicKey::new(algorithm, public_key);
        Ok(public_key.verify_digest(&self.digest(message)?, signature).is_ok())
    }
}

fn sm2_signing_key(secret: &sm2::SecretKey) -> Result<SigningKey, ApiError> {
    SigningKey::new(SM2_DEFAULT_ID, secret).map_err(ApiError::internal)
}

fn sm2_sign(secret: &sm2::SecretKey, message: &Message<'_>) -> Result<Vec<u8>, ApiError> {
    let key = sm2_signing_key(secret)?;
    let signature: Signature = match message {
        Message::Raw(bytes) => key.try_sign(bytes),
        Message::Digest(bytes) => key.sign_prehash(bytes),
    }
    .map_err(|_| sign_error())?;
    Ok(signature.to_der().as_bytes().to_vec())
}

fn sm2_verify(material: &Material, message: &Message<'_>, signature: &[u8]) -> Result<bool, ApiError> {
    let Material::Sm2(secret) = material else { return Ok(false) };
    let Ok(signature) = Signature::from_der(signature) else { return Ok(false) };
    let key = sm2_signing_key(secret)?;
    let verdict = match message {
        Message::Raw(bytes) => key.verifying_key().verify(bytes, &signature),
        Message::Digest(bytes) => key.verifying_key().verify_prehash(bytes, &signature),
    };
    Ok(verdict.is_ok())
}

fn ecdsa_sign(key: &EcdsaKeyPair, digest: &Digest) -> Result<Vec<u8>, ApiError> {
    key.sign_digest(digest).map(|signature| signature.as_ref().to_vec()).map_err(|_| sign_error())
}

fn rsa_sign(key: &RsaKeyPair, padding: &'static dyn RsaEncoding, digest: &Digest) -> Result<Vec<u8>, ApiError> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign_digest(padding, digest, &mut signature).map_err(|_| sign_error())?;
    Ok(signature)
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

/// PEM of a base64 body: lines of 64 characters between the two borders.
fn pem(label: &str, body: &str) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for start in (0..body.len()).step_by(64) {
        text.push_str(&body[start..body.len().min(start + 64)]);
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

fn no_public_key(key: &Cmk) -> ApiError {
    ApiError::invalid_parameter(format!("The CMK `{}` is symmetric and has no public key.", key.key_id))
}

fn no_such_algorithm(algorithm: &str) -> ApiError {
    ApiError::invalid_parameter(format!("The algorithm `{algorithm}` does not exist or does not fit the CMK."))
}

fn wrong_material(key: &Cmk) -> ApiError {
    ApiError::internal(format!("the CMK {} has material of another kind than its usage says", key.key_id))
}

fn sign_error() -> ApiError {
    ApiError::new("FailedOperation.SignError", "The message could not be signed.")
}

fn decrypt_error() -> ApiError {
    ApiError::new("FailedOperation.DecryptError", "The ciphertext could not be decrypted.")
}
