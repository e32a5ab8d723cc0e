//! The public key of an asymmetric CMK.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Digest as AwsDigest, SHA256, SHA384};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, VerificationAlgorithm,
};
use der::asn1::UintRef;
use der::{Decode, Reader, SliceReader};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::algorithm::{RsaPadding, SignatureAlgorithm};
use super::digest::DigestContext;
use super::ecdsa_signature;
use super::sm2_key::Sm2PublicKey;
use crate::encoding::base64_encode;
use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::aws_lc;

/// RFC 3279 and RFC 5480; GB/T 33560 for SM2.
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const SM2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.301");

/// The type of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyType {
    /// RSA with 2048 bits.
    Rsa2048,
    /// The NIST curve P-256.
    P256,
    /// The NIST curve P-384.
    P384,
    /// The curve of SM2.
    Sm2,
}

impl KeyType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA-2048",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Sm2 => "SM2",
        }
    }
}

/// A checked public key.
pub struct PublicKey {
    spki: Box<[u8]>,
    key: Key,
}

/// The parsed key in the form of each cryptographic library.
enum Key {
    Rsa { pss: ParsedPublicKey, pkcs1: ParsedPublicKey, encrypting: PublicEncryptingKey },
    P256(ParsedPublicKey),
    P384(ParsedPublicKey),
    Sm2(Sm2PublicKey),
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in DER (RFC 5280, 4.1.2.7).
    pub fn from_spki(spki: &[u8]) -> Result<Self> {
        let parsed: SubjectPublicKeyInfoRef<'_> = spki.try_into().map_err(|_| not_spki(spki))?;
        let curve = || parsed.algorithm.parameters_oid().ok();
        let key = match parsed.algorithm.oid {
            RSA_ENCRYPTION => Self::rsa(spki, parsed.subject_public_key.raw_bytes()),
            EC_PUBLIC_KEY => match curve() {
                Some(P256) => read(&ECDSA_P256_SHA256_ASN1, spki).map(Key::P256),
                Some(P384) => read(&ECDSA_P384_SHA384_ASN1, spki).map(Key::P384),
                Some(SM2) => Sm2PublicKey::from_spki(spki).map(Key::Sm2).ok_or_else(not_on_curve),
                _ => Err(unusable("the public key is on none of the curves P-256, P-384 and SM2")),
            },
            _ => Err(unusable("the public key is neither RSA nor on an elliptic curve")),
        };
        Ok(Self { spki: spki.into(), key: key? })
    }

