//! The salt of an RSASSA-PSS signature (RFC 8017, 9.1.2), of any length: the cryptographic library verifies only those as
//! long as the digest.

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

const MODULUS_LEN: usize = 256;
/// A SubjectPublicKeyInfo of RSA-2048 with the exponent 65537: the modulus is between these.
const BEFORE_MODULUS: usize = 33;
const AFTER_MODULUS: [u8; 5] = [2, 3, 1, 0, 1];

/// How long the salt is; None for what is no signature of this digest with SHA-256 and MGF1 with SHA-256.
pub fn salt_len(spki: &[u8], message_digest: &[u8], signature: &[u8]) -> Option<usize> {
    let (_, modulus) = spki.split_at_checked(BEFORE_MODULUS)?;
    let (modulus, exponent) = modulus.split_at_checked(MODULUS_LEN)?;
    if exponent != AFTER_MODULUS || signature.len() != MODULUS_LEN {
        return None;
    }
    let encoded = power_65537(&Number::from_bytes(signature), &Number::from_bytes(modulus)).to_bytes();
    let (masked, rest) = encoded.split_at(MODULUS_LEN - SHA256_OUTPUT_LEN - 1);
    let (hash, last) = rest.split_at(SHA256_OUTPUT_LEN);
    let mut block: Vec<u8> = masked.iter().zip(mask(hash)).map(|(byte, mask)| byte ^ mask).collect();
    // The message has one bit less than the modulus.
    block[0] &= 0x7f;
    let start = block.iter().position(|byte| *byte != 0)?;
    let salt = &block[start + 1..];
    let expected = digest(&SHA256, &[&[0; 8], message_digest, salt].concat());
    (block[start] == 1 && last == [0xbc] && hash == expected.as_ref()).then_some(salt.len())
}

/// MGF1 with SHA-256.
fn mask(seed: &[u8]) -> impl Iterator<Item = u8> {
    (0_u32..).flat_map(move |number| digest(&SHA256, &[seed, &number.to_be_bytes()].concat()).as_ref().to_vec())
}

/// Less than 2^2048, the lowest digits first.
#[derive(Clone, PartialEq, Eq)]
struct Number([u32; MODULUS_LEN / 4]);

impl Number {
    fn from_bytes(bytes: &[u8]) -> Self {
        let mut digits = [0; MODULUS_LEN / 4];
        for (digit, bytes) in digits.iter_mut().zip(bytes.rchunks(4)) {
            *digit = bytes.iter().fold(0, |digit, byte| digit << 8 | u32::from(*byte));
        }
        Self(digits)
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().rev().flat_map(|digit| digit.to_be_bytes()).collect()
    }

    /// The sum modulo `modulus` of numbers that are less than that.
    fn plus(&self, other: &Self, modulus: &Self) -> Self {
        let (mut sum, mut carry) = (Self([0; MODULUS_LEN / 4]), 0);
        for (sum, (a, b)) in sum.0.iter_mut().zip(self.0.iter().zip(&other.0)) {
            carry += u64::from(*a) + u64::from(*b);
            *sum = carry as u32;
            carry >>= 32;
        }
        if carry > 0 || sum.0.iter().rev().ge(modulus.0.iter().rev()) {
            let mut borrow = 0;
            for (sum, digit) in sum.0.iter_mut().zip(&modulus.0) {
                borrow += i64::from(*sum) - i64::from(*digit);
                *sum = borrow as u32;
                borrow >>= 32;
            }
        }
        sum
    }

    fn times(&self, other: &Self, modulus: &Self) -> Self {
        let mut product = Self([0; MODULUS_LEN / 4]);
        for digit in self.0.iter().rev() {
            for bit in (0..32).rev() {
                product = product.plus(&product, modulus);
                if digit >> bit & 1 == 1 {
                    product = product.plus(other, modulus);
                }
            }
        }
        product
    }
}

fn power_65537(base: &Number, modulus: &Number) -> Number {
    let power = (0..16).fold(base.clone(), |power, _| power.times(&power, modulus));
    power.times(base, modulus)
}
