//! Bytes as text: base64 (RFC 4648, section 4, with padding), hexadecimal and PEM.

use base64::engine::{GeneralPurposeConfig, Simd};
use base64::{DecodeError, DecodeSliceError, Engine as _};
use once_cell::race::OnceBox;
use rustls_pki_types::pem;

/// The length of `len` bytes in base64.
pub(crate) const fn base64_len(len: usize) -> usize {
    len.div_ceil(3) * 4
}

/// Writes `bytes` as base64 into `text`, whose length is [`base64_len`] of theirs. No other memory holds a copy.
pub(crate) fn base64_encode_into(bytes: &[u8], text: &mut [u8]) {
    let written = engine().encode_slice(bytes, text).expect("the text is as long as base64_len says");
    debug_assert_eq!(written, base64_len(bytes.len()));
}

/// Decodes `text` into `bytes`, and returns the number of bytes. No other memory holds a copy.
pub(crate) fn base64_decode_into(text: &[u8], bytes: &mut [u8]) -> Result<usize, DecodeSliceError> {
    engine().decode_slice(text, bytes)
}

pub(crate) fn base64_encode(bytes: &[u8]) -> String {
    engine().encode(bytes)
}

pub(crate) fn base64_decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    engine().decode(text)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = vec![0; 2 * bytes.len()];
    write_hex(bytes, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

fn write_hex(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (digits, byte) in text.chunks_exact_mut(2).zip(bytes) {
        digits[0] = DIGITS[usize::from(byte >> 4)];
        digits[1] = DIGITS[usize::from(byte & 15)];
    }
}

/// A digest of 32 bytes in lower-case hexadecimal. Every request has three of them, so it is not on the heap.
pub(crate) struct HexDigest([u8; 64]);

impl HexDigest {
    pub fn new(digest: &[u8; 32]) -> Self {
        let mut text = [0; 64];
        write_hex(digest, &mut text);
        Self(text)
    }
}

impl std::ops::Deref for HexDigest {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Created once, because its tables are computed at run time; without a lock, because a fork could copy the lock
/// while it is held.
fn engine() -> &'static Simd {
    static ENGINE: OnceBox<Simd> = OnceBox::new();
    ENGINE.get_or_init(|| Box::new(Simd::standard(GeneralPurposeConfig::new())))
}

/// Some editors begin a text with this mark.
pub(crate) fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// The reason why a PEM text is malformed. The parser's own text repeats its input, which may be a private key.
pub(crate) fn explain_pem(error: &pem::Error, content: &[u8]) -> &'static str {
    match error {
        _ if !content.trim_ascii().contains(&b'\n') => {
            "it is all on one line; it needs a newline after -----BEGIN …-----"
        }
        pem::Error::MissingSectionEnd { .. } => "a -----BEGIN line has no matching -----END line",
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN line does not end with five hyphens",
        pem::Error::Base64Decode(_) => "what is between -----BEGIN and -----END is not base64",
        pem::Error::Io(_) => "it cannot be read",
        pem::Error::NoItemsFound => "it has no -----BEGIN line",
        _ => "it is damaged",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_length_open() {
        let bytes = (0..=255).cycle().take(1000).collect::<Vec<u8>>();
        // Miri takes a second for a few hundred bytes.
        for len in 0..if cfg!(miri) { 70 } else { bytes.len() } {
            let mut text = vec![0; base64_len(len)];
            base64_encode_into(&bytes[..len], &mut text);
            assert_eq!(text, base64_encode(&bytes[..len]).as_bytes());
            let mut decoded = vec![0; text.len() / 4 * 3];
            let decoded_len = base64_decode_into(&text, &mut decoded).unwrap();
            assert_eq!(decoded[..decoded_len], bytes[..len]);
        }
    }

    #[test]
    fn only_the_canonical_text_is_decoded() {
        assert_eq!(base64_decode("dGVzdAo=").unwrap(), b"test\n");
        for text in ["dGVzdAo", "dGVzdAp=", "dGVz dAo=", "dGVzdAo=\n", "dGVzdA-_", "=", "dGVzdAo=="] {
            assert!(base64_decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hex_is_lower_case_with_two_digits_a_byte() {
        assert_eq!(hex(&[0, 0x0f, 0xab, 0xff]), "000fabff");
        assert_eq!(&HexDigest::new(&[0xa5; 32])[..], "a5".repeat(32));
    }
}