    /// The length comes first, because AWS-LC refuses short keys like malformed ones.
    fn rsa(spki: &[u8], pkcs1: &[u8]) -> Result<Key> {
        let malformed = || unusable("the RSA public key is malformed");
        match rsa_modulus_bits(pkcs1).ok_or_else(malformed)? {
            2048 => {}
            bits => {
                return Err(unusable(&format!("the RSA public key has {bits} bits, those of the service have 2048")));
            }
        }
        let encrypting = PublicEncryptingKey::from_der(spki).map_err(|_| malformed())?;
        let (pss, pkcs1) = (read(&RSA_PSS_2048_8192_SHA256, spki)?, read(&RSA_PKCS1_2048_8192_SHA256, spki)?);
        Ok(Key::Rsa { pss, pkcs1, encrypting })
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The key in PEM (RFC 7468).
    pub fn pem(&self) -> String {
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        for line in base64_encode(&self.spki).as_bytes().chunks(64) {
            let _ = writeln!(pem, "{}", String::from_utf8_lossy(line));
        }
        pem + "-----END PUBLIC KEY-----\n"
    }

    /// The type of the key.
    pub fn key_type(&self) -> KeyType {
        match self.key {
            Key::Rsa { .. } => KeyType::Rsa2048,
            Key::P256(_) => KeyType::P256,
            Key::P384(_) => KeyType::P384,
            Key::Sm2(_) => KeyType::Sm2,
        }
    }

    /// `algorithm` if the key has it; without one, the key's only algorithm, or PSS for RSA.
    pub fn algorithm(&self, algorithm: Option<SignatureAlgorithm>) -> Result<SignatureAlgorithm> {
        use SignatureAlgorithm::*;
        let (default, other) = match self.key {
            Key::Rsa { .. } => (RsaPssSha256, Some(RsaPkcs1Sha256)),
            Key::P256(_) => (EcdsaP256Sha256, None),
            Key::P384(_) => (EcdsaP384Sha384, None),
            Key::Sm2(_) => (Sm2Sm3, None),
        };
        match algorithm {
            None => Ok(default),
            Some(asked) if asked == default || Some(asked) == other => Ok(asked),
            Some(asked) => {
                let others = other.map_or(String::new(), |other| format!(" and {}", other.name()));
                let (key, default) = (self.key_type().name(), default.name());
                let message = format!("the key is {key}, which signs by {default}{others}, not by {}", asked.name());
                Err(Error::new(Status::AlgorithmNotAllowed, message))
            }
        }
    }

    /// A new incremental digest of a message. `sm2_user_id` applies to SM2 only.
    pub fn digest(&self, algorithm: SignatureAlgorithm, sm2_user_id: &[u8]) -> Result<DigestContext> {
        let prefix = match &self.key {
            Key::Sm2(key) => key.user_id_hash(sm2_user_id)?.to_vec(),
            _ => Vec::new(),
        };
        Ok(DigestContext::new(algorithm, &prefix))
    }

    /// Verifies the signature of a digest. Signatures of elliptic curves may be DER, or r and s concatenated.
    pub fn verify_digest(&self, algorithm: SignatureAlgorithm, digest: &[u8], signature: &[u8]) -> Result<()> {
        self.verified(algorithm, digest, signature).map(drop)
    }

    /// As [`PublicKey::verify_digest`], with the signature in DER, or as it is for RSA.
    pub(crate) fn verified(&self, algorithm: SignatureAlgorithm, digest: &[u8], signature: &[u8]) -> Result<Vec<u8>> {
        let algorithm = self.algorithm(Some(algorithm))?;
        check_digest_len(algorithm, digest)?;
        let reading = |as_der| match algorithm.scalar_len() {
            Some(len) => ecdsa_signature::to_der(signature, len, as_der),
            None => Ok(signature.to_vec()),
        };
        let mut found = reading(false)?;
        if !self.is_valid(algorithm, digest, &found) {
            // With small r and s, DER is as long as r and s concatenated.
            match reading(true) {
                Ok(der) if der != found && self.is_valid(algorithm, digest, &der) => found = der,
                _ => {
                    let message =
                        format!("the signature is not one of this digest by this key with {}", algorithm.name());
                    return Err(Error::new(Status::SignatureInvalid, message));
                }
            }
        }
        Ok(found)
    }

    /// Whether a signature, of an elliptic curve in DER, is one of the digest.
    fn is_valid(&self, algorithm: SignatureAlgorithm, digest: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            Key::Sm2(key) => ecdsa_signature::raw_from_der(signature, 64).is_ok_and(|raw| key.verifies(digest, &raw)),
            Key::Rsa { pkcs1: key, .. } if algorithm == SignatureAlgorithm::RsaPkcs1Sha256 => {
                verifies(key, algorithm, digest, signature)
            }
            Key::Rsa { pss: key, .. } | Key::P256(key) | Key::P384(key) => verifies(key, algorithm, digest, signature),
        }
    }

    /// Encrypts under an RSA key.
    pub fn rsa_encrypt(&self, padding: RsaPadding, plaintext: &[u8]) -> Result<Vec<u8>> {
        let Key::Rsa { encrypting, .. } = &self.key else {
            let message = format!("the key is {}, only RSA encrypts this way", self.key_type().name());
            return Err(Error::new(Status::AlgorithmNotAllowed, message));
        };
        Error::check_memory()?;
        let failed = |_| Error::new(Status::Internal, "RSA encryption failed");
        match padding {
            RsaPadding::OaepSha256 => oaep(encrypting, &OAEP_SHA256_MGF1SHA256, plaintext),
            RsaPadding::OaepSha1 => oaep(encrypting, &OAEP_SHA1_MGF1SHA1, plaintext),
            RsaPadding::Pkcs1V15 => {
                let key = Pkcs1PublicEncryptingKey::new(encrypting.clone()).map_err(failed)?;
                check_plaintext_len(plaintext, key.max_plaintext_size())?;
                let mut ciphertext = vec![0; key.ciphertext_size()];
                aws_lc::run(|| key.encrypt(plaintext, &mut ciphertext).map(|_| ()))?.map_err(failed)?;
                Ok(ciphertext)
            }
        }
    }
}

