//! What the measurement of signing and verifying needs beside the library: the server's key, its answers, and the bare
//! verification.

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

/// What is signed, again and again.
const MESSAGE: &[u8] = b"a message whose digest is signed";

/// The digest that all calls are about.
pub fn message_digest() -> Digest {
    digest(&SHA256, MESSAGE)
}

/// A key on P-256 and its signature of the message.
struct Signed {
    pair: EcdsaKeyPair,
    signature: Vec<u8>,
}

impl Signed {
    fn new() -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| "no key was generated")?;
        let signature = pair.sign(&SystemRandom::new(), MESSAGE).map_err(|_| "nothing was signed")?;
        Ok(Self { signature: signature.as_ref().to_vec(), pair })
    }

    fn spki(&self) -> Result<Vec<u8>> {
        let spki: PublicKeyX509Der<'_> = self.pair.public_key().as_der().map_err(|_| "the key has no encoding")?;
        Ok(spki.as_ref().to_vec())
    }
}

/// The bodies of the server's answers to DescribeKey, GetPublicKey and SignByAsymmetricKey.
pub struct Answers {
    pub metadata: String,
    pub public_key: String,
    pub signature: String,
}

impl Answers {
    pub fn new() -> Result<Self> {
        let signed = Signed::new()?;
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

/// The baseline of verification: bare aws-lc-rs, with the key parsed in advance.
pub struct BareVerify {
    key: ParsedPublicKey,
    digest: Digest,
    signature: Vec<u8>,
}

impl BareVerify {
    pub fn new() -> Result<Self> {
        let signed = Signed::new()?;
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, signed.spki()?).map_err(|_| "the key is refused")?;
        Ok(Self { key, digest: message_digest(), signature: signed.signature })
    }
}

impl Caller for BareVerify {
    fn call(&self) -> Result<()> {
        self.key.verify_digest_sig(&self.digest, &self.signature).map_err(|_| "the signature is not valid".into())
    }
}
