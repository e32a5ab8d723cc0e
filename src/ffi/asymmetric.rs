//! Signing, verifying, encrypting and decrypting with asymmetric CMKs.

use std::ffi::{c_char, c_int, c_void};

use super::arguments::{bytes, handle, handle_mut, handle_out, optional_bytes, text};
use super::buffer::tckms_buffer;
use super::client::tckms_client;
use super::guard::{guard, guard_request};
use super::handle;
use crate::client::{Decrypted, Signature, Signer};
use crate::error::{Error, Result};
use crate::sign::{self, RsaPadding, SignatureAlgorithm};
use crate::status::Status;

/// Signature algorithm: the one of the key; for RSA keys, which have two, PSS.
pub const TCKMS_SIGN_DEFAULT: c_int = 0;
/// Signature algorithm: ECDSA on P-256 with SHA-256.
pub const TCKMS_SIGN_ECDSA_P256_SHA256: c_int = 1;
/// Signature algorithm: ECDSA on P-384 with SHA-384. The service documents such keys, but not how
/// they sign. If it accepts only digests of 32 bytes, as documented, then messages of up to 4096
/// bytes can be signed, and longer ones and digests of SHA-384 are TCKMS_ERR_INVALID_PARAMETER.
pub const TCKMS_SIGN_ECDSA_P384_SHA384: c_int = 2;
/// Signature algorithm: RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes.
pub const TCKMS_SIGN_RSA_PSS_SHA256: c_int = 3;
/// Signature algorithm: RSASSA-PKCS1-v1_5 with SHA-256.
pub const TCKMS_SIGN_RSA_PKCS1_SHA256: c_int = 4;
/// Signature algorithm: SM2 with SM3 (GB/T 32918).
pub const TCKMS_SIGN_SM2_SM3: c_int = 5;

/// RSA padding: OAEP with SHA-256, MGF1 with SHA-256 and an empty label.
pub const TCKMS_RSA_OAEP_SHA256: c_int = 1;
/// RSA padding: OAEP with SHA-1, MGF1 with SHA-1 and an empty label.
pub const TCKMS_RSA_OAEP_SHA1: c_int = 2;
/// RSA padding: PKCS#1 v1.5. Only for peers that support nothing else. If a peer can find out
/// whether decryption failed, from the program's reply or its timing, it can decrypt messages
/// (Bleichenbacher's attack).
pub const TCKMS_RSA_PKCS1_V1_5: c_int = 3;

/// A streaming signer: it signs a message that is passed in several chunks.
///
/// A signer is used by one thread at a time. It keeps the client's connections and callbacks alive;
/// the client may be freed before it.
pub struct tckms_signer(Option<Signer>);

/// Gets the public key of an asymmetric CMK, as a SubjectPublicKeyInfo in DER (RFC 5280).
///
/// A client fetches each key once and caches it, because a CMK's public key never changes. The
/// service returns it only while the CMK is enabled; a client that has it keeps it.
///
/// @param client    The client.
/// @param key_id    An asymmetric CMK.
/// @param spki_der  The key. Free it with tckms_buffer_free().
/// @return          TCKMS_OK or any status; see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_public_key(
    client: *const tckms_client,
    key_id: *const c_char,
    spki_der: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id) =
            unsafe { (tckms_buffer::out(spki_der, "spki_der")?, handle(client, "client")?, text(key_id, "key_id")?) };
        out.fill(client.0.public_key(key_id)?.spki())
    })
}

/// Gets the public key of an asymmetric CMK in PEM (RFC 7468), as tckms_public_key() does in DER.
///
/// @param client  The client.
/// @param key_id  An asymmetric CMK.
/// @param pem     The key, as text of several lines. Free it with tckms_buffer_free().
/// @return        TCKMS_OK or any status; see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_public_key_pem(
    client: *const tckms_client,
    key_id: *const c_char,
    pem: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id) =
            unsafe { (tckms_buffer::out(pem, "pem")?, handle(client, "client")?, text(key_id, "key_id")?) };
        out.fill(client.0.public_key(key_id)?.pem().as_bytes())
    })
}

