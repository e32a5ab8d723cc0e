//! A data key that is wrapped under a branch key: the bytes of the `tencent-kms-hierarchy` convention of docs/sealing.md.
//!
//! ```text
//! form 1 | length of the branch id 1 | branch id | version 16 | salt 16 | IV 12 | data key 32 | tag 16 | branch key's blob
//! ```

use std::sync::Arc;

use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::hmac;
use zeroize::{Zeroizing, zeroize_stack};

use crate::error::{Error, Result};
use crate::seal::format::branch_id::{BranchId, BranchVersion};
use crate::seal::format::content_key::{ContentKey, IV_LEN, TAG_LEN};
use crate::seal::format::context::Context;
use crate::seal::format::length_prefix::push_part;
use crate::secret::Secret;
use crate::status::Status;
use crate::sys::random;

/// The convention's name in every wrapped key. It is also the label of the key derivation.
pub const TENCENT_KMS_HIERARCHY_PROVIDER_ID: &str = "tencent-kms-hierarchy";
pub(crate) const BRANCH_KEY_LEN: usize = 32;
/// Only data keys of the suites that are written, which have this length, are wrapped.
const DATA_KEY_LEN: usize = 32;
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = SALT_LEN + IV_LEN;
/// The stack below its caller on which a key derivation leaves copies of the branch key.
const DERIVATION_STACK: usize = 4096;

/// A branch key, prepared for deriving. The crypto library wipes it.
pub(crate) struct BranchSecret(hmac::Key);

impl BranchSecret {
    /// On the heap, because moving it would leave copies on the stacks of its callers.
    pub fn new(key: &Secret) -> Arc<Self> {
        let prepared = Self::prepare(key);
        zeroize_stack::<DERIVATION_STACK>();
        prepared
    }

    /// Not a part of its caller, whose part of the stack stays in use.
    #[inline(never)]
    fn prepare(key: &Secret) -> Arc<Self> {
        Arc::new(Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose())))
    }
}

/// Whether a message carries the wrapped branch key along, or only names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BranchForm {
    /// It contains it, so reading needs only the key service.
    #[default]
    Embedded = 1,
    /// Reading needs the branch key's record as well.
    ByReference = 2,
}

impl BranchForm {
    /// The form with this number, if there is one.
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Embedded, Self::ByReference].into_iter().find(|form| *form as i64 == number)
    }
}

/// The data to which a data key is bound besides its branch: the CMK and the message's context.
#[derive(Clone, Copy)]
pub(crate) struct Binding<'a> {
    pub provider_info: &'a [u8],
    pub context: &'a Context,
}

/// A wrapped data key as a message has it, which is not authenticated before it is unwrapped.
pub(crate) struct BranchWrapped<'a> {
    pub form: BranchForm,
    pub branch_id: &'a str,
    pub version: BranchVersion,
    /// The CMK's blob of the branch key; empty by reference.
    pub blob: &'a [u8],
    /// From the form to the version.
    head: &'a [u8],
    salt: &'a [u8],
    iv: [u8; IV_LEN],
    data_key: &'a [u8],
    tag: &'a [u8],
}

impl<'a> BranchWrapped<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let [form, id_len, rest @ ..] = bytes else { return Err(malformed("is too short")) };
        let form = BranchForm::from_number((*form).into()).ok_or_else(|| malformed("has an unknown form"))?;
        let head =
            bytes.get(..2 + usize::from(*id_len) + BranchVersion::LEN).ok_or_else(|| malformed("is too short"))?;
        let id = rest.get(..usize::from(*id_len)).filter(|id| BranchId::is_valid(id));
        let branch_id = id.and_then(|id| std::str::from_utf8(id).ok()).ok_or_else(|| malformed("has no branch id"))?;
        let (_, version) = head.split_last_chunk().ok_or_else(|| malformed("is too short"))?;
        let mut body = &bytes[head.len()..];
        let salt = take(&mut body, SALT_LEN)?;
        let iv = take(&mut body, IV_LEN)?.try_into().map_err(|_| malformed("is too short"))?;
        let data_key = take(&mut body, DATA_KEY_LEN)?;
        let tag = take(&mut body, TAG_LEN)?;
        let has_blob = !body.is_empty();
        if has_blob != (form == BranchForm::Embedded) {
            return Err(malformed("has a branch key in the form without one, or none in the other form"));
        }
        Ok(Self {
            form,
            branch_id,
            version: BranchVersion::from_bytes(*version),
            blob: body,
            head,
            salt,
            iv,
            data_key,
            tag,
        })
    }

    /// The data key, if it was wrapped under this branch key and for this binding.
    pub fn unwrap(&self, branch_key: &BranchSecret, binding: Binding<'_>) -> Result<Secret> {
        let mut data_key = Secret::zeroed(DATA_KEY_LEN)?;
        let key = derive(branch_key, self.salt)?;
        let aad = additional_data(self.head, binding)?;
        if !key.open(self.iv, &aad, self.data_key, self.tag, data_key.expose_mut()) {
            let message = format!(
                "the data key under branch {} is not authentic: it was changed, or is of another branch key, CMK or context",
                self.branch_id
            );
            return Err(Error::new(Status::HeaderNotAuthentic, message));
        }
        Ok(data_key)
    }
}

