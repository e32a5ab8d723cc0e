//! RSASSA-PSS with a salt of any length, for the faults that need it: the cryptographic library only makes salts as
//! long as the digest.

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use sm2::elliptic_curve::bigint::U2048;
use sm2::elliptic_curve::bigint::modular::{FixedMontyForm, FixedMontyParams};

use crate::random;

const MODULUS_LEN: usize = 256;

/// The longest salt: the length of the modulus less the digest, the byte before the salt and the last byte.
pub const LONGEST_SALT: usize = MODULUS_LEN - SHA256_OUTPUT_LEN - 2;

/// Signs a SHA-256 digest with an RSA-2048 key in PKCS #8. None if it is another key, or the salt is too long.
pub fn sign(pkcs8: &[u8], message_digest: &[u8], salt_len: usize) -> Option<Vec<u8>> {
    let (modulus, exponent) = numbers(pkcs8)?;
    let message = number(&encoded(message_digest, salt_len)?)?;
    let params = FixedMontyParams::new_vartime(Option::from(modulus.to_odd())?);
    let signature = FixedMontyForm::new(&message, &params).pow(&exponent).retrieve();
    Some(signature.to_be_bytes().as_ref().to_vec())
}

/// EMSA-PSS of RFC 8017 with SHA-256 and MGF1, for a modulus of 2048 bits.
fn encoded(message_digest: &[u8], salt_len: usize) -> Option<[u8; MODULUS_LEN]> {
    const MASKED_LEN: usize = MODULUS_LEN - SHA256_OUTPUT_LEN - 1;
    let mut salt = vec![0; salt_len];
    random::fill(&mut salt);
    let hash = digest(&SHA256, &[&[0; 8], message_digest, &salt].concat());
    let mut masked = mask(hash.as_ref(), MASKED_LEN);
    let start = MASKED_LEN.checked_sub(salt_len + 1)?;
    masked[start] ^= 1;
    masked[start + 1..].iter_mut().zip(&salt).for_each(|(masked, salt)| *masked ^= salt);
    // The encoded message has one bit less than the modulus.
    masked[0] &= 0x7f;
    [&masked, hash.as_ref(), &[0xbc]].concat().try_into().ok()
}

/// MGF1 with SHA-256.
fn mask(seed: &[u8], length: usize) -> Vec<u8> {
    let block = |number: u32| digest(&SHA256, &[seed, &number.to_be_bytes()].concat()).as_ref().to_vec();
    (0..).flat_map(block).take(length).collect()
}

/// The modulus and the private exponent of a key in PKCS #8.
fn numbers(pkcs8: &[u8]) -> Option<(U2048, U2048)> {
    let (info, _) = element(pkcs8, 0x30)?;
    let (_version, info) = element(info, 0x02)?;
    let (_algorithm, info) = element(info, 0x30)?;
    let (key, _) = element(info, 0x04)?;
    let (key, _) = element(key, 0x30)?;
    let (_version, key) = element(key, 0x02)?;
    let (modulus, key) = element(key, 0x02)?;
    let (_public_exponent, key) = element(key, 0x02)?;
    let (exponent, _) = element(key, 0x02)?;
    Some((number(modulus)?, number(exponent)?))
}

/// The content of a DER element with this tag, and what comes after the element.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, der) = der.split_first()?;
    let (&first, der) = der.split_first()?;
    let length_len = if first < 0x80 { 0 } else { usize::from(first & 0x7f) };
    let (length, der) = der.split_at_checked(length_len)?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        length.iter().try_fold(0_usize, |length, byte| Some(length.checked_mul(256)? + usize::from(*byte)))?
    };
    if found == tag { der.split_at_checked(length) } else { None }
}

fn number(bytes: &[u8]) -> Option<U2048> {
    let bytes = match bytes {
        [0, rest @ ..] if bytes.len() > MODULUS_LEN => rest,
        bytes => bytes,
    };
    let missing = MODULUS_LEN.checked_sub(bytes.len())?;
    Some(U2048::from_be_slice(&[&vec![0; missing], bytes].concat()))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair, RSA_PSS_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};

    use super::*;

    #[test]
    fn only_a_signature_whose_salt_is_as_long_as_the_digest_is_valid() {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8 = key.as_der().unwrap();
        let public_key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key.public_key().as_ref());
        let message_digest = digest(&SHA256, b"message");
        let is_valid = |salt_len| {
            let signature = sign(pkcs8.as_ref(), message_digest.as_ref(), salt_len).unwrap();
            assert_eq!(signature.len(), MODULUS_LEN);
            public_key.verify(b"message", &signature).is_ok()
        };
        assert!(is_valid(SHA256_OUTPUT_LEN));
        assert!(!is_valid(0) && !is_valid(LONGEST_SALT));
        assert!(sign(pkcs8.as_ref(), message_digest.as_ref(), LONGEST_SALT + 1).is_none());
        assert!(sign(b"no key", message_digest.as_ref(), 0).is_none());
    }
}
