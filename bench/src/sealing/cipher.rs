//! The baseline for sealing: the bare cipher, on the same frames with the same keys, IVs and additional data as the library.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Prk};
use aws_lc_rs::hmac;

use super::FRAME_LEN;
use crate::error::Result;

pub const TAG_LEN: usize = 16;
const IV_LEN: usize = 12;
const REGULAR_HEAD_LEN: usize = 4 + IV_LEN;
const FINAL_HEAD_LEN: usize = 4 + 4 + IV_LEN + 4;
const REGULAR_FRAME_LEN: usize = REGULAR_HEAD_LEN + FRAME_LEN + TAG_LEN;
/// The length of a final frame without content.
const FINAL_FRAME_LEN: usize = FINAL_HEAD_LEN + TAG_LEN;
const SUITE: [u8; 2] = [0x04, 0x78];

/// AES-256-GCM under one key.
pub trait Cipher {
    fn seal(&self, iv: [u8; IV_LEN], aad: &[u8], content: &[u8], out: &mut [u8], tag: &mut [u8]) -> Result<()>;
    fn open(&self, iv: [u8; IV_LEN], aad: &[u8], content: &[u8], tag: &[u8], out: &mut [u8]) -> Result<()>;
}

/// The cipher of the library.
pub struct AwsLc(LessSafeKey);

impl AwsLc {
    pub fn new(key: &[u8; 32]) -> Result<Self> {
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?)))
    }
}

impl Cipher for AwsLc {
    fn seal(&self, iv: [u8; IV_LEN], aad: &[u8], content: &[u8], out: &mut [u8], tag: &mut [u8]) -> Result<()> {
        let nonce = Nonce::assume_unique_for_key(iv);
        Ok(self.0.seal_out_of_place_scatter(nonce, Aad::from(aad), content, out, &[], tag)?)
    }

    fn open(&self, iv: [u8; IV_LEN], aad: &[u8], content: &[u8], tag: &[u8], out: &mut [u8]) -> Result<()> {
        Ok(self.0.open_separate_gather(Nonce::assume_unique_for_key(iv), Aad::from(aad), content, tag, out)?)
    }
}

/// The length of a message's body, for a plaintext whose length is a multiple of the frame's. The body ends with an empty frame.
pub fn body_len(plaintext_len: usize) -> usize {
    plaintext_len / FRAME_LEN * REGULAR_FRAME_LEN + FINAL_FRAME_LEN
}

/// Fills `out` with the body. Its bytes are those that the library writes.
pub fn seal_body(cipher: &impl Cipher, id: &[u8; 32], plaintext: &[u8], out: &mut [u8]) -> Result<()> {
    let (frames, last) = out.split_at_mut(body_len(plaintext.len()) - FINAL_FRAME_LEN);
    let mut number = 0_u32;
    for (content, frame) in plaintext.chunks_exact(FRAME_LEN).zip(frames.chunks_exact_mut(REGULAR_FRAME_LEN)) {
        number += 1;
        let (head, rest) = frame.split_at_mut(REGULAR_HEAD_LEN);
        let (ciphertext, tag) = rest.split_at_mut(FRAME_LEN);
        head[..4].copy_from_slice(&number.to_be_bytes());
        head[4..].copy_from_slice(&iv(number));
        cipher.seal(iv(number), &regular_aad(id, number), content, ciphertext, tag)?;
    }
    number += 1;
    last[..4].copy_from_slice(&[0xff; 4]);
    last[4..8].copy_from_slice(&number.to_be_bytes());
    last[8..20].copy_from_slice(&iv(number));
    last[20..24].copy_from_slice(&[0; 4]);
    cipher.seal(iv(number), &final_aad(id, number, 0), &[], &mut [], &mut last[FINAL_HEAD_LEN..FINAL_FRAME_LEN])
}

