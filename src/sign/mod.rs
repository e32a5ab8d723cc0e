//! Asymmetric keys without a network: algorithms, digests, public keys, encodings of signatures, local verification and
//! encryption. What the service has to do is in [`Client`](crate::Client).

mod algorithm;
mod digest;
mod ecdsa_signature;
mod public_key;
mod sm2_key;

pub use algorithm::{RsaPadding, SignatureAlgorithm};
pub use digest::{Digest, DigestContext};
pub use ecdsa_signature::{raw_from_der, raw_to_der};
pub use public_key::{KeyType, PublicKey};
pub use sm2_key::DEFAULT_USER_ID as SM2_DEFAULT_USER_ID;
pub(crate) use sm2_key::USER_ID_MAX as SM2_USER_ID_MAX;
