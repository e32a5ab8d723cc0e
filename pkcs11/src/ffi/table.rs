//! The function tables of 2.40 and 3.0, made from one list, and the interfaces that return them.

use std::ffi::CStr;
use std::ptr;

use cryptoki_sys::*;

use super::crypto::*;
use super::general::*;
use super::guard::call;
use super::memory::{read, write};
use super::objects::*;
use super::sessions::*;
use super::unsupported::*;

/// Defines both tables, which the compiler checks for completeness, and the list of exported functions.
macro_rules! tables {
    (since 2.40: $($old:ident)* ; since 3.0: $($new:ident)*) => {
        static FUNCTIONS_2_40: CK_FUNCTION_LIST =
            CK_FUNCTION_LIST { version: VERSION_2_40, $($old: Some($old)),* };
        static FUNCTIONS_3_0: CK_FUNCTION_LIST_3_0 =
            CK_FUNCTION_LIST_3_0 { version: VERSION_3_0, $($old: Some($old),)* $($new: Some($new)),* };

        /// Every function that the module exports.
        pub const FUNCTIONS: &[&str] = &[$(stringify!($old),)* $(stringify!($new)),*];
    };
}

/// The versions of the interfaces, in their order.
const VERSIONS: [CK_VERSION; 2] = [VERSION_3_0, VERSION_2_40];
const VERSION_2_40: CK_VERSION = CK_VERSION { major: 2, minor: 40 };
const VERSION_3_0: CK_VERSION = CK_VERSION { major: 3, minor: 0 };

tables! {
    since 2.40:
        C_Initialize
        C_Finalize
        C_GetInfo
        C_GetFunctionList
        C_GetSlotList
        C_GetSlotInfo
        C_GetTokenInfo
        C_GetMechanismList
        C_GetMechanismInfo
        C_InitToken
        C_InitPIN
        C_SetPIN
        C_OpenSession
        C_CloseSession
        C_CloseAllSessions
        C_GetSessionInfo
        C_GetOperationState
        C_SetOperationState
        C_Login
        C_Logout
        C_CreateObject
        C_CopyObject
        C_DestroyObject
        C_GetObjectSize
        C_GetAttributeValue
        C_SetAttributeValue
        C_FindObjectsInit
        C_FindObjects
        C_FindObjectsFinal
        C_EncryptInit
        C_Encrypt
        C_EncryptUpdate
        C_EncryptFinal
        C_DecryptInit
        C_Decrypt
        C_DecryptUpdate
        C_DecryptFinal
        C_DigestInit
        C_Digest
        C_DigestUpdate
        C_DigestKey
        C_DigestFinal
        C_SignInit
        C_Sign
        C_SignUpdate
        C_SignFinal
        C_SignRecoverInit
        C_SignRecover
        C_VerifyInit
        C_Verify
        C_VerifyUpdate
        C_VerifyFinal
        C_VerifyRecoverInit
        C_VerifyRecover
        C_DigestEncryptUpdate
        C_DecryptDigestUpdate
        C_SignEncryptUpdate
        C_DecryptVerifyUpdate
        C_GenerateKey
        C_GenerateKeyPair
        C_WrapKey
        C_UnwrapKey
        C_DeriveKey
        C_SeedRandom
        C_GenerateRandom
        C_GetFunctionStatus
        C_CancelFunction
        C_WaitForSlotEvent
    ;
    since 3.0:
        C_GetInterfaceList
        C_GetInterface
        C_LoginUser
        C_SessionCancel
        C_MessageEncryptInit
        C_EncryptMessage
        C_EncryptMessageBegin
        C_EncryptMessageNext
        C_MessageEncryptFinal
        C_MessageDecryptInit
        C_DecryptMessage
        C_DecryptMessageBegin
        C_DecryptMessageNext
        C_MessageDecryptFinal
        C_MessageSignInit
        C_SignMessage
        C_SignMessageBegin
        C_SignMessageNext
        C_MessageSignFinal
        C_MessageVerifyInit
        C_VerifyMessage
        C_VerifyMessageBegin
        C_VerifyMessageNext
        C_MessageVerifyFinal
}

/// The name of the standard interface.
const STANDARD: &CStr = c"PKCS 11";

/// The interfaces, the preferred one first. They are fork-safe.
fn interfaces() -> [CK_INTERFACE; 2] {
    let interface = |table: *const std::ffi::c_void| CK_INTERFACE {
        pInterfaceName: STANDARD.as_ptr().cast_mut().cast(),
        pFunctionList: table.cast_mut(),
        flags: CKF_INTERFACE_FORK_SAFE,
    };
    [interface((&raw const FUNCTIONS_3_0).cast()), interface((&raw const FUNCTIONS_2_40).cast())]
}

/// Interfaces with a static address. They are never written.
struct Interfaces([CK_INTERFACE; 2]);

// SAFETY: its pointers point to constants.
unsafe impl Sync for Interfaces {}
// SAFETY: as above.
unsafe impl Send for Interfaces {}

static INTERFACES: std::sync::OnceLock<Interfaces> = std::sync::OnceLock::new();

fn static_interfaces() -> &'static [CK_INTERFACE; 2] {
    &INTERFACES.get_or_init(|| Interfaces(interfaces())).0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    call("C_GetFunctionList", || {
        // SAFETY: the standard.
        unsafe { write(list, (&raw const FUNCTIONS_2_40).cast_mut()) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetInterfaceList(interfaces: *mut CK_INTERFACE, count: *mut CK_ULONG) -> CK_RV {
    call("C_GetInterfaceList", || {
        let known = static_interfaces();
        // SAFETY: the standard.
        let capacity = unsafe { read(count)? };
        // SAFETY: as above.
        unsafe { write(count, known.len() as CK_ULONG)? };
        if interfaces.is_null() {
            return Ok(());
        }
        if capacity < known.len() as CK_ULONG {
            return Err(CKR_BUFFER_TOO_SMALL);
        }
        for (index, interface) in known.iter().enumerate() {
            // SAFETY: the standard: the array has `capacity` elements.
            unsafe { write(interfaces.add(index), *interface)? };
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetInterface(
    name: *mut CK_UTF8CHAR,
    version: *mut CK_VERSION,
    interface: *mut *mut CK_INTERFACE,
    flags: CK_FLAGS,
) -> CK_RV {
    call("C_GetInterface", || {
        // SAFETY: the standard: NULL or a string.
        if !name.is_null() && unsafe { CStr::from_ptr(name.cast()) } != STANDARD {
            return Err(CKR_ARGUMENTS_BAD);
        }
        // SAFETY: the standard: NULL or a version.
        let wanted = if version.is_null() { None } else { Some(unsafe { read(version)? }) };
        let fits =
            |known: &CK_VERSION| wanted.is_none_or(|wanted| (known.major, known.minor) == (wanted.major, wanted.minor));
        let found = VERSIONS.iter().position(fits).filter(|_| flags & !CKF_INTERFACE_FORK_SAFE == 0);
        let index = found.ok_or(CKR_ARGUMENTS_BAD)?;
        // SAFETY: the standard.
        unsafe { write(interface, ptr::from_ref(&static_interfaces()[index]).cast_mut()) }
    })
}
