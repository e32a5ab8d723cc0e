//! The signature over a whole message, by a new key pair whose public key is in its context.

use aws_lc_rs::digest::{Algorithm, Context as Digest, SHA256, SHA384};
use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyCompressedBin};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey, VerificationAlgorithm,
};

use crate::encoding::{base64_decode, base64_encode};
use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::aws_lc;

/// The length that every signature is written with, so that a message's size is known in advance. A signature of P-384
/// has 102 to 104 bytes, half of them this many.
pub(crate) const SIGNATURE_LEN: usize = 103;
/// The footer of a signed message: a length and the signature.
pub(crate) const FOOTER_LEN: usize = 2 + SIGNATURE_LEN;
/// The maximum number of tries: about half of the signatures have the required length, so more are needed only if the
/// generator is broken.
const TRIES_MAX: u32 = 1000;
/// No signature of either curve is longer.
const SIGNATURE_LEN_MAX: usize = 104;
/// The maximum length of a footer.
pub(crate) const FOOTER_LEN_MAX: usize = 2 + SIGNATURE_LEN_MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
}

impl Curve {
    fn public_key_len(self) -> usize {
        match self {
            Self::P256 => 33,
            Self::P384 => 49,
        }
    }

    fn digest(self) -> &'static Algorithm {
        match self {
            Self::P256 => &SHA256,
            Self::P384 => &SHA384,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_ASN1,
            Self::P384 => &ECDSA_P384_SHA384_ASN1,
        }
    }
}

/// A key pair on P-384.
pub(crate) struct SigningKey {
    pair: EcdsaKeyPair,
    public: String,
}

impl SigningKey {
    pub fn generate() -> Result<Self> {
        Error::check_memory()?;
        let failed = |_| Error::new(Status::Internal, "no key pair for the signature could be made");
        let pair = aws_lc::run(|| EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING))?.map_err(failed)?;
        let point: EcPublicKeyCompressedBin = pair.public_key().as_be_bytes().map_err(failed)?;
        let public = base64_encode(point.as_ref());
        Ok(Self { pair, public })
    }

    /// The public key in the form of the context.
    pub fn public(&self) -> &str {
        &self.public
    }

    pub fn sign(&self, digest: Digest) -> Result<[u8; SIGNATURE_LEN]> {
        Error::check_memory()?;
        let digest = digest.finish();
        for _ in 0..TRIES_MAX {
            let signature = aws_lc::run(|| self.pair.sign_digest(&digest))?;
            if let Some(signature) = signature.ok().and_then(|signature| signature.as_ref().try_into().ok()) {
                return Ok(signature);
            }
        }
        Err(Error::new(Status::Internal, "the message could not be signed"))
    }
}

pub(crate) fn signing_digest() -> Digest {
    Digest::new(Curve::P384.digest())
}

/// Verifies a message's signature while the message is read.
pub(crate) struct Verifier {
    digest: Digest,
    curve: Curve,
    public: Vec<u8>,
}

impl Verifier {
    /// With the public key in the form of the context.
    pub fn new(curve: Curve, public: &str) -> Result<Self> {
        let public = base64_decode(public).ok().filter(|point| point.len() == curve.public_key_len());
        let public = public.ok_or_else(|| {
            Error::new(Status::MalformedMessage, "aws-crypto-public-key is not a compressed point of the suite's curve")
        })?;
        Ok(Self { digest: Digest::new(curve.digest()), curve, public })
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    pub fn verify(self, signature: &[u8]) -> Result<()> {
        UnparsedPublicKey::new(self.curve.verification(), &self.public)
            .verify_digest(&self.digest.finish(), signature)
            .map_err(|_| Error::new(Status::SignatureInvalid, "the message's signature is not valid"))
    }
}

/// The signature in a footer, or `None` when `bytes` holds less than all of it.
pub(crate) fn read_footer(bytes: &[u8]) -> Result<Option<&[u8]>> {
    let Some(len) = bytes.get(..2) else { return Ok(None) };
    let len = usize::from(u16::from_be_bytes([len[0], len[1]]));
    if len == 0 || len > SIGNATURE_LEN_MAX {
        let message = format!("the signature says it has {len} bytes, 1 to {SIGNATURE_LEN_MAX} are possible");
        return Err(Error::new(Status::MalformedMessage, message));
    }
    Ok(bytes.get(2..2 + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_have_one_length_and_verify() {
        let key = SigningKey::generate().unwrap();
        for _ in 0..10 {
            let mut digest = signing_digest();
            digest.update(b"message");
            let signature = key.sign(digest).unwrap();
            let mut verifier = Verifier::new(Curve::P384, key.public()).unwrap();
            verifier.update(b"mess");
            verifier.update(b"age");
            verifier.verify(&signature).unwrap();
        }
    }

    #[test]
    fn another_message_does_not_verify() {
        let key = SigningKey::generate().unwrap();
        let signature = key.sign(signing_digest()).unwrap();
        let mut verifier = Verifier::new(Curve::P384, key.public()).unwrap();
        verifier.update(b"x");
        assert_eq!(verifier.verify(&signature).err().unwrap().status(), Status::SignatureInvalid);
    }

    #[test]
    fn a_public_key_has_the_length_of_its_curve() {
        let p384 = SigningKey::generate().unwrap();
        assert_eq!(p384.public().len(), 68);
        assert!(Verifier::new(Curve::P256, p384.public()).is_err());
        assert!(Verifier::new(Curve::P384, "not base64").is_err());
    }
}