/// The branch key that wraps, and its name in a message.
pub(crate) struct BranchKeyName<'a> {
    pub form: BranchForm,
    pub branch_id: &'a BranchId,
    pub version: &'a BranchVersion,
    pub blob: &'a str,
}

/// Wraps a data key with its own salt and IV.
pub(crate) fn wrap(
    name: &BranchKeyName<'_>,
    key: &BranchSecret,
    binding: Binding<'_>,
    data_key: &Secret,
) -> Result<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    random::fill(&mut nonce)?;
    wrap_with(name, key, binding, data_key, &nonce)
}

/// Makes a data key and wraps it. All random bytes are drawn at once, which is one call of the system.
pub(crate) fn wrap_new(
    name: &BranchKeyName<'_>,
    key: &BranchSecret,
    binding: Binding<'_>,
) -> Result<(Secret, Vec<u8>)> {
    let mut drawn = Secret::zeroed(DATA_KEY_LEN + NONCE_LEN)?;
    random::fill(drawn.expose_mut())?;
    let (_, nonce) = drawn.expose().split_last_chunk().ok_or_else(|| internal("a nonce is salt and IV"))?;
    let nonce = *nonce;
    drawn.truncate(DATA_KEY_LEN);
    let wrapped = wrap_with(name, key, binding, &drawn, &nonce)?;
    Ok((drawn, wrapped))
}

/// `nonce` is salt and IV, which must never have been used with the branch key.
fn wrap_with(
    name: &BranchKeyName<'_>,
    branch_key: &BranchSecret,
    binding: Binding<'_>,
    data_key: &Secret,
    nonce: &[u8; NONCE_LEN],
) -> Result<Vec<u8>> {
    let id = name.branch_id.as_str().as_bytes();
    let blob = if name.form == BranchForm::Embedded { name.blob.as_bytes() } else { b"" };
    let wrapping_len = NONCE_LEN + DATA_KEY_LEN + TAG_LEN;
    let mut wrapped = Vec::with_capacity(2 + id.len() + BranchVersion::LEN + wrapping_len + blob.len());
    wrapped.extend_from_slice(&[name.form as u8, id.len() as u8]);
    wrapped.extend_from_slice(id);
    wrapped.extend_from_slice(name.version.bytes());
    let aad = additional_data(&wrapped, binding)?;
    wrapped.extend_from_slice(nonce);
    let (salt, iv) = nonce.split_at(SALT_LEN);
    let iv = iv.try_into().map_err(|_| internal("a nonce is salt and IV"))?;
    let (mut sealed, mut tag) = ([0; DATA_KEY_LEN], [0; TAG_LEN]);
    if data_key.len() != DATA_KEY_LEN {
        return Err(internal("a branch key wraps data keys of 32 bytes"));
    }
    derive(branch_key, salt)?.seal(iv, &aad, data_key.expose(), &mut sealed, &mut tag)?;
    wrapped.extend_from_slice(&sealed);
    wrapped.extend_from_slice(&tag);
    wrapped.extend_from_slice(blob);
    Ok(wrapped)
}

/// The label, the CMK, the branch and its version, and the context.
fn additional_data(head: &[u8], binding: Binding<'_>) -> Result<Vec<u8>> {
    let label = TENCENT_KMS_HIERARCHY_PROVIDER_ID.as_bytes();
    let mut data = Vec::with_capacity(label.len() + 2 + binding.provider_info.len() + head.len() + 256);
    data.extend_from_slice(label);
    push_part(&mut data, binding.provider_info, |_| internal("the provider info is too long"))?;
    data.extend_from_slice(head);
    binding.context.write(&mut data)?;
    Ok(data)
}

/// The key that wraps one data key: SP 800-108 in counter mode with HMAC-SHA-256, of which one block is taken.
fn derive(branch_key: &BranchSecret, salt: &[u8]) -> Result<ContentKey> {
    let key = derive_leaving_copies(branch_key, salt);
    zeroize_stack::<DERIVATION_STACK>();
    key
}

/// Not a part of its caller, whose part of the stack stays in use.
#[inline(never)]
fn derive_leaving_copies(branch_key: &BranchSecret, salt: &[u8]) -> Result<ContentKey> {
    const COUNTER: [u8; 4] = 1_u32.to_be_bytes();
    const BITS: [u8; 4] = 256_u32.to_be_bytes();
    let mut block = hmac::Context::with_key(&branch_key.0);
    for part in [&COUNTER, TENCENT_KMS_HIERARCHY_PROVIDER_ID.as_bytes(), &[0], salt, &BITS] {
        block.update(part);
    }
    let mut key = Zeroizing::new([0; BRANCH_KEY_LEN]);
    key.copy_from_slice(block.sign().as_ref());
    ContentKey::new(&AES_256_GCM, &key[..])
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8]> {
    let (part, rest) = bytes.split_at_checked(len).ok_or_else(|| malformed("is too short"))?;
    *bytes = rest;
    Ok(part)
}

