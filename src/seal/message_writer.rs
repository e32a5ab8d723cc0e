//! Writes a message: header, frames, footer, each into the caller's memory.

use std::sync::Arc;

use aws_lc_rs::digest::Context as Digest;

use crate::error::{Error, Result};
use crate::seal::format::frame::{self, FrameCipher, Kind};
use crate::seal::format::header;
use crate::seal::format::message_id::MessageId;
use crate::seal::format::signature::{FOOTER_LEN, signing_digest};
use crate::seal::materials::Materials;
use crate::status::Status;

/// Writes one message. Frames come one after the other, the final one last.
pub(crate) struct MessageWriter {
    cipher: FrameCipher,
    footer_signer: FooterSigner,
    next: u32,
}

/// The signature over a message. It is computed in order, whichever threads seal the frames.
pub(crate) struct FooterSigner {
    materials: Arc<Materials>,
    digest: Option<Digest>,
}

impl MessageWriter {
    /// Begins a message with a new id. The header fills `out` exactly, see [`header_len`].
    pub fn begin(materials: Arc<Materials>, frame_len: usize, out: &mut [u8]) -> Result<Self> {
        Self::begin_with_id(materials, MessageId::random()?, frame_len, out)
    }

    /// With an id that must never have been used under the same data key.
    fn begin_with_id(
        materials: Arc<Materials>,
        message_id: MessageId,
        frame_len: usize,
        out: &mut [u8],
    ) -> Result<Self> {
        let keys = materials.suite.derive(materials.data_key.expose(), &message_id)?;
        header::write(materials.suite, &message_id, &materials.fields, frame_len, &keys, out)?;
        let digest = materials.signing_key.as_ref().map(|_| {
            let mut digest = signing_digest();
            digest.update(out);
            digest
        });
        let cipher = FrameCipher::new(keys.content_key, message_id);
        Ok(Self { cipher, footer_signer: FooterSigner { materials, digest }, next: 1 })
    }

    /// Writes a frame from `plaintext` into `out`, which it fills exactly.
    pub fn frame(&mut self, kind: Kind, plaintext: &[u8], out: &mut [u8]) -> Result<()> {
        let number = self.take_number(kind)?;
        self.cipher.seal(kind, number, plaintext, out)?;
        self.footer_signer.sign(out);
        Ok(())
    }

    /// Makes a frame from a plaintext that is already in place within `frame`.
    pub fn frame_in_place(&mut self, kind: Kind, frame: &mut [u8]) -> Result<()> {
        let number = self.take_number(kind)?;
        self.cipher.seal_in_place(kind, number, frame)?;
        self.footer_signer.sign(frame);
        Ok(())
    }

    /// Writes the footer after the final frame, which is empty unless the message is signed.
    pub fn footer(&mut self, out: &mut [u8]) -> Result<()> {
        self.footer_signer.footer(out)
    }

    pub fn footer_len(&self) -> usize {
        self.footer_signer.footer_len()
    }

    /// For a caller that seals frames on several threads, and numbers and signs them itself.
    pub fn split(self) -> (FrameCipher, FooterSigner) {
        (self.cipher, self.footer_signer)
    }

    /// The last number is the marker of final frames, so a regular frame cannot have it.
    fn take_number(&mut self, kind: Kind) -> Result<u32> {
        let number = self.next;
        if kind == Kind::Regular {
            self.next = number.checked_add(1).ok_or_else(frame::too_long)?;
        }
        Ok(number)
    }
}

impl FooterSigner {
    /// Adds the written bytes to the signed data.
    pub fn sign(&mut self, written: &[u8]) {
        if let Some(digest) = &mut self.digest {
            digest.update(written);
        }
    }

    /// Writes the signature, if the message is signed, into `out`, which it fills exactly.
    pub fn footer(&mut self, out: &mut [u8]) -> Result<()> {
        let (Some(digest), Some(key)) = (self.digest.take(), &self.materials.signing_key) else { return Ok(()) };
        let signature = key.sign(digest)?;
        out[..2].copy_from_slice(&(signature.len() as u16).to_be_bytes());
        out[2..].copy_from_slice(&signature);
        Ok(())
    }

    pub fn footer_len(&self) -> usize {
        footer_len(&self.materials)
    }
}

pub(crate) fn header_len(materials: &Materials) -> usize {
    header::len(&materials.fields)
}

fn footer_len(materials: &Materials) -> usize {
    if materials.signing_key.is_some() { FOOTER_LEN } else { 0 }
}

/// The complete message's length, known before the first byte is written.
pub(crate) fn sealed_len(materials: &Materials, frame_len: usize, plaintext_len: u64) -> Result<u64> {
    let around = (header_len(materials) + footer_len(materials)) as u64;
    frame::body_len(plaintext_len, frame_len)?.checked_add(around).ok_or_else(frame::too_long)
}

/// A complete plaintext that is ready to be sealed: it has a data key, and its message's length is known.
pub struct PreparedSeal<'a> {
    materials: Arc<Materials>,
    frame_len: usize,
    plaintext: &'a [u8],
    message_len: usize,
}

