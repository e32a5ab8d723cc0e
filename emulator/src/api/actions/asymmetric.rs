//! Asymmetric CMKs: public keys, signatures, decryption.

use aws_lc_rs::digest::{self, Digest};
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
use crate::behaviour::Switches;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::faults::script::SignatureFlaw;
use crate::keys::cmk::{Cmk, KeyState};
use crate::keys::key_usage::KeyUsage;
use crate::keys::material::Material;
use crate::keys::rsa_decryption::Padding;
use crate::keys::{der, rsa_pss};

/// Longest RAW message, before base64 (docs/kms-service.md, "Asymmetric actions").
const MAX_MESSAGE: usize = 4096;

/// The length that the service documents for every digest.
const DOCUMENTED_DIGEST: usize = 32;

/// Longest SM2 ciphertext, before base64 (docs/kms-service.md, "Asymmetric actions").
const MAX_SM2_CIPHERTEXT: usize = 256;

/// Length of a signature of RSA-2048.
const RSA_SIGNATURE: usize = 256;

/// Length of r and s of SM2, concatenated.
const SM2_RAW_SIGNATURE: usize = 64;

/// The default distinguishing identifier of an SM2 signer (GB/T 35276).
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
    let flaw = params.signature_flaw;
    params.finish()?;

    let switches = emulator.behaviour.switches();
    let key = emulator.keys.get(&key_id)?;
    key.require_usage(&SIGN_USAGES)?;
    key.require_state(&[KeyState::Enabled])?;
    let scheme = Scheme::of(&key, &input.algorithm, switches)?;
    let message = input.message(scheme, switches)?;
    let signature = match flaw {
        None => scheme.sign(&key.current()?.material, &message)?,
        Some(flaw) => scheme.sign_with_flaw(&key, &message, flaw)?,
    };
    Ok(json!({ "Signature": STANDARD.encode(signature) }))
}

pub fn verify(emulator: &Emulator, mut params: Params) -> Answer {
    let key_id: String = params.required("KeyId")?;
    let signature: String = params.required("SignatureValue")?;
    let input = SigningInput::from_params(&mut params)?;
    params.finish()?;

    let switches = emulator.behaviour.switches();
    let signature = decode_base64(&signature, |message| ApiError::new("InvalidParameterValue", message))?;
    let key = emulator.keys.get(&key_id)?;
    key.require_usage(&SIGN_USAGES)?;
    key.require_state(&[KeyState::Enabled])?;
    let scheme = Scheme::of(&key, &input.algorithm, switches)?;
    if !scheme.is_well_formed(&signature) {
        return Err(ApiError::new("InvalidParameterValue", "The signature is malformed."));
    }
    let valid = scheme.verify(&key.current()?.material, &input.message(scheme, switches)?, &signature)?;
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
    let padding = Padding::from_name(&algorithm).ok_or_else(|| no_such_algorithm(&algorithm))?;
    let plaintext = padding.decrypt(private, &ciphertext).ok_or_else(decrypt_error)?;
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

/// The message or digest to sign, as the caller sent it.
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

    /// Checks the length: RAW up to 4096 bytes; DIGEST as long as the scheme's hash, or 32 bytes with the switch.
    fn message(&self, scheme: Scheme, switches: Switches) -> Result<Message, ApiError> {
        let digest_len = if switches.strict_digests { DOCUMENTED_DIGEST } else { scheme.digest_length() };
        match (self.is_digest, self.bytes.len()) {
            (false, ..=MAX_MESSAGE) => Ok(Message::Raw(self.bytes.clone())),
            (true, length) if length == digest_len => Ok(Message::Digest(self.padded(scheme))),
            (_, length) => Err(ApiError::invalid_parameter(format!("The message cannot have {length} bytes."))),
        }
    }

    /// The digest with leading zeros up to the length of the scheme's hash, which do not change the number.
    fn padded(&self, scheme: Scheme) -> Vec<u8> {
        let missing = scheme.digest_length().saturating_sub(self.bytes.len());
        [&vec![0; missing], self.bytes.as_slice()].concat()
    }
}

enum Message {
    Raw(Vec<u8>),
    Digest(Vec<u8>),
}

/// A way to sign, named by `Algorithm` (docs/kms-service.md, "Signature algorithms").
#[derive(Clone, Copy)]
enum Scheme {
    Sm2,
    /// With r and s as 32 bytes each.
    Sm2Raw,
    P256,
    /// The service's name for this algorithm is not documented; the emulator's follows that of P-256.
    P384,
    RsaPss,
    RsaPkcs1,
}

