//! Sessions and login.

use std::ffi::c_void;

use cryptoki_sys::*;

use super::guard::{call_module, call_session};
use super::memory::{bytes, write};
use crate::error::Result;
use crate::session::OperationKind;

/// Ignores the application's pointer and callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_OpenSession(
    slot: CK_SLOT_ID,
    flags: CK_FLAGS,
    _application: *mut c_void,
    _notify: CK_NOTIFY,
    session: *mut CK_SESSION_HANDLE,
) -> CK_RV {
    call_module("C_OpenSession", |module| {
        if session.is_null() {
            return Err(CKR_ARGUMENTS_BAD);
        }
        let handle = module.open_session(slot, flags)?;
        // SAFETY: the standard.
        unsafe { write(session, handle) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_CloseSession(session: CK_SESSION_HANDLE) -> CK_RV {
    call_module("C_CloseSession", |module| module.close_session(session))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_CloseAllSessions(slot: CK_SLOT_ID) -> CK_RV {
    call_module("C_CloseAllSessions", |module| module.close_all_sessions(slot))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetSessionInfo(handle: CK_SESSION_HANDLE, info: *mut CK_SESSION_INFO) -> CK_RV {
    call_module("C_GetSessionInfo", |module| {
        let session = module.sessions().get(handle)?;
        let state = match (session.read_write, module.is_logged_in(&session)) {
            (false, false) => CKS_RO_PUBLIC_SESSION,
            (false, true) => CKS_RO_USER_FUNCTIONS,
            (true, false) => CKS_RW_PUBLIC_SESSION,
            (true, true) => CKS_RW_USER_FUNCTIONS,
        };
        let flags = CKF_SERIAL_SESSION | if session.read_write { CKF_RW_SESSION } else { 0 };
        let result = CK_SESSION_INFO { slotID: session.slot as CK_SLOT_ID, state, flags, ulDeviceError: 0 };
        // SAFETY: the standard.
        unsafe { write(info, result) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_Login(
    session: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    pin: *mut CK_UTF8CHAR,
    pin_len: CK_ULONG,
) -> CK_RV {
    call_module("C_Login", |module| {
        // SAFETY: the standard. The PIN is not used.
        unsafe { check_pin(pin, pin_len)? };
        module.login(&*module.sessions().get(session)?, user)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_LoginUser(
    session: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    pin: *mut CK_UTF8CHAR,
    pin_len: CK_ULONG,
    name: *mut CK_UTF8CHAR,
    name_len: CK_ULONG,
) -> CK_RV {
    call_module("C_LoginUser", |module| {
        // SAFETY: the standard. Neither is used.
        unsafe {
            check_pin(pin, pin_len)?;
            check_pin(name, name_len)?;
        }
        module.login(&*module.sessions().get(session)?, user)
    })
}

/// # Safety
///
/// As [`bytes`].
unsafe fn check_pin(pin: *const CK_UTF8CHAR, len: CK_ULONG) -> Result<()> {
    // SAFETY: the caller's guarantee.
    unsafe { bytes(pin, len) }.map(|_| ())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_Logout(session: CK_SESSION_HANDLE) -> CK_RV {
    call_module("C_Logout", |module| module.logout(&*module.sessions().get(session)?))
}

/// Ends the operations that the flags name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_SessionCancel(session: CK_SESSION_HANDLE, flags: CK_FLAGS) -> CK_RV {
    const KINDS: [(CK_FLAGS, OperationKind); 6] = [
        (CKF_FIND_OBJECTS, OperationKind::Find),
        (CKF_SIGN, OperationKind::Sign),
        (CKF_VERIFY, OperationKind::Verify),
        (CKF_ENCRYPT, OperationKind::Encrypt),
        (CKF_DECRYPT, OperationKind::Decrypt),
        (CKF_DIGEST, OperationKind::Digest),
    ];
    call_session("C_SessionCancel", session, |session| {
        KINDS.iter().filter(|(flag, _)| flags & flag != 0).for_each(|(_, kind)| session.end(*kind));
        Ok(())
    })
}
