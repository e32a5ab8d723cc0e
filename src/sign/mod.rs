//! Asymmetric keys, offline: algorithms, digests, public keys, encodings of signatures,
//! local verification and encryption. The calls of the service are in
//! [`Client`](crate::Client).

mod algorithm;
mod digest;
mod ecdsa_signature;
mod key_purpose;
mod public_key;
mod public_key_cache;
mod sm2_key;

pub use algorithm::{RsaPadding, SignatureAlgorithm};
pub use digest::{Digest, DigestContext};
pub use ecdsa_signature::{raw_from_der, raw_to_der};
pub use key_purpose::KeyPurpose;
pub(crate) use public_key::check_digest_len;
pub use public_key::{KeyType, PublicKey};
pub(crate) use public_key_cache::PublicKeyCache;
pub use sm2_key::DEFAULT_USER_ID as SM2_DEFAULT_USER_ID;
