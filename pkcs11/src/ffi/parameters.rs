//! Converts mechanisms and their parameters.

use std::mem::size_of;

use cryptoki_sys::*;

use super::memory::read;
use crate::error::Result;
use crate::mechanism::{Parameters, Request};

/// The mechanism that the program requests.
///
/// # Safety
///
/// `mechanism` is NULL or points to a mechanism whose parameter is NULL or has the length that the mechanism says.
pub unsafe fn request(mechanism: *const CK_MECHANISM) -> Result<Request> {
    // SAFETY: the caller's guarantee.
    let mechanism = unsafe { read(mechanism)? };
    // SAFETY: as above.
    let parameters = unsafe { parameters(&mechanism) };
    Ok(Request { kind: mechanism.mechanism, parameters })
}

/// # Safety
///
/// As [`request`].
unsafe fn parameters(mechanism: &CK_MECHANISM) -> Parameters {
    let (pointer, len) = (mechanism.pParameter, usize::try_from(mechanism.ulParameterLen).unwrap_or(usize::MAX));
    match mechanism.mechanism {
        _ if pointer.is_null() && len == 0 => Parameters::None,
        _ if pointer.is_null() => Parameters::Unexpected,
        CKM_RSA_PKCS_PSS | CKM_SHA256_RSA_PKCS_PSS if len == size_of::<CK_RSA_PKCS_PSS_PARAMS>() => {
            // SAFETY: the caller's guarantee; the length is that of the structure.
            let pss = unsafe { pointer.cast::<CK_RSA_PKCS_PSS_PARAMS>().read_unaligned() };
            Parameters::Pss { hash: pss.hashAlg, mgf: pss.mgf, salt_len: pss.sLen }
        }
        CKM_RSA_PKCS_OAEP if len == size_of::<CK_RSA_PKCS_OAEP_PARAMS>() => {
            // SAFETY: as above.
            let oaep = unsafe { pointer.cast::<CK_RSA_PKCS_OAEP_PARAMS>().read_unaligned() };
            let label_len = if oaep.pSourceData.is_null() { 0 } else { oaep.ulSourceDataLen };
            Parameters::Oaep { hash: oaep.hashAlg, mgf: oaep.mgf, source: oaep.source, label_len }
        }
        // A pointer with the length 0 is no parameter.
        _ if len == 0 => Parameters::None,
        _ => Parameters::Unexpected,
    }
}
