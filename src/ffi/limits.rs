//! Limits, as macros and as functions: a program may be compiled with one version and run with
//! another.

/// Maximum length of a plaintext for tckms_encrypt(), in bytes (Encrypt page of the KMS API: "up to
/// 4 KB").
pub const TCKMS_PLAINTEXT_MAX: usize = 4096;
/// Maximum length of an encryption context, in characters (Encrypt page of the KMS API: "up to 1,024
/// characters").
pub const TCKMS_ENCRYPTION_CONTEXT_MAX: usize = 1024;
/// Maximum number of bytes of tckms_generate_data_key() and tckms_generate_random() (GenerateRandom
/// page of the KMS API).
pub const TCKMS_RANDOM_MAX: usize = 1024;
/// Maximum length of a key id, in characters. Those of the service have 36.
pub const TCKMS_KEY_ID_MAX: usize = 128;
/// Maximum length of a CiphertextBlob, in characters. That of a plaintext of 4096 bytes has about
/// 5600.
pub const TCKMS_CIPHERTEXT_BLOB_MAX: usize = 65536;

/// Maximum number of threads of tckms_seal_fd() and tckms_open_fd().
pub const TCKMS_THREADS_MAX: u32 = 256;

/// TCKMS_PLAINTEXT_MAX of the running library.
///
/// @return  Bytes.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_plaintext_max() -> usize {
    crate::PLAINTEXT_MAX
}

/// TCKMS_ENCRYPTION_CONTEXT_MAX of the running library.
///
/// @return  Characters.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_encryption_context_max() -> usize {
    crate::ENCRYPTION_CONTEXT_MAX
}

/// TCKMS_RANDOM_MAX of the running library.
///
/// @return  Bytes.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_random_max() -> usize {
    crate::RANDOM_MAX
}

/// TCKMS_KEY_ID_MAX of the running library.
///
/// @return  Characters.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_key_id_max() -> usize {
    crate::KEY_ID_MAX
}

/// TCKMS_CIPHERTEXT_BLOB_MAX of the running library.
///
/// @return  Characters.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_ciphertext_blob_max() -> usize {
    crate::CIPHERTEXT_BLOB_MAX
}

/// TCKMS_THREADS_MAX of the running library.
///
/// @return  Threads.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_threads_max() -> u32 {
    crate::seal::THREADS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_and_functions_agree() {
        assert_eq!(tckms_plaintext_max(), TCKMS_PLAINTEXT_MAX);
        assert_eq!(tckms_encryption_context_max(), TCKMS_ENCRYPTION_CONTEXT_MAX);
        assert_eq!(tckms_random_max(), TCKMS_RANDOM_MAX);
        assert_eq!(tckms_key_id_max(), TCKMS_KEY_ID_MAX);
        assert_eq!(tckms_ciphertext_blob_max(), TCKMS_CIPHERTEXT_BLOB_MAX);
        assert_eq!(tckms_threads_max(), TCKMS_THREADS_MAX);
    }
}