/// Signs a message of any size with a key that never leaves KMS.
///
/// The message is hashed locally, and only its digest is sent. The signature is verified with the
/// public key before it is returned; if it is wrong, the call returns TCKMS_ERR_SIGNATURE_INVALID.
/// The first call for a key also fetches its public key.
///
/// @param client     The client.
/// @param key_id     An asymmetric CMK that signs.
/// @param algorithm  A TCKMS_SIGN_ constant, or 0 for the key's algorithm.
/// @param msg        The message. It may be empty.
/// @param len        Any number of bytes.
/// @param signature  DER for ECDSA and SM2, whichever encoding the service sends; 256 bytes for RSA.
///                   Free it with tckms_buffer_free().
/// @return           TCKMS_OK, TCKMS_ERR_UNKNOWN_ALGORITHM, TCKMS_ERR_ALGORITHM_NOT_ALLOWED,
///                   TCKMS_ERR_INVALID_KEY_USAGE, TCKMS_ERR_SIGNATURE_INVALID or any status; see the
///                   chapter on errors.
///
/// SM2 signs with the user id "1234567812345678"; for another one see tckms_signer_new(). Blocks
/// until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_sign(
    client: *const tckms_client,
    key_id: *const c_char,
    algorithm: c_int,
    msg: *const c_void,
    len: usize,
    signature: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id, message) = unsafe {
            (
                tckms_buffer::out(signature, "signature")?,
                handle(client, "client")?,
                text(key_id, "key_id")?,
                bytes(msg, len, "msg")?,
            )
        };
        deliver(client.0.sign(key_id, signature_algorithm(algorithm)?, message)?, out)
    })
}

/// Signs a digest that the program computed; otherwise like tckms_sign().
///
/// @param client     The client.
/// @param key_id     An asymmetric CMK that signs.
/// @param algorithm  A TCKMS_SIGN_ constant, or 0 for the key's algorithm.
/// @param digest     The digest. For SM2 it is the one of tckms_sm2_digest(), not the plain SM3 of
///                   the message.
/// @param len        32 bytes; 48 for TCKMS_SIGN_ECDSA_P384_SHA384.
/// @param signature  As for tckms_sign().
/// @return           As for tckms_sign(), and TCKMS_ERR_INVALID_LENGTH.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_sign_digest(
    client: *const tckms_client,
    key_id: *const c_char,
    algorithm: c_int,
    digest: *const c_void,
    len: usize,
    signature: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id, digest) = unsafe {
            (
                tckms_buffer::out(signature, "signature")?,
                handle(client, "client")?,
                text(key_id, "key_id")?,
                bytes(digest, len, "digest")?,
            )
        };
        deliver(client.0.sign_digest(key_id, signature_algorithm(algorithm)?, digest)?, out)
    })
}

/// Verifies a signature of a message locally, with the public key: no request is sent once that and
/// the usage of the CMK are known.
///
/// The first call that works locally with a key also fetches its usage, with DescribeKey, because
/// only this shows that the key can sign; the client caches it. If the identity may not describe the
/// CMK, the call relies on the type of the public key alone: keys on P-256 and P-384 sign, and those
/// of RSA and SM2 are then accepted whatever they are for.
///
/// @param client         The client.
/// @param key_id         An asymmetric CMK that signs.
/// @param algorithm      A TCKMS_SIGN_ constant, or 0 for the key's algorithm.
/// @param msg            The message.
/// @param len            Any number of bytes.
/// @param signature      The signature. For ECDSA and SM2, DER or r and s concatenated.
/// @param signature_len  Its length in bytes.
/// @return               TCKMS_OK when the signature is valid; TCKMS_ERR_SIGNATURE_INVALID when it
///                       is not valid or malformed; TCKMS_ERR_INVALID_KEY_USAGE for a key that
///                       decrypts; TCKMS_ERR_UNKNOWN_ALGORITHM, TCKMS_ERR_ALGORITHM_NOT_ALLOWED or
///                       any status of tckms_public_key() and tckms_describe_key().
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_verify(
    client: *const tckms_client,
    key_id: *const c_char,
    algorithm: c_int,
    msg: *const c_void,
    len: usize,
    signature: *const c_void,
    signature_len: usize,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (client, key_id, message, signature) = unsafe {
            (
                handle(client, "client")?,
                text(key_id, "key_id")?,
                bytes(msg, len, "msg")?,
                bytes(signature, signature_len, "signature")?,
            )
        };
        client.0.verify(key_id, signature_algorithm(algorithm)?, message, signature)
    })
}

