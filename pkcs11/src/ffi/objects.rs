//! Finding objects and reading their attributes.

use cryptoki_sys::*;

use super::guard::call_session;
use super::memory::{checked_count, read, template, write};
use crate::error::Result;
use crate::object::{Attribute, Object};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_FindObjectsInit(
    session: CK_SESSION_HANDLE,
    attributes: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    call_session("C_FindObjectsInit", session, |session| {
        // SAFETY: the standard.
        session.find_init(&unsafe { template(attributes, count)? })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_FindObjects(
    session: CK_SESSION_HANDLE,
    objects: *mut CK_OBJECT_HANDLE,
    max: CK_ULONG,
    count: *mut CK_ULONG,
) -> CK_RV {
    call_session("C_FindObjects", session, |session| {
        if count.is_null() || objects.is_null() && max > 0 {
            return Err(CKR_ARGUMENTS_BAD);
        }
        let found = session.find(usize::try_from(max).unwrap_or(usize::MAX))?;
        for (index, handle) in found.iter().enumerate() {
            // SAFETY: the standard: the array has `max` elements, and at most as many were found.
            unsafe { write(objects.add(index), *handle)? };
        }
        // SAFETY: the standard.
        unsafe { write(count, found.len() as CK_ULONG) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_FindObjectsFinal(session: CK_SESSION_HANDLE) -> CK_RV {
    call_session("C_FindObjectsFinal", session, |session| session.find_final())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetObjectSize(
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    size: *mut CK_ULONG,
) -> CK_RV {
    call_session("C_GetObjectSize", session, |session| {
        let object = session.token().object(object)?;
        // SAFETY: the standard.
        unsafe { write(size, object.size() as CK_ULONG) }
    })
}

/// Fills each attribute that can be filled, even if others of the template fail.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetAttributeValue(
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    attributes: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    call_session("C_GetAttributeValue", session, |session| {
        let count = checked_count(attributes, count)?;
        if attributes.is_null() {
            return Err(CKR_ARGUMENTS_BAD);
        }
        let object = session.token().object(object)?;
        let mut outcome = Ok(());
        for index in 0..count {
            // SAFETY: the standard: the template has `count` attributes, which may be written.
            if let Err(code) = unsafe { fill(&object, attributes.add(index)) } {
                outcome = Err(code);
            }
        }
        outcome
    })
}

/// # Safety
///
/// `attribute` points to an attribute, whose value is NULL or writable up to its length.
unsafe fn fill(object: &Object, attribute: *mut CK_ATTRIBUTE) -> Result<()> {
    // SAFETY: the caller's guarantee.
    let mut requested = unsafe { read(attribute)? };
    let (len, outcome) = match object.attribute(requested.type_) {
        Attribute::Sensitive => (CK_UNAVAILABLE_INFORMATION, Err(CKR_ATTRIBUTE_SENSITIVE)),
        Attribute::Unknown => (CK_UNAVAILABLE_INFORMATION, Err(CKR_ATTRIBUTE_TYPE_INVALID)),
        Attribute::Value(value) if requested.pValue.is_null() => (value.len() as CK_ULONG, Ok(())),
        Attribute::Value(value) if value.len() as CK_ULONG > requested.ulValueLen => {
            (CK_UNAVAILABLE_INFORMATION, Err(CKR_BUFFER_TOO_SMALL))
        }
        Attribute::Value(value) => {
            // SAFETY: the caller's guarantee; the value has no more bytes than the length says.
            unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), requested.pValue.cast(), value.len()) };
            (value.len() as CK_ULONG, Ok(()))
        }
    };
    requested.ulValueLen = len;
    // SAFETY: as above.
    unsafe { write(attribute, requested)? };
    outcome
}