impl Scheme {
    /// The scheme called `algorithm`, if it fits the key.
    fn of(key: &Cmk, algorithm: &str, switches: Switches) -> Result<Self, ApiError> {
        match (key.usage, algorithm) {
            (KeyUsage::SignSm2, "SM2DSA_ASN1") if switches.private_cloud => Ok(Self::Sm2),
            (KeyUsage::SignSm2, "SM2DSA_RAW") if switches.private_cloud => Ok(Self::Sm2Raw),
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

    fn digest(self, message: &Message) -> Result<Digest, ApiError> {
        match message {
            Message::Raw(bytes) => Ok(digest::digest(self.hash(), bytes)),
            Message::Digest(bytes) => Digest::import_less_safe(bytes, self.hash()).map_err(ApiError::internal),
        }
    }

    fn sign(self, material: &Material, message: &Message) -> Result<Vec<u8>, ApiError> {
        match (self, material) {
            (Self::Sm2, Material::Sm2(key)) => sm2_sign(key, message),
            (Self::Sm2Raw, Material::Sm2(key)) => {
                sm2_sign(key, message).and_then(|der| der::to_raw(&der).ok_or_else(sign_error))
            }
            (Self::P256 | Self::P384, Material::Ecdsa(key)) => ecdsa_sign(key, &self.digest(message)?),
            (Self::RsaPss, Material::RsaSign(key)) => rsa_sign(key, &RSA_PSS_SHA256, &self.digest(message)?),
            (Self::RsaPkcs1, Material::RsaSign(key)) => rsa_sign(key, &RSA_PKCS1_SHA256, &self.digest(message)?),
            _ => Err(sign_error()),
        }
    }

    /// Signs with the flaw of a fault.
    fn sign_with_flaw(self, key: &Cmk, message: &Message, flaw: SignatureFlaw) -> Result<Vec<u8>, ApiError> {
        let material = &key.current()?.material;
        match (flaw, self) {
            (SignatureFlaw::OtherKey, _) => {
                self.sign(&Material::generate(key.usage).map_err(ApiError::internal)?, message)
            }
            (SignatureFlaw::Raw, _) => {
                self.sign(material, message).map(|signature| der::to_raw(&signature).unwrap_or(signature))
            }
            (SignatureFlaw::PssNoSalt, Self::RsaPss) => self.sign_with_salt(material, message, 0),
            (SignatureFlaw::PssLongestSalt, Self::RsaPss) => {
                self.sign_with_salt(material, message, rsa_pss::LONGEST_SALT)
            }
            (SignatureFlaw::PssNoSalt | SignatureFlaw::PssLongestSalt, _) => self.sign(material, message),
        }
    }

    fn sign_with_salt(self, material: &Material, message: &Message, salt_len: usize) -> Result<Vec<u8>, ApiError> {
        let pkcs8 = material.encode().map_err(ApiError::internal)?;
        rsa_pss::sign(&pkcs8, self.digest(message)?.as_ref(), salt_len).ok_or_else(sign_error)
    }

    /// Whether bytes have the form of a signature. The error code for other bytes is not documented.
    fn is_well_formed(self, signature: &[u8]) -> bool {
        match self {
            Self::Sm2 | Self::P256 | Self::P384 => der::to_raw(signature).is_some(),
            Self::Sm2Raw => signature.len() == SM2_RAW_SIGNATURE,
            Self::RsaPss | Self::RsaPkcs1 => signature.len() == RSA_SIGNATURE,
        }
    }

    fn verify(self, material: &Material, message: &Message, signature: &[u8]) -> Result<bool, ApiError> {
        let algorithm: &'static dyn VerificationAlgorithm = match self {
            Self::Sm2 => return sm2_verify(material, message, signature),
            Self::Sm2Raw => {
                return der::from_raw(signature).map_or(Ok(false), |der| sm2_verify(material, message, &der));
            }
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

fn sm2_sign(secret: &sm2::SecretKey, message: &Message) -> Result<Vec<u8>, ApiError> {
    let key = sm2_signing_key(secret)?;
    let signature: Signature = match message {
        Message::Raw(bytes) => key.try_sign(bytes),
        Message::Digest(bytes) => key.sign_prehash(bytes),
    }
    .map_err(|_| sign_error())?;
    Ok(signature.to_der().as_bytes().to_vec())
}

fn sm2_verify(material: &Material, message: &Message, signature: &[u8]) -> Result<bool, ApiError> {
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

/// PEM of a base64 body: lines of 64 characters between the two boundary lines.
fn pem(label: &str, body: &str) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for start in (0..body.len()).step_by(64) {
        text.push_str(&body[start..body.len().min(start + 64)]);
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

fn no_public_key(key: &Cmk) -> ApiError {
    ApiError::invalid_parameter(format!("The CMK `{}` has no public key.", key.key_id))
}

fn no_such_algorithm(algorithm: &str) -> ApiError {
    ApiError::invalid_parameter(format!("The algorithm `{algorithm}` does not exist or does not fit the CMK."))
}

fn wrong_material(key: &Cmk) -> ApiError {
    ApiError::internal(format!("the CMK {} has material that does not fit its usage", key.key_id))
}

fn sign_error() -> ApiError {
    ApiError::new("FailedOperation.SignError", "The message could not be signed.")
}

fn decrypt_error() -> ApiError {
    ApiError::new("FailedOperation.DecryptError", "The ciphertext could not be decrypted.")
}