/// Verifies a signature of a digest; otherwise like tckms_verify().
///
/// @param client         The client.
/// @param key_id         An asymmetric CMK that signs.
/// @param algorithm      A TCKMS_SIGN_ constant, or 0 for the key's algorithm.
/// @param digest         The digest, as for tckms_sign_digest().
/// @param len            32 bytes; 48 for TCKMS_SIGN_ECDSA_P384_SHA384.
/// @param signature      The signature, as for tckms_verify().
/// @param signature_len  Its length in bytes.
/// @return               As for tckms_verify(), and TCKMS_ERR_INVALID_LENGTH.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_verify_digest(
    client: *const tckms_client,
    key_id: *const c_char,
    algorithm: c_int,
    digest: *const c_void,
    len: usize,
    signature: *const c_void,
    signature_len: usize,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (client, key_id, digest, signature) = unsafe {
            (
                handle(client, "client")?,
                text(key_id, "key_id")?,
                bytes(digest, len, "digest")?,
                bytes(signature, signature_len, "signature")?,
            )
        };
        client.0.verify_digest(key_id, signature_algorithm(algorithm)?, digest, signature)
    })
}

/// Computes the digest that SM2 signs: SM3 over the hash of the signer's user id and public key, and
/// the message. The usage of the key is checked as by tckms_verify().
///
/// @param client           The client.
/// @param key_id           An SM2 key that signs.
/// @param user_id_or_null  The signer's id, or NULL for "1234567812345678".
/// @param user_id_len      At most 8191 bytes; 0 with NULL.
/// @param msg              The message.
/// @param len              Any number of bytes.
/// @param digest           32 bytes. Free it with tckms_buffer_free().
/// @return                 TCKMS_OK, TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_ALGORITHM_NOT_ALLOWED,
///                         TCKMS_ERR_INVALID_KEY_USAGE or any status of tckms_public_key() and
///                         tckms_describe_key().
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_sm2_digest(
    client: *const tckms_client,
    key_id: *const c_char,
    user_id_or_null: *const c_void,
    user_id_len: usize,
    msg: *const c_void,
    len: usize,
    digest: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id, user_id, message) = unsafe {
            (
                tckms_buffer::out(digest, "digest")?,
                handle(client, "client")?,
                text(key_id, "key_id")?,
                optional_bytes(user_id_or_null, user_id_len, "user_id_or_null")?,
                bytes(msg, len, "msg")?,
            )
        };
        out.fill(client.0.sm2_digest(key_id, user_id, message)?.as_ref())
    })
}

/// Creates a signer for a message that is passed in several chunks. The usage of the key is checked
/// as by tckms_verify(), so that a key that decrypts is refused before the message is read.
///
/// @param client               The client. It may be freed before the signer.
/// @param key_id               An asymmetric CMK that signs. Copied.
/// @param algorithm            A TCKMS_SIGN_ constant, or 0 for the key's algorithm.
/// @param sm2_user_id_or_null  For SM2: the signer's id, or NULL for "1234567812345678". Ignored for
///                             other keys.
/// @param sm2_user_id_len      At most 8191 bytes; 0 with NULL.
/// @param out                  The signer, owned by the caller, who frees it with
///                             tckms_signer_free(). NULL on failure.
/// @return                     TCKMS_OK, TCKMS_ERR_UNKNOWN_ALGORITHM,
///                             TCKMS_ERR_ALGORITHM_NOT_ALLOWED, TCKMS_ERR_INVALID_LENGTH,
///                             TCKMS_ERR_INVALID_KEY_USAGE or any status of tckms_public_key() and
///                             tckms_describe_key().
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_signer_new(
    client: *const tckms_client,
    key_id: *const c_char,
    algorithm: c_int,
    sm2_user_id_or_null: *const c_void,
    sm2_user_id_len: usize,
    out: *mut *mut tckms_signer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id, user_id) = unsafe {
            (
                handle_out(out, "out")?,
                handle(client, "client")?,
                text(key_id, "key_id")?,
                optional_bytes(sm2_user_id_or_null, sm2_user_id_len, "sm2_user_id_or_null")?,
            )
        };
        let signer = client.0.signer(key_id, signature_algorithm(algorithm)?, user_id)?;
        handle::publish(tckms_signer(Some(signer)), out)
    })
}

/// Adds the next bytes of the message.
///
/// @param signer  The signer.
/// @param buf     The bytes.
/// @param len     Any number of bytes.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH, or
///                TCKMS_ERR_INVALID_STATE after tckms_signer_finish().
///
/// Sends nothing.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_signer_update(signer: *mut tckms_signer, buf: *const c_void, len: usize) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (signer, bytes) = unsafe { (handle_mut(signer, "signer")?, bytes(buf, len, "buf")?) };
        signer.0.as_mut().ok_or_else(finished)?.update(bytes);
        Ok(())
    })
}