/// Fills `out` with the plaintext of a body.
pub fn open_body(cipher: &impl Cipher, id: &[u8; 32], body: &[u8], out: &mut [u8]) -> Result<()> {
    let (frames, last) = body.split_at(body_len(out.len()) - FINAL_FRAME_LEN);
    let mut number = 0_u32;
    for (frame, content) in frames.chunks_exact(REGULAR_FRAME_LEN).zip(out.chunks_exact_mut(FRAME_LEN)) {
        number += 1;
        let (ciphertext, tag) = frame[REGULAR_HEAD_LEN..].split_at(FRAME_LEN);
        cipher.open(iv(number), &regular_aad(id, number), ciphertext, tag, content)?;
    }
    number += 1;
    cipher.open(iv(number), &final_aad(id, number, 0), &[], &last[FINAL_HEAD_LEN..], &mut [])
}

/// Fills `out` with the ciphertexts of the regular frames, without a gap, and then with all tags. The work is the same, but a
/// message has bytes between two ciphertexts.
pub fn seal_without_gaps(cipher: &impl Cipher, id: &[u8; 32], plaintext: &[u8], out: &mut [u8]) -> Result<()> {
    let (contents, tags) = out.split_at_mut(plaintext.len());
    let frames = contents.chunks_exact_mut(FRAME_LEN).zip(tags.chunks_exact_mut(TAG_LEN));
    for ((content, (ciphertext, tag)), number) in plaintext.chunks_exact(FRAME_LEN).zip(frames).zip(1..) {
        cipher.seal(iv(number), &regular_aad(id, number), content, ciphertext, tag)?;
    }
    Ok(())
}

/// Opens the output of [`seal_without_gaps`].
pub fn open_without_gaps(cipher: &impl Cipher, id: &[u8; 32], sealed: &[u8], out: &mut [u8]) -> Result<()> {
    let (contents, tags) = sealed.split_at(out.len());
    let frames = contents.chunks_exact(FRAME_LEN).zip(tags.chunks_exact(TAG_LEN));
    for ((content, (ciphertext, tag)), number) in out.chunks_exact_mut(FRAME_LEN).zip(frames).zip(1..) {
        cipher.open(iv(number), &regular_aad(id, number), ciphertext, tag, content)?;
    }
    Ok(())
}

pub fn iv(number: u32) -> [u8; IV_LEN] {
    let mut iv = [0; IV_LEN];
    iv[8..].copy_from_slice(&number.to_be_bytes());
    iv
}

fn regular_aad(id: &[u8; 32], number: u32) -> [u8; 72] {
    aad(id, b"AWSKMSEncryptionClient Frame", number, FRAME_LEN)
}

pub fn final_aad(id: &[u8; 32], number: u32, content_len: usize) -> [u8; 78] {
    aad(id, b"AWSKMSEncryptionClient Final Frame", number, content_len)
}

fn aad<const LEN: usize>(id: &[u8; 32], label: &[u8], number: u32, content_len: usize) -> [u8; LEN] {
    let mut aad = [0; LEN];
    aad[..32].copy_from_slice(id);
    aad[32..LEN - 12].copy_from_slice(label);
    aad[LEN - 12..LEN - 8].copy_from_slice(&number.to_be_bytes());
    aad[LEN - 8..].copy_from_slice(&(content_len as u64).to_be_bytes());
    aad
}

/// The content key and the commitment of a message, by HKDF-SHA512 with one extraction and two expansions.
pub fn derive(id: &[u8; 32], data_key: &[u8; 32]) -> Result<([u8; 32], [u8; 32])> {
    let prk = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, id), data_key);
    let prk = Prk::new_less_safe(HKDF_SHA512, prk.as_ref());
    let (mut key, mut commitment) = ([0; 32], [0; 32]);
    prk.expand(&[&SUITE, b"DERIVEKEY"], KeyLen)?.fill(&mut key)?;
    prk.expand(&[b"COMMITKEY"], KeyLen)?.fill(&mut commitment)?;
    Ok((key, commitment))
}

struct KeyLen;

impl KeyType for KeyLen {
    fn len(&self) -> usize {
        32
    }
}
