//! Signing and verification without the library: the server's key and replies, and the baseline of bare aws-lc-rs.

use aws_lc_rs::digest::{Digest, SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::account::KEY_ID;
use crate::caller::Caller;
use crate::error::Result;

/// The message that every call signs or verifies.
const MESSAGE: &[u8] = b"a message whose digest is signed";

/// The digest that every call signs or verifies.
pub fn message_digest() -> Digest {
    digest(&SHA256, MESSAGE)
}

/// A P-256 key and its signature of the message.
struct KeyWithSignature {
    pair: EcdsaKeyPair,
    signature: Vec<u8>,
}

impl KeyWithSignature {
    fn new() -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| "generating a key failed")?;
        let signature = pair.sign(&SystemRandom::new(), MESSAGE).map_err(|_| "signing failed")?;
        Ok(Self { signature: signature.as_ref().to_vec(), pair })
    }

    fn spki(&self) -> Result<Vec<u8>> {
        let spki: PublicKeyX509Der<'_> = self.pair.public_key().as_der().map_err(|_| "encoding the key failed")?;
        Ok(spki.as_ref().to_vec())
    }
}

/// The bodies of the server's replies to DescribeKey, GetPublicKey and SignByAsymmetricKey.
pub struct Replies {
    pub metadata: String,
    pub public_key: String,
    pub signature: String,
}

impl Replies {
    pub fn new() -> Result<Self> {
        let signed = KeyWithSignature::new()?;
        let key_id = KEY_ID.to_string_lossy();
        let request_id = "6ef60bec-0242-43af-bb20-270359fb54a7";
        let (public_key, signature) = (BASE64.encode(signed.spki()?), BASE64.encode(&signed.signature));
        let usage = "ASYMMETRIC_SIGN_VERIFY_ECC";
        Ok(Self {
            metadata: format!(
                r#"{{"Response":{{"KeyMetadata":{{"KeyId":"{key_id}","KeyState":"Enabled","KeyUsage":"{usage}"}},"RequestId":"{request_id}"}}}}"#
            ),
            public_key: format!(
                r#"{{"Response":{{"KeyId":"{key_id}","PublicKey":"{public_key}","PublicKeyPem":"","RequestId":"{request_id}"}}}}"#
            ),
            signature: format!(r#"{{"Response":{{"Signature":"{signature}","RequestId":"{request_id}"}}}}"#),
        })
    }
}

/// The baseline for verification: bare aws-lc-rs, with a key that was parsed in advance.
pub struct BareVerify {
    key: ParsedPublicKey,
    digest: Digest,
    signature: Vec<u8>,
}

impl BareVerify {
    pub fn new() -> Result<Self> {
        let signed = KeyWithSignature::new()?;
        let key =
            ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, signed.spki()?).map_err(|_| "parsing the key failed")?;
        Ok(Self { key, digest: message_digest(), signature: signed.signature })
    }
}

impl Caller for BareVerify {
    fn call(&self) -> Result<()> {
        self.key.verify_digest_sig(&self.digest, &self.signature).map_err(|_| "the signature is not valid".into())
    }
}