impl<'a> PreparedSeal<'a> {
    pub(crate) fn new(materials: Arc<Materials>, frame_len: usize, plaintext: &'a [u8]) -> Result<Self> {
        let len = sealed_len(&materials, frame_len, plaintext.len() as u64)?;
        let message_len = usize::try_from(len).map_err(|_| {
            Error::new(
                Status::OutOfMemory,
                format!("the message would have {len} bytes, which exceeds the address space"),
            )
        })?;
        Ok(Self { materials, frame_len, plaintext, message_len })
    }

    /// The message's length.
    pub fn message_len(&self) -> usize {
        self.message_len
    }

    /// Writes the message, which fills `out` exactly.
    pub fn write(self, out: &mut [u8]) -> Result<()> {
        let (head, mut rest) = out.split_at_mut(header_len(&self.materials));
        let mut message = MessageWriter::begin(self.materials, self.frame_len, head)?;
        let frames = self.plaintext.chunks_exact(self.frame_len);
        let last = frames.remainder();
        for content in frames {
            let (frame, after) = rest.split_at_mut(frame::whole_len(Kind::Regular, self.frame_len));
            message.frame(Kind::Regular, content, frame)?;
            rest = after;
        }
        let (frame, footer) = rest.split_at_mut(rest.len() - message.footer_len());
        message.frame(Kind::Final, last, frame)?;
        message.footer(footer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::format::context::Context;
    use crate::seal::format::suite::{COMMITTING, COMMITTING_SIGNED};
    use crate::seal::format::wrapped_key::WrappedKey;
    use crate::secret::Secret;

    /// The example that was checked with the stock SDKs: data key 00…1f, message id 40…5f.
    const EXAMPLE: &str = "02 0478 404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f 0008 0001 0001 61 \
        0001 31 0001 000b 74656e63656e742d6b6d73 \
        0031 61702d6775616e677a686f752f39333836366536392d393735352d313165662d386536352d353235343030383962633431 \
        0014 51306c51534556535645565956454a4d5430493d \
        02 00001000 4fc8f3b078da9a1778fd776cf39f21e62e3c512006129bc6f16a06f8ccdead3a \
        9cfede1ed1bf02050c6f56621bc53207 \
        ffffffff 00000001 000000000000000000000001 00000005 42703bbf74 d59f741dea5ffa2f53e9144346619a54";

    fn materials(signed: bool) -> Arc<Materials> {
        let context = Context::from_pairs([("a", "1")]);
        let wrapped = WrappedKey {
            provider_id: "tencent-kms".to_owned(),
            provider_info: b"ap-guangzhou/93866e69-9755-11ef-8e65-52540089bc41".to_vec(),
            blob: b"Q0lQSEVSVEVYVEJMT0I=".to_vec(),
        };
        Arc::new(Materials {
            suite: if signed { COMMITTING_SIGNED } else { COMMITTING },
            data_key: Secret::copy_of(&(0..32).collect::<Vec<u8>>()).unwrap(),
            fields: header::fields(&context, &[wrapped]).unwrap(),
            signing_key: signed.then(|| crate::seal::format::signature::SigningKey::generate().unwrap()),
        })
    }

    #[test]
    fn the_worked_example_comes_out_byte_by_byte() {
        let materials = materials(false);
        let id = MessageId::from_slice(&(0x40..0x60).collect::<Vec<u8>>());
        let mut out = vec![0; sealed_len(&materials, 4096, 5).unwrap() as usize];
        let (head, body) = out.split_at_mut(header_len(&materials));
        let mut message = MessageWriter::begin_with_id(materials, id, 4096, head).unwrap();
        message.frame(Kind::Final, b"hello", body).unwrap();
        assert_eq!(crate::encoding::hex(&out), EXAMPLE.replace(' ', ""));
        assert_eq!(out.len(), 231);
    }

    #[test]
    fn the_length_is_known_before() {
        for (signed, len) in [0, 1, 9, 10, 11, 100, 101].into_iter().flat_map(|len| [(false, len), (true, len)]) {
            let materials = materials(signed);
            let expected = header_len(&materials) + len + len / 10 * 32 + 40 + footer_len(&materials);
            assert_eq!(sealed_len(&materials, 10, len as u64).unwrap(), expected as u64);
            let plaintext = vec![7; len];
            let prepared = PreparedSeal::new(Arc::clone(&materials), 10, &plaintext).unwrap();
            assert_eq!(prepared.message_len(), expected);
            prepared.write(&mut vec![0; expected]).unwrap();
        }
    }

    #[test]
    fn the_numbers_end_with_an_error() {
        let materials = materials(false);
        let mut head = vec![0; header_len(&materials)];
        let mut message = MessageWriter::begin(materials, 1, &mut head).unwrap();
        message.next = u32::MAX - 1;
        message.frame(Kind::Regular, b"x", &mut [0; 33]).unwrap();
        let error = message.frame(Kind::Regular, b"x", &mut [0; 33]).err().unwrap();
        assert_eq!(error.status(), Status::MessageTooLong);
        message.frame(Kind::Final, b"", &mut [0; 40]).unwrap();
    }
}
