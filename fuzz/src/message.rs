//! Messages that the library reads but does not write: those of version 1, and those whose header was changed by an author who has
//! the data key. Without the latter, the code after the check of the header's tag would never process a changed header.

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyCompressedBin};
use aws_lc_rs::hkdf::{HKDF_SHA256, HKDF_SHA384, HKDF_SHA512, KeyType, Salt};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::api::info;
use crate::key::DATA_KEY;

const SIGNED_1: u16 = 0x0378;
const ID_1: [u8; 16] = *b"a message's id..";
const TAG_LEN: usize = 16;
const IV_LEN: usize = 12;

/// The keys that are derived from the data key for one message.
struct Keys {
    content: LessSafeKey,
    commitment: [u8; 32],
}

impl Keys {
    fn new(suite: u16, message_id: &[u8]) -> Self {
        let id = suite.to_be_bytes();
        let len = match suite & 0xff {
            0x14 => 16,
            0x46 => 24,
            _ => 32,
        };
        let (hash, salt, label) = match suite >> 8 {
            0 => return Self { content: cipher(&DATA_KEY[..len]), commitment: [0; 32] },
            1 | 2 => (HKDF_SHA256, &[][..], message_id),
            3 => (HKDF_SHA384, &[][..], message_id),
            _ => (HKDF_SHA512, message_id, &b"DERIVEKEY"[..]),
        };
        let prk = Salt::new(hash, salt).extract(&DATA_KEY[..len]);
        let expand = |info: &[&[u8]], out: &mut [u8]| prk.expand(info, Len(out.len())).unwrap().fill(out).unwrap();
        let (mut key, mut commitment) = ([0; 32], [0; 32]);
        expand(&[&id, label], &mut key[..len]);
        expand(&[b"COMMITKEY"], &mut commitment);
        Self { content: cipher(&key[..len]), commitment }
    }

    /// The ciphertext and its tag.
    fn seal(&self, iv: [u8; IV_LEN], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut out = plaintext.to_vec();
        self.content.seal_in_place_append_tag(Nonce::assume_unique_for_key(iv), Aad::from(aad), &mut out).unwrap();
        out
    }
}

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

fn cipher(key: &[u8]) -> LessSafeKey {
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        24 => &AES_192_GCM,
        _ => &AES_256_GCM,
    };
    LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap())
}

/// Makes a changed header authentic. An incomplete header is left unchanged.
pub fn authenticate_header(message: &mut [u8]) {
    let Ok(claims) = info(message) else { return };
    let text = |name: &str| claims[name].as_str().unwrap();
    let suite = u16::from_str_radix(text("suite"), 16).unwrap();
    let keys = Keys::new(suite, &bytes_of_hex(text("message_id")));
    let header = &mut message[..claims["header_len"].as_u64().unwrap() as usize];
    let (body, tag) = header.split_at_mut(header.len() - TAG_LEN);
    let (covered, iv) = match claims["version"].as_u64() {
        Some(1) => body.split_at(body.len() - IV_LEN),
        _ => {
            let commitment_at = body.len() - keys.commitment.len();
            body[commitment_at..].copy_from_slice(&keys.commitment);
            (&body[..], &[0; IV_LEN][..])
        }
    };
    tag.copy_from_slice(&keys.seal(iv.try_into().unwrap(), covered, &[]));
}

fn bytes_of_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A message of version 1; not framed when the frame length is 0.
pub fn version_1(suite: u16, plaintext: &[u8], frame_len: usize) -> Vec<u8> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
    let keys = Keys::new(suite, &ID_1);
    let mut message = header_1(suite, &pair, frame_len, &keys);
    if frame_len == 0 {
        unframed(&mut message, &keys, plaintext);
    } else {
        framed(&mut message, &keys, plaintext, frame_len);
    }
    if suite == SIGNED_1 {
        let signature = pair.sign(&SystemRandom::new(), &message).unwrap();
        push(&mut message, signature.as_ref());
    }
    message
}

fn header_1(suite: u16, pair: &EcdsaKeyPair, frame_len: usize, keys: &Keys) -> Vec<u8> {
    let mut header = vec![1, 0x80];
    header.extend(suite.to_be_bytes());
    header.extend(ID_1);
    push(&mut header, &context(suite, pair));
    header.extend(1_u16.to_be_bytes());
    for part in [&b"fuzz"[..], b"k", b"wrapped"] {
        push(&mut header, part);
    }
    header.push(if frame_len == 0 { 1 } else { 2 });
    header.extend([0, 0, 0, 0, IV_LEN as u8]);
    header.extend((frame_len as u32).to_be_bytes());
    let tag = keys.seal([0; IV_LEN], &header, &[]);
    header.extend([0; IV_LEN]);
    header.extend(tag);
    header
}

fn context(suite: u16, pair: &EcdsaKeyPair) -> Vec<u8> {
    let point: EcPublicKeyCompressedBin = pair.public_key().as_be_bytes().unwrap();
    let public = BASE64.encode(point.as_ref());
    let mut pairs = vec![("a", "1")];
    if suite == SIGNED_1 {
        pairs.push(("aws-crypto-public-key", &public));
    }
    let mut context = (pairs.len() as u16).to_be_bytes().to_vec();
    for (key, value) in pairs {
        push(&mut context, key.as_bytes());
        push(&mut context, value.as_bytes());
    }
    context
}

fn push(out: &mut Vec<u8>, part: &[u8]) {
    out.extend((part.len() as u16).to_be_bytes());
    out.extend(part);
}

fn unframed(message: &mut Vec<u8>, keys: &Keys, plaintext: &[u8]) {
    let iv = iv_of(1);
    message.extend(iv);
    message.extend((plaintext.len() as u64).to_be_bytes());
    message.extend(keys.seal(iv, &aad("Single Block", 1, plaintext.len()), plaintext));
}

fn framed(message: &mut Vec<u8>, keys: &Keys, plaintext: &[u8], frame_len: usize) {
    let mut frames = plaintext.chunks_exact(frame_len);
    let mut number = 1_u32;
    for frame in &mut frames {
        message.extend(number.to_be_bytes());
        message.extend(iv_of(number));
        message.extend(keys.seal(iv_of(number), &aad("Frame", number, frame.len()), frame));
        number += 1;
    }
    let last = frames.remainder();
    message.extend(u32::MAX.to_be_bytes());
    message.extend(number.to_be_bytes());
    message.extend(iv_of(number));
    message.extend((last.len() as u32).to_be_bytes());
    message.extend(keys.seal(iv_of(number), &aad("Final Frame", number, last.len()), last));
}

fn iv_of(number: u32) -> [u8; IV_LEN] {
    let mut iv = [0; IV_LEN];
    iv[8..].copy_from_slice(&number.to_be_bytes());
    iv
}

fn aad(kind: &str, number: u32, len: usize) -> Vec<u8> {
    let label = format!("AWSKMSEncryptionClient {kind}");
    [&ID_1[..], label.as_bytes(), &number.to_be_bytes(), &(len as u64).to_be_bytes()].concat()
}
