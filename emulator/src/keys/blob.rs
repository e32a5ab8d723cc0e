//! The ciphertext blob: three base64 texts joined by `-k-` (docs/kms-service.md, "Ciphertext blobs").
//!
//! * The first names the key version: 64 bytes, the same for all its ciphertexts.
//! * The second depends only on the encryption context: 16 bytes, equal for equal contexts under any key.
//! * The third is nonce, AES-256-GCM ciphertext and tag. The plaintext is padded to a multiple of 8 bytes, which gives
//!   the lengths of the samples in the service's documents: 36 bytes for 5, 68 for 32.
//!
//! The tag covers the other two parts and the context, so no part of a blob can be replaced.

use aws_lc_rs::aead::{Aad, Nonce};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::keys::material::{LABEL_LEN, Label, SymmetricKey};
use crate::random;

const SEPARATOR: &str = "-k-";
const MARK_LEN: usize = 16;
const NONCE_LEN: usize = 12;
const PADDING_BLOCK: usize = 8;

/// Makes the second part of blobs from contexts.
///
/// It is keyed, so that a blob does not let anyone test a guess of its context. All keys of a store share this key.
pub struct ContextMarker(hmac::Key);

type Mark = [u8; MARK_LEN];

impl ContextMarker {
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    fn mark(&self, context: &str) -> Mark {
        let tag = hmac::sign(&self.0, context.as_bytes());
        tag.as_ref()[..MARK_LEN].try_into().expect("HMAC-SHA-256 returns more than 16 bytes")
    }
}

/// A parsed blob that is not yet authenticated.
pub struct Blob {
    /// Identifies the key version of the blob.
    pub label: Label,
    mark: Mark,
    sealed: Vec<u8>,
}

impl Blob {
    /// Encrypts `plaintext` under `key`, bound to the text of `context`.
    pub fn seal(key: &SymmetricKey, marker: &ContextMarker, context: &str, plaintext: &[u8]) -> Self {
        let mark = marker.mark(context);
        let nonce: [u8; NONCE_LEN] = random::bytes();
        let mut body = padded(plaintext);
        let aad = additional_data(&key.label, &mark, context);
        let tag = key
            .cipher
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut body)
            .expect("a plaintext of a few KiB is within the cipher's limit");
        Self { label: key.label, mark, sealed: [&nonce, body.as_slice(), tag.as_ref()].concat() }
    }

    /// Reads the text form; None if it is not three canonical base64 texts of the right lengths.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(SEPARATOR).map(|part| STANDARD.decode(part));
        let label = <[u8; LABEL_LEN]>::try_from(parts.next()?.ok()?).ok()?;
        let mark = Mark::try_from(parts.next()?.ok()?).ok()?;
        let sealed = parts.next()?.ok()?;
        parts.next().is_none().then_some(Self { label, mark, sealed })
    }

    /// The plaintext, if the blob is authentic and `context` is the text it was made with.
    pub fn open(&self, key: &SymmetricKey, context: &str) -> Option<Vec<u8>> {
        let (nonce, body) = self.sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let aad = additional_data(&self.label, &self.mark, context);
        let mut body = body.to_vec();
        let plaintext = key.cipher.open_in_place(nonce, Aad::from(aad), &mut body).ok()?;
        unpadded(plaintext).map(<[u8]>::to_vec)
    }
}

impl std::fmt::Display for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [label, mark, sealed] = [&self.label[..], &self.mark, &self.sealed].map(|part| STANDARD.encode(part));
        write!(f, "{label}{SEPARATOR}{mark}{SEPARATOR}{sealed}")
    }
}

/// The additional data of the tag; the fixed lengths of the first two parts make it unambiguous.
fn additional_data(label: &Label, mark: &Mark, context: &str) -> Vec<u8> {
    [&label[..], mark, context.as_bytes()].concat()
}

/// Appends PKCS #7 padding of 1 to 8 bytes.
fn padded(plaintext: &[u8]) -> Vec<u8> {
    let count = PADDING_BLOCK - plaintext.len() % PADDING_BLOCK;
    let mut body = plaintext.to_vec();
    body.resize(plaintext.len() + count, count as u8);
    body
}

fn unpadded(body: &[u8]) -> Option<&[u8]> {
    let count = usize::from(*body.last()?);
    body.len().checked_sub(count).map(|end| &body[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::key_usage::KeyUsage;
    use crate::keys::material::Material;

    const CONTEXT: &str = r#"{"key1":"value1"}"#;

    fn key() -> SymmetricKey {
        match Material::generate(KeyUsage::EncryptDecrypt) {
            Ok(Material::Symmetric(key)) => key,
            _ => unreachable!("ENCRYPT_DECRYPT is symmetric"),
        }
    }

    fn marker() -> ContextMarker {
        ContextMarker::new(&[7; 32])
    }

    fn text(plaintext: &[u8]) -> String {
        Blob::seal(&key(), &marker(), CONTEXT, plaintext).to_string()
    }

    #[test]
    fn lengths_are_those_of_the_service_samples() {
        assert_eq!(text(b"test\n").len(), 166);
        assert_eq!(text(&[0; 32]).len(), 210);
    }

    #[test]
    fn a_blob_opens_with_its_key_and_context_only() {
        let (key, other) = (key(), self::key());
        for length in [1, 7, 8, 9, 4096] {
            let plaintext = vec![length as u8; length];
            let blob = Blob::parse(&Blob::seal(&key, &marker(), CONTEXT, &plaintext).to_string()).unwrap();
            assert_eq!(blob.open(&key, CONTEXT).unwrap(), plaintext);
            assert!(blob.open(&key, "").is_none());
            assert!(blob.open(&key, r#"{"key1": "value1"}"#).is_none());
            assert!(blob.open(&other, CONTEXT).is_none());
        }
    }

    #[test]
    fn first_parts_depend_on_the_key_and_second_parts_on_the_context() {
        let (key, other) = (key(), self::key());
        let [a, b, c] = [(&key, CONTEXT), (&key, ""), (&other, CONTEXT)]
            .map(|(key, context)| Blob::seal(key, &marker(), context, b"same"));
        assert_eq!(a.label, b.label);
        assert_ne!(a.label, c.label);
        assert_eq!(a.mark, c.mark);
        assert_ne!(a.mark, b.mark);
    }

    #[test]
    fn changing_any_character_breaks_a_blob() {
        let key = key();
        let text = Blob::seal(&key, &marker(), CONTEXT, b"test\n").to_string();
        for index in 0..text.len() {
            let replacement = if text.as_bytes()[index] == b'A' { "B" } else { "A" };
            let mut altered = text.clone();
            altered.replace_range(index..=index, replacement);
            let opened =
                Blob::parse(&altered).filter(|blob| blob.label == key.label).and_then(|blob| blob.open(&key, CONTEXT));
            assert_eq!(opened, None, "character {index}");
        }
    }

    #[test]
    fn text_that_is_not_a_blob_is_refused() {
        for bad in ["", "-k-", "-k--k-", "dGVzdAo=", &text(b"x")[1..], &format!("{}-k-AAAA", text(b"x"))] {
            assert!(Blob::parse(bad).is_none(), "{bad}");
        }
    }
}