/// Signs all bytes added. Afterwards the signer can only be freed, even if this fails.
///
/// @param signer     The signer.
/// @param signature  As for tckms_sign().
/// @return           As for tckms_sign(); TCKMS_ERR_INVALID_STATE for a second call.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_signer_finish(signer: *mut tckms_signer, signature: *mut tckms_buffer) -> Status {
    guard_request(|| {
        // SAFETY: "Handles" and "Outputs" in the header.
        let (out, signer) = unsafe { (tckms_buffer::out(signature, "signature"), handle_mut(signer, "signer")?) };
        // First, because a signer is finished by every call, also without an output.
        let signer = signer.0.take().ok_or_else(finished)?;
        let out = out?;
        deliver(signer.finish()?, out)
    })
}

/// Frees a signer. Without tckms_signer_finish() there is no signature.
///
/// @param signer  NULL, which is harmless, or a signer from tckms_signer_new().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_signer_free(signer: *mut tckms_signer) {
    // SAFETY: "Handles" in the header.
    unsafe { handle::free(signer) };
}

/// Converts a signature of ECDSA or SM2 from DER to r and s, concatenated, as JWT and PKCS#11 need
/// it.
///
/// @param signature  The signature in DER.
/// @param len        Its length in bytes.
/// @param raw_len    The length of r and s together: 64 for P-256 and SM2, 96 for P-384.
/// @param raw        r and s, with leading zeros. Free it with tckms_buffer_free().
/// @return           TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH for `raw_len`, or
///                   TCKMS_ERR_SIGNATURE_INVALID when it is not the DER of two numbers of at most
///                   that length.
///
/// Sends nothing.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_signature_to_raw(
    signature: *const c_void,
    len: usize,
    raw_len: usize,
    raw: *mut tckms_buffer,
) -> Status {
    guard(|| {
        // SAFETY: "Strings and buffers" and "Outputs" in the header.
        let (out, signature) = unsafe { (tckms_buffer::out(raw, "raw")?, bytes(signature, len, "signature")?) };
        out.fill(&sign::raw_from_der(signature, raw_len)?)
    })
}

/// Converts r and s, concatenated, to a signature in DER, the reverse of tckms_signature_to_raw().
///
/// @param raw        r and s, each half of the length.
/// @param len        An even number of bytes, 2 to 132.
/// @param signature  The signature in DER. Free it with tckms_buffer_free().
/// @return           TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_LENGTH.
///
/// Sends nothing.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_signature_from_raw(
    raw: *const c_void,
    len: usize,
    signature: *mut tckms_buffer,
) -> Status {
    guard(|| {
        // SAFETY: "Strings and buffers" and "Outputs" in the header.
        let (out, raw) = unsafe { (tckms_buffer::out(signature, "signature")?, bytes(raw, len, "raw")?) };
        out.fill(&sign::raw_to_der(raw)?)
    })
}

/// Encrypts a small secret under an RSA key locally, with its public key: no request is sent once
/// that and the usage of the CMK are known. The usage is checked as by tckms_verify(), because
/// nothing can decrypt what is encrypted under a key that signs.
///
/// @param client      The client.
/// @param key_id      An asymmetric CMK of usage ASYMMETRIC_DECRYPT_RSA_2048.
/// @param padding     A TCKMS_RSA_ constant.
/// @param buf         The plaintext.
/// @param len         At most 190 bytes with TCKMS_RSA_OAEP_SHA256, 214 with TCKMS_RSA_OAEP_SHA1,
///                    245 with TCKMS_RSA_PKCS1_V1_5.
/// @param ciphertext  256 bytes. Free it with tckms_buffer_free().
/// @return            TCKMS_OK, TCKMS_ERR_UNKNOWN_ALGORITHM, TCKMS_ERR_ALGORITHM_NOT_ALLOWED,
///                    TCKMS_ERR_INVALID_KEY_USAGE, TCKMS_ERR_PLAINTEXT_TOO_LARGE or any status of
///                    tckms_public_key() and tckms_describe_key().
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_rsa_encrypt(
    client: *const tckms_client,
    key_id: *const c_char,
    padding: c_int,
    buf: *const c_void,
    len: usize,
    ciphertext: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id, plaintext) = unsafe {
            (
                tckms_buffer::out(ciphertext, "ciphertext")?,
                handle(client, "client")?,
                text(key_id, "key_id")?,
                bytes(buf, len, "buf")?,
            )
        };
        out.fill(&client.0.rsa_encrypt(key_id, rsa_padding(padding)?, plaintext)?)
    })
}

