//! SM2 (GB/T 32918): the hash of a signer's id, and local verification.
//!
//! AWS-LC has no SM2. The crate `sm2` of RustCrypto is used for the arithmetic.

use sm2::dsa::signature::hazmat::PrehashVerifier;
use sm2::dsa::{Signature, VerifyingKey};
use sm2::elliptic_curve::sec1::ToSec1Point;
use sm2::pkcs8::DecodePublicKey;
use sm3::{Digest as _, Sm3};

use crate::error::{Error, Result};
use crate::status::Status;

/// The default id of a signer (GB/T 35276).
pub const DEFAULT_USER_ID: &[u8] = b"1234567812345678";
/// The longest id: its length in bits is a number of 16 bits.
pub(crate) const USER_ID_MAX: usize = 8191;

/// The numbers of the curve that are part of the hash: a, b, and the base point (GB/T 32918.5).
const CURVE_PARAMETERS: [[u8; 32]; 4] = [
    hex32(b"fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc"),
    hex32(b"28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93"),
    hex32(b"32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7"),
    hex32(b"bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"),
];

/// A public key on the curve of SM2.
pub(crate) struct Sm2PublicKey(sm2::PublicKey);

impl Sm2PublicKey {
    /// Reads a SubjectPublicKeyInfo.
    pub fn from_spki(spki: &[u8]) -> Option<Self> {
        sm2::PublicKey::from_public_key_der(spki).ok().map(Self)
    }

    /// Z of GB/T 32918.2, 5.5: the hash of the signer's id, the curve and the public key, with which a digest begins.
    pub fn user_id_hash(&self, user_id: &[u8]) -> Result<[u8; 32]> {
        if user_id.len() > USER_ID_MAX {
            let message = format!("the SM2 user id has {} bytes, at most {USER_ID_MAX} are allowed", user_id.len());
            return Err(Error::new(Status::InvalidLength, message));
        }
        let mut hasher = Sm3::new();
        hasher.update(u16::to_be_bytes(8 * user_id.len() as u16));
        hasher.update(user_id);
        CURVE_PARAMETERS.iter().for_each(|parameter| hasher.update(parameter));
        // The first byte marks an uncompressed point.
        hasher.update(&self.0.as_affine().to_sec1_point(false).as_bytes()[1..]);
        Ok(hasher.finalize().into())
    }

    /// Whether r and s are a signature of the digest.
    pub fn verifies(&self, digest: &[u8], raw_signature: &[u8]) -> bool {
        // The id has no effect, because the digest is an argument.
        let key = VerifyingKey::new("", self.0);
        let signature = Signature::try_from(raw_signature);
        key.is_ok_and(|key| signature.is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok()))
    }
}

const fn hex32(digits: &[u8; 64]) -> [u8; 32] {
    const fn value(digit: u8) -> u8 {
        if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 }
    }
    let mut bytes = [0; 32];
    let mut i = 0;
    while i < 32 {
        bytes[i] = value(digits[2 * i]) << 4 | value(digits[2 * i + 1]);
        i += 1;
    }
    bytes
}
