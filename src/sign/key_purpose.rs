//! What an asymmetric CMK is for, as its `KeyUsage` says (docs/kms-service.md, "Values").

use super::public_key::{KeyType, PublicKey};
use crate::error::{Error, Result};
use crate::sanitize::quoted_up_to;
use crate::status::Status;

/// What a CMK does with its private key. None does both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyPurpose {
    /// It signs; its public key verifies.
    Sign,
    /// It decrypts; its public key encrypts.
    Decrypt,
}

const SIGNS: &str = "ASYMMETRIC_SIGN_VERIFY_";
const DECRYPTS: &str = "ASYMMETRIC_DECRYPT_";
/// The usages whose type of key is documented.
const TYPES: [(&str, KeyType); 6] = [
    ("ASYMMETRIC_SIGN_VERIFY_ECC", KeyType::P256),
    ("ASYMMETRIC_SIGN_VERIFY_ECDSA384", KeyType::P384),
    ("ASYMMETRIC_SIGN_VERIFY_RSA_2048", KeyType::Rsa2048),
    ("ASYMMETRIC_SIGN_VERIFY_SM2", KeyType::Sm2),
    ("ASYMMETRIC_DECRYPT_RSA_2048", KeyType::Rsa2048),
    ("ASYMMETRIC_DECRYPT_SM2", KeyType::Sm2),
];

impl KeyPurpose {
    /// The purpose of a CMK with this usage and public key; `None` if the usage says nothing about it. A public key of
    /// another type than the usage has is not the one of this CMK.
    pub(crate) fn of_usage(usage: &str, key: &PublicKey) -> Result<Option<Self>> {
        let expected = TYPES.iter().find(|(known, _)| *known == usage).map(|(_, key_type)| *key_type);
        if usage == "ENCRYPT_DECRYPT" || expected.is_some_and(|expected| expected != key.key_type()) {
            let (found, usage) = (key.key_type().name(), quoted_up_to(usage, 64));
            let message = format!("the public key is {found}, which does not fit the key's usage {usage}");
            return Err(Error::new(Status::ResponseMalformed, message));
        }
        let purposes = [(SIGNS, Self::Sign), (DECRYPTS, Self::Decrypt)];
        Ok(purposes.into_iter().find(|(prefix, _)| usage.starts_with(prefix)).map(|(_, purpose)| purpose))
    }

    /// Refuses a key that is known to be for the other purpose.
    pub(crate) fn check(self, of_key: Option<Self>) -> Result<()> {
        let message = match (of_key, self) {
            (Some(Self::Decrypt), Self::Sign) => "the key can only decrypt, and this needs a key that signs",
            (Some(Self::Sign), Self::Decrypt) => "the key can only sign, and this needs a key that decrypts",
            _ => return Ok(()),
        };
        Err(Error::new(Status::InvalidKeyUsage, message))
    }
}