fn malformed(reason: &str) -> Error {
    Error::new(Status::MalformedMessage, format!("a wrapped key of {TENCENT_KMS_HIERARCHY_PROVIDER_ID} {reason}"))
}

fn internal(message: &str) -> Error {
    Error::new(Status::Internal, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::hex;

    const INFO: &[u8] = b"ap-guangzhou/93866e69-9755-11ef-8e65-52540089bc41";
    const VERSION: &str = "83eec007-5659-4554-bf11-699b90f41ac6";
    const BLOB: &str = "Q0lQSEVSVEVYVEJMT0I=";

    fn count(first: u8, len: u8) -> Vec<u8> {
        (first..first + len).collect()
    }

    fn secret(first: u8) -> Secret {
        Secret::copy_of(&count(first, 32)).unwrap()
    }

    fn branch(first: u8) -> Arc<BranchSecret> {
        BranchSecret::new(&secret(first))
    }

    fn wrapped(form: BranchForm, context: &Context) -> Vec<u8> {
        let (branch_id, version) = (BranchId::new("orders").unwrap(), BranchVersion::parse(VERSION).unwrap());
        let name = BranchKeyName { form, branch_id: &branch_id, version: &version, blob: BLOB };
        let nonce = [count(0x10, 16), count(0x20, 12)].concat().try_into().unwrap();
        wrap_with(&name, &branch(0), Binding { provider_info: INFO, context }, &secret(0x40), &nonce).unwrap()
    }

    fn context() -> Context {
        Context::from_pairs([("tenant", "t1")])
    }

    #[test]
    fn what_is_wrapped_is_unwrapped() {
        for (form, blob) in [(BranchForm::Embedded, BLOB), (BranchForm::ByReference, "")] {
            for context in [Context::default(), context()] {
                let bytes = wrapped(form, &context);
                let parsed = BranchWrapped::parse(&bytes).unwrap();
                assert_eq!((parsed.form, parsed.branch_id, parsed.blob), (form, "orders", blob.as_bytes()));
                assert_eq!(parsed.version.to_string(), VERSION);
                let binding = Binding { provider_info: INFO, context: &context };
                assert_eq!(parsed.unwrap(&branch(0), binding).unwrap().expose(), count(0x40, 32));
                let other_info = Binding { provider_info: b"ap-guangzhou/1", context: &context };
                let other_context = Context::from_pairs([("tenant", "t2")]);
                let other_context = Binding { provider_info: INFO, context: &other_context };
                for refused in [
                    parsed.unwrap(&branch(1), binding),
                    parsed.unwrap(&branch(0), other_info),
                    parsed.unwrap(&branch(0), other_context),
                ] {
                    assert_eq!(refused.err().unwrap().status(), Status::HeaderNotAuthentic);
                }
            }
        }
    }

    /// The vectors of docs/sealing.md, which tests/interop/branch_vectors.py computes as well.
    #[test]
    fn the_vectors_come_out_byte_by_byte() {
        const EMBEDDED: &str = "01066f726465727383eec00756594554bf11699b90f41ac6101112131415161718191a1b1c1d1e1f202122232425262728292a2b7a8e7e995eed95d9f5534372657b1faccd64b60aca3f0e9fde230b9392c21c75662a5c8887cb312d22fe81b27d70aec551306c51534556535645565956454a4d5430493d";
        const BY_REFERENCE: &str = "02066f726465727383eec00756594554bf11699b90f41ac6101112131415161718191a1b1c1d1e1f202122232425262728292a2b7a8e7e995eed95d9f5534372657b1faccd64b60aca3f0e9fde230b9392c21c750cc286d0044e1d61b852776216b30c43";
        for (form, expected) in [(BranchForm::Embedded, EMBEDDED), (BranchForm::ByReference, BY_REFERENCE)] {
            assert_eq!(hex(&wrapped(form, &context())), expected);
        }
    }

    /// Only the blob is not covered: it must be that of the branch key.
    #[test]
    fn every_changed_bit_and_every_cut_is_refused() {
        let context = context();
        let binding = Binding { provider_info: INFO, context: &context };
        for (form, blob_len) in [(BranchForm::Embedded, BLOB.len()), (BranchForm::ByReference, 0)] {
            let bytes = wrapped(form, &context);
            let opens =
                |bytes: &[u8]| BranchWrapped::parse(bytes).and_then(|parsed| parsed.unwrap(&branch(0), binding));
            for bit in 0..8 * (bytes.len() - blob_len) {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(opens(&changed).is_err(), "bit {bit}");
            }
            for len in 0..=bytes.len() - blob_len {
                let is_whole = len == bytes.len();
                assert_eq!(opens(&bytes[..len]).is_ok(), is_whole, "{len} bytes");
            }
        }
    }

    #[test]
    fn a_form_has_its_blob_or_none() {
        let context = context();
        let embedded = wrapped(BranchForm::Embedded, &context);
        assert!(BranchWrapped::parse(&embedded[..embedded.len() - BLOB.len()]).is_err());
        let referring = wrapped(BranchForm::ByReference, &context);
        assert!(BranchWrapped::parse(&[&referring[..], b"x"].concat()).is_err());
    }
}