fn oaep(key: &PublicEncryptingKey, algorithm: &'static OaepAlgorithm, plaintext: &[u8]) -> Result<Vec<u8>> {
    let failed = |_| Error::new(Status::Internal, "RSA encryption failed");
    let key = OaepPublicEncryptingKey::new(key.clone()).map_err(failed)?;
    check_plaintext_len(plaintext, key.max_plaintext_size(algorithm))?;
    let mut ciphertext = vec![0; key.ciphertext_size()];
    aws_lc::run(|| key.encrypt(algorithm, plaintext, &mut ciphertext, None).map(|_| ()))?.map_err(failed)?;
    Ok(ciphertext)
}

fn read(algorithm: &'static dyn VerificationAlgorithm, spki: &[u8]) -> Result<ParsedPublicKey> {
    ParsedPublicKey::new(algorithm, spki).map_err(|_| not_on_curve())
}

fn verifies(key: &ParsedPublicKey, algorithm: SignatureAlgorithm, digest: &[u8], signature: &[u8]) -> bool {
    let hash = if algorithm == SignatureAlgorithm::EcdsaP384Sha384 { &SHA384 } else { &SHA256 };
    AwsDigest::import_less_safe(digest, hash).is_ok_and(|digest| key.verify_digest_sig(&digest, signature).is_ok())
}

/// Checks that a digest has the length that the algorithm signs.
pub(crate) fn check_digest_len(algorithm: SignatureAlgorithm, digest: &[u8]) -> Result<()> {
    if digest.len() == algorithm.digest_len() {
        return Ok(());
    }
    let (len, expected) = (digest.len(), algorithm.digest_len());
    let message = format!("the digest has {len} bytes, {} signs {expected}", algorithm.name());
    Err(Error::new(Status::InvalidLength, message))
}

fn check_plaintext_len(plaintext: &[u8], max: usize) -> Result<()> {
    if plaintext.len() <= max {
        return Ok(());
    }
    let message = format!("the plaintext has {} bytes, at most {max} fit with this padding", plaintext.len());
    Err(Error::new(Status::PlaintextTooLarge, message))
}

/// The length of the modulus of an RSAPublicKey (RFC 8017, A.1.1), in bits.
fn rsa_modulus_bits(pkcs1: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(pkcs1).ok()?;
    let [modulus, _] = reader
        .sequence(|inner| Ok::<_, der::Error>([UintRef::decode(inner)?, UintRef::decode(inner)?]))
        .and_then(|numbers| reader.finish().map(|()| numbers))
        .ok()?;
    let digits = modulus.as_bytes();
    Some(8 * digits.len() - digits.first()?.leading_zeros() as usize)
}

fn not_spki(bytes: &[u8]) -> Error {
    let hint = if bytes.trim_ascii_start().starts_with(b"-----BEGIN") { "; it is PEM" } else { "" };
    unusable(&format!("the public key is not a SubjectPublicKeyInfo in DER{hint}"))
}

fn not_on_curve() -> Error {
    unusable("the public key is malformed, or its point is not on its curve")
}

