//! Signatures, encryption, digests and random numbers.

use cryptoki_sys::*;

use super::guard::{call_ending, call_session};
use super::memory::{OutputBuffer, bytes};
use super::parameters::request;
use crate::session::OperationKind;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_SignInit(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    call_session("C_SignInit", session, |session| {
        if mechanism.is_null() {
            session.end(OperationKind::Sign);
            return Ok(());
        }
        // SAFETY: the standard.
        session.sign_init(&unsafe { request(mechanism)? }, key)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_Sign(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_len: CK_ULONG,
    signature: *mut CK_BYTE,
    signature_len: *mut CK_ULONG,
) -> CK_RV {
    call_ending("C_Sign", session, OperationKind::Sign, |session| {
        // SAFETY: the standard.
        let (data, output) = unsafe { (bytes(data, data_len)?, OutputBuffer::new(signature, signature_len)?) };
        output.write(session.sign(data, output.capacity())?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_SignUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG) -> CK_RV {
    call_ending("C_SignUpdate", session, OperationKind::Sign, |session| {
        // SAFETY: the standard.
        session.sign_update(unsafe { bytes(part, part_len)? })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_SignFinal(
    session: CK_SESSION_HANDLE,
    signature: *mut CK_BYTE,
    signature_len: *mut CK_ULONG,
) -> CK_RV {
    call_ending("C_SignFinal", session, OperationKind::Sign, |session| {
        // SAFETY: the standard.
        let output = unsafe { OutputBuffer::new(signature, signature_len)? };
        output.write(session.sign_final(output.capacity())?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_VerifyInit(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    call_session("C_VerifyInit", session, |session| {
        if mechanism.is_null() {
            session.end(OperationKind::Verify);
            return Ok(());
        }
        // SAFETY: the standard.
        session.verify_init(&unsafe { request(mechanism)? }, key)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_Verify(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_len: CK_ULONG,
    signature: *mut CK_BYTE,
    signature_len: CK_ULONG,
) -> CK_RV {
    call_ending("C_Verify", session, OperationKind::Verify, |session| {
        // SAFETY: the standard.
        let (data, signature) = unsafe { (bytes(data, data_len)?, bytes(signature, signature_len)?) };
        session.verify(data, signature)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_VerifyUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG) -> CK_RV {
    call_ending("C_VerifyUpdate", session, OperationKind::Verify, |session| {
        // SAFETY: the standard.
        session.verify_update(unsafe { bytes(part, part_len)? })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_VerifyFinal(
    session: CK_SESSION_HANDLE,
    signature: *mut CK_BYTE,
    signature_len: CK_ULONG,
) -> CK_RV {
    call_ending("C_VerifyFinal", session, OperationKind::Verify, |session| {
        // SAFETY: the standard.
        session.verify_final(unsafe { bytes(signature, signature_len)? })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_EncryptInit(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    call_session("C_EncryptInit", session, |session| {
        if mechanism.is_null() {
            session.end(OperationKind::Encrypt);
            return Ok(());
        }
        // SAFETY: the standard.
        session.encrypt_init(&unsafe { request(mechanism)? }, key)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_Encrypt(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_len: CK_ULONG,
    encrypted: *mut CK_BYTE,
    encrypted_len: *mut CK_ULONG,
) -> CK_RV {
    call_ending("C_Encrypt", session, OperationKind::Encrypt, |session| {
        // SAFETY: the standard.
        let (data, output) = unsafe { (bytes(data, data_len)?, OutputBuffer::new(encrypted, encrypted_len)?) };
        output.write(session.encrypt(data, output.capacity())?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_DecryptInit(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    call_session("C_DecryptInit", session, |session| {
        if mechanism.is_null() {
            session.end(OperationKind::Decrypt);
            return Ok(());
        }
        // SAFETY: the standard.
        session.decrypt_init(&unsafe { request(mechanism)? }, key)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_Decrypt(
    session: CK_SESSION_HANDLE,
    encrypted: *mut CK_BYTE,
    encrypted_len: CK_ULONG,
    data: *mut CK_BYTE,
    data_len: *mut CK_ULONG,
) -> CK_RV {
    call_ending("C_Decrypt", session, OperationKind::Decrypt, |session| {
        // SAFETY: the standard.
        let (encrypted, output) = unsafe { (bytes(encrypted, encrypted_len)?, OutputBuffer::new(data, data_len)?) };
        output.write(session.decrypt(encrypted, output.capacity())?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_DigestInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM) -> CK_RV {
    call_session("C_DigestInit", session, |session| {
        if mechanism.is_null() {
            session.end(OperationKind::Digest);
            return Ok(());
        }
        // SAFETY: the standard.
        session.digest_init(&unsafe { request(mechanism)? })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_Digest(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_len: CK_ULONG,
    digest: *mut CK_BYTE,
    digest_len: *mut CK_ULONG,
) -> CK_RV {
    call_ending("C_Digest", session, OperationKind::Digest, |session| {
        // SAFETY: the standard.
        let (data, output) = unsafe { (bytes(data, data_len)?, OutputBuffer::new(digest, digest_len)?) };
        output.write(session.digest(data, output.capacity())?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_DigestUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG) -> CK_RV {
    call_ending("C_DigestUpdate", session, OperationKind::Digest, |session| {
        // SAFETY: the standard.
        session.digest_update(unsafe { bytes(part, part_len)? })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_DigestFinal(
    session: CK_SESSION_HANDLE,
    digest: *mut CK_BYTE,
    digest_len: *mut CK_ULONG,
) -> CK_RV {
    call_ending("C_DigestFinal", session, OperationKind::Digest, |session| {
        // SAFETY: the standard.
        let output = unsafe { OutputBuffer::new(digest, digest_len)? };
        output.write(session.digest_final(output.capacity())?)
    })
}

/// Ignores the seed: the generator of the operating system needs none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_SeedRandom(session: CK_SESSION_HANDLE, seed: *mut CK_BYTE, seed_len: CK_ULONG) -> CK_RV {
    call_session("C_SeedRandom", session, |_| {
        // SAFETY: the standard. The seed is not used.
        unsafe { bytes(seed, seed_len) }.map(|_| ())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GenerateRandom(
    session: CK_SESSION_HANDLE,
    random: *mut CK_BYTE,
    random_len: CK_ULONG,
) -> CK_RV {
    call_session("C_GenerateRandom", session, |session| {
        // SAFETY: the standard: `random` points to `random_len` bytes.
        unsafe { super::memory::fill(random, random_len, |bytes| session.token().fill_random(bytes)) }
    })
}
