//! The usage of a key.

/// The usage of a CMK (docs/kms-service.md, "Values").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUsage {
    EncryptDecrypt,
    DecryptRsa2048,
    DecryptSm2,
    SignSm2,
    SignP256,
    SignRsa2048,
    SignP384,
    /// The names of the post-quantum usages are guesses.
    PostQuantumEncrypt,
    PostQuantumSign,
}

impl KeyUsage {
    pub const ALL: [Self; 9] = [
        Self::EncryptDecrypt,
        Self::DecryptRsa2048,
        Self::DecryptSm2,
        Self::SignSm2,
        Self::SignP256,
        Self::SignRsa2048,
        Self::SignP384,
        Self::PostQuantumEncrypt,
        Self::PostQuantumSign,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::EncryptDecrypt => "ENCRYPT_DECRYPT",
            Self::DecryptRsa2048 => "ASYMMETRIC_DECRYPT_RSA_2048",
            Self::DecryptSm2 => "ASYMMETRIC_DECRYPT_SM2",
            Self::SignSm2 => "ASYMMETRIC_SIGN_VERIFY_SM2",
            Self::SignP256 => "ASYMMETRIC_SIGN_VERIFY_ECC",
            Self::SignRsa2048 => "ASYMMETRIC_SIGN_VERIFY_RSA_2048",
            Self::SignP384 => "ASYMMETRIC_SIGN_VERIFY_ECDSA384",
            Self::PostQuantumEncrypt => "POST_QUANTUM_ENCRYPT_DECRYPT",
            Self::PostQuantumSign => "POST_QUANTUM_SIGN_VERIFY",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|usage| usage.name() == name)
    }
}