/// Decrypts a ciphertext that was encrypted under an RSA key.
///
/// Every failure to decrypt has the same status. Read the warning at TCKMS_RSA_PKCS1_V1_5 before you
/// use that padding.
///
/// @param client      The client.
/// @param key_id      An asymmetric CMK of usage ASYMMETRIC_DECRYPT_RSA_2048.
/// @param padding     The TCKMS_RSA_ constant of the encryption.
/// @param ciphertext  The ciphertext.
/// @param len         256 bytes.
/// @param out         The plaintext, which may have no bytes. Free it with tckms_buffer_free(),
///                    which wipes it.
/// @return            TCKMS_OK, TCKMS_ERR_UNKNOWN_ALGORITHM, TCKMS_ERR_INVALID_LENGTH,
///                    TCKMS_ERR_DECRYPTION_FAILED or any status; see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_rsa_decrypt(
    client: *const tckms_client,
    key_id: *const c_char,
    padding: c_int,
    ciphertext: *const c_void,
    len: usize,
    out: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id, ciphertext) = unsafe {
            (
                tckms_buffer::out(out, "out")?,
                handle(client, "client")?,
                text(key_id, "key_id")?,
                bytes(ciphertext, len, "ciphertext")?,
            )
        };
        deliver_plaintext(client.0.rsa_decrypt(key_id, rsa_padding(padding)?, ciphertext)?, out)
    })
}

/// Decrypts a ciphertext that was encrypted under an SM2 key.
///
/// @param client      The client.
/// @param key_id      An asymmetric CMK of usage ASYMMETRIC_DECRYPT_SM2.
/// @param ciphertext  C1, C3 and C2 in ASN.1 DER (GB/T 35276).
/// @param len         1 to 256 bytes.
/// @param out         The plaintext. Free it with tckms_buffer_free(), which wipes it.
/// @return            TCKMS_OK, TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_DECRYPTION_FAILED or any status;
///                    see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_sm2_decrypt(
    client: *const tckms_client,
    key_id: *const c_char,
    ciphertext: *const c_void,
    len: usize,
    out: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id, ciphertext) = unsafe {
            (
                tckms_buffer::out(out, "out")?,
                handle(client, "client")?,
                text(key_id, "key_id")?,
                bytes(ciphertext, len, "ciphertext")?,
            )
        };
        deliver_plaintext(client.0.sm2_decrypt(key_id, ciphertext)?, out)
    })
}

fn deliver(signature: Signature, out: &mut tckms_buffer) -> Result<()> {
    out.fill(&signature.bytes)
}

fn deliver_plaintext(decrypted: Decrypted, out: &mut tckms_buffer) -> Result<()> {
    out.fill(decrypted.plaintext.expose())?;
    Ok(())
}

/// None for [`TCKMS_SIGN_DEFAULT`].
pub(super) fn signature_algorithm(number: c_int) -> Result<Option<SignatureAlgorithm>> {
    Ok(Some(match number {
        TCKMS_SIGN_DEFAULT => return Ok(None),
        TCKMS_SIGN_ECDSA_P256_SHA256 => SignatureAlgorithm::EcdsaP256Sha256,
        TCKMS_SIGN_ECDSA_P384_SHA384 => SignatureAlgorithm::EcdsaP384Sha384,
        TCKMS_SIGN_RSA_PSS_SHA256 => SignatureAlgorithm::RsaPssSha256,
        TCKMS_SIGN_RSA_PKCS1_SHA256 => SignatureAlgorithm::RsaPkcs1Sha256,
        TCKMS_SIGN_SM2_SM3 => SignatureAlgorithm::Sm2Sm3,
        other => return Err(unknown_algorithm("signature algorithm", other, "0 and the TCKMS_SIGN_ constants")),
    }))
}

pub(super) fn rsa_padding(number: c_int) -> Result<RsaPadding> {
    match number {
        TCKMS_RSA_OAEP_SHA256 => Ok(RsaPadding::OaepSha256),
        TCKMS_RSA_OAEP_SHA1 => Ok(RsaPadding::OaepSha1),
        TCKMS_RSA_PKCS1_V1_5 => Ok(RsaPadding::Pkcs1V15),
        other => Err(unknown_algorithm("RSA padding", other, "the TCKMS_RSA_ constants")),
    }
}

fn unknown_algorithm(what: &str, number: c_int, allowed: &str) -> Error {
    Error::new(Status::UnknownAlgorithm, format!("the {what} is {number}, {allowed} are allowed"))
}

fn finished() -> Error {
    Error::new(Status::InvalidState, "the signer is finished and can only be freed")
}