fn unusable(message: &str) -> Error {
    Error::new(Status::ResponseMalformed, message)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
    use der::asn1::AnyRef;
    use der::{Encode, Tag};

    use super::*;

    /// Real signatures until there are 10,000 in which r or s begins with a zero byte, or needs one in DER.
    #[test]
    fn signatures_with_leading_zeros_verify() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let key = PublicKey::from_spki(spki.as_ref()).unwrap();
        let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
        let (mut special, mut shorter, mut number) = (0, 0, 0_u32);
        while special < 10_000 {
            number += 1;
            let message = number.to_be_bytes();
            let der = pair.sign(&SystemRandom::new(), &message).unwrap();
            let raw = ecdsa_signature::raw_from_der(der.as_ref(), 64).unwrap();
            let is_special = |scalar: &[u8]| scalar[0] == 0 || scalar[0] >= 0x80;
            if !is_special(&raw[..32]) && !is_special(&raw[32..]) {
                continue;
            }
            special += 1;
            shorter += u32::from(raw[0] == 0 || raw[32] == 0);
            assert_eq!(ecdsa_signature::raw_to_der(&raw).unwrap(), der.as_ref());
            let mut digest = key.digest(algorithm, b"").unwrap();
            digest.update(&message);
            key.verify_digest(algorithm, digest.finish().as_ref(), &raw).unwrap();
        }
        assert!(shorter > 10, "only {shorter} numbers began with a zero byte");
    }

    /// Signatures with an r and s so small that their DER is as long as r and s concatenated, and the keys that they fit:
    /// r is the x-coordinate of a point (for SM2 its sum with the digest), and the key was computed from r, s and the digest.
    #[test]
    fn short_signatures_verify_in_both_encodings() {
        use SignatureAlgorithm::*;
        let keys = [
            (
                EcdsaP256Sha256,
                "3059301306072a8648ce3d020106082a8648ce3d030107034200047d52b1ef558d79aa3b867ae5adf3d5128eeaa7a57eebab1af3148\
                 aef21f9b296aaf02b6f678fba38a8106371f4188d8172dd3af1bbf633aa4c272af8084729b9",
                (1, 29),
            ),
            (
                EcdsaP384Sha384,
                "3076301006072a8648ce3d020106052b81040022036200049f6a7bd536d54ebffdd4f01bf1af3eda381268d24eeee889466ad1bc37d\
                 945d95e22f05d1ad61e05b1b859626daefa037c92e927865a75a32829816a64ac6d43d983d48cf32824cd2c1fd28d0c8ff8333415eb\
                 f8233b7bacca0af212251cb097",
                (2, 45),
            ),
            (
                Sm2Sm3,
                "3059301306072a8648ce3d020106082a811ccf5501822d0342000417229e6d4f73529d9e4a0d48091c9e71aa481625fb1fc225faf4cc\
                 d5fe3abafaf2f730c3ca966f9e80163839ba79db2a2c1cb3027e8281e462f0670c3dbcca3a",
                (2, 29),
            ),
        ];
        for (algorithm, spki, (last, len)) in keys {
            let spki = base16ct::mixed::decode_vec(spki).unwrap();
            let key = PublicKey::from_spki(&spki).unwrap();
            let hash = if algorithm == EcdsaP384Sha384 { &SHA384 } else { &SHA256 };
            let digest = aws_lc_rs::digest::digest(hash, b"m");
            let (mut r, mut s) = (vec![0; len], vec![0; len]);
            (r[0], s[0], r[len - 1], s[len - 1]) = (8, 0x20, last, 9);
            let leading_zeros = [0; 3];
            let raw = [&leading_zeros, r.as_slice(), &leading_zeros, s.as_slice()].concat();
            let der = ecdsa_signature::raw_to_der(&raw).unwrap();
            assert_eq!(der.len(), raw.len());
            for signature in [&der, &raw] {
                assert_eq!(key.verified(algorithm, digest.as_ref(), signature).unwrap(), der, "{algorithm:?}");
            }
        }
    }

    #[test]
    fn what_is_no_key_of_the_service_is_refused() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let spki = spki.as_ref();
        for len in 0..spki.len() {
            assert!(PublicKey::from_spki(&spki[..len]).is_err(), "{len}");
        }
        assert!(PublicKey::from_spki(&[spki, &[0]].concat()).is_err());
        let pem = PublicKey::from_spki(spki).unwrap().pem();
        let refused = PublicKey::from_spki(pem.as_bytes()).err().unwrap();
        assert_eq!(refused.status(), Status::ResponseMalformed);
        assert!(refused.message().ends_with("it is PEM"), "{}", refused.message());
    }

    #[test]
    fn an_rsa_key_of_another_length_is_named() {
        let integer = |bytes: &[u8]| UintRef::new(bytes).unwrap().to_der().unwrap();
        let sequence = |tag, content: &[u8]| AnyRef::new(tag, content).unwrap().to_der().unwrap();
        let spki = |modulus: &[u8]| {
            let key = sequence(Tag::Sequence, &[integer(modulus), integer(&[1, 0, 1])].concat());
            let algorithm = sequence(Tag::Sequence, &[RSA_ENCRYPTION.to_der().unwrap(), vec![5, 0]].concat());
            let key = sequence(Tag::BitString, &[&[0], &key[..]].concat());
            sequence(Tag::Sequence, &[algorithm, key].concat())
        };
        for (bits, first, len) in [(1024, 0x80, 128), (1023, 0x40, 128), (2047, 0x7f, 256), (3072, 0xff, 384)] {
            let mut modulus = vec![1; len];
            modulus[0] = first;
            let refused = PublicKey::from_spki(&spki(&modulus)).err().unwrap();
            assert!(refused.message().contains(&format!("{bits} bits")), "{}", refused.message());
            assert!(refused.message().contains("2048"), "{}", refused.message());
        }
    }
}
