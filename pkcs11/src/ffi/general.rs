//! Initialisation, and the information about the module, its slots, tokens and mechanisms.

use std::ffi::{CStr, c_char, c_void};

use cryptoki_sys::*;

use super::guard::{call, call_module};
use super::memory::{read, write, write_list};
use crate::error::Result;
use crate::mechanism::{self, MECHANISMS};
use crate::module;

/// The maximal length of the string that C_Initialize takes.
const INIT_STRING_MAX: usize = 64 * 1024;

/// The lowest address at which a string can be.
const FIRST_PAGE_END: usize = 4096;

const MANUFACTURER: &str = "Tencent Cloud KMS (tckms)";
const LIBRARY: &str = "tckms PKCS#11 module";
const SLOT: &str = "Tencent Cloud KMS";
const MODEL: &str = "KMS";
const LIBRARY_VERSION: CK_VERSION =
    CK_VERSION { major: number(env!("CARGO_PKG_VERSION_MAJOR")), minor: number(env!("CARGO_PKG_VERSION_MINOR")) };
/// The API of the service has a date instead of a version number.
const HARDWARE_VERSION: CK_VERSION = CK_VERSION { major: 1, minor: 0 };
const PIN_LEN_MAX: CK_ULONG = 256;

const fn number(text: &str) -> u8 {
    let (bytes, mut value, mut index) = (text.as_bytes(), 0, 0);
    while index < bytes.len() {
        value = value * 10 + (bytes[index] - b'0');
        index += 1;
    }
    value
}

/// Text in a field of fixed size, padded with blanks.
fn padded<const N: usize>(text: &str) -> [CK_UTF8CHAR; N] {
    let mut field = [b' '; N];
    let mut len = text.len().min(N);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    field[..len].copy_from_slice(&text.as_bytes()[..len]);
    field
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_Initialize(arguments: *mut c_void) -> CK_RV {
    call("C_Initialize", || {
        if arguments.is_null() {
            return module::initialize(None);
        }
        // SAFETY: the standard: NULL or CK_C_INITIALIZE_ARGS.
        let arguments = unsafe { read(arguments.cast::<CK_C_INITIALIZE_ARGS>())? };
        check_locking(&arguments)?;
        // SAFETY: NULL or a string; docs/pkcs11.md.
        module::initialize(unsafe { init_string(arguments.pReserved.cast())? })
    })
}

/// Checks what the program allows: the module uses the locks of the operating system, and creates threads.
fn check_locking(arguments: &CK_C_INITIALIZE_ARGS) -> Result<()> {
    let callbacks = [
        arguments.CreateMutex.is_some(),
        arguments.DestroyMutex.is_some(),
        arguments.LockMutex.is_some(),
        arguments.UnlockMutex.is_some(),
    ];
    let given = callbacks.iter().filter(|given| **given).count();
    match given {
        0 | 4 => {}
        _ => return Err(CKR_ARGUMENTS_BAD),
    }
    let may_lock = arguments.flags & CKF_OS_LOCKING_OK != 0;
    // p11-kit, and with it every program that uses GnuTLS, always sets both flags. It has threads, and the module's own thread
    // does not disturb it: it runs no code of the program and receives no signal.
    if arguments.flags & CKF_LIBRARY_CANT_CREATE_OS_THREADS != 0 && !may_lock {
        return Err(CKR_NEED_TO_CREATE_THREADS);
    }
    if given == 4 && !may_lock {
        return Err(CKR_CANT_LOCK);
    }
    Ok(())
}

/// # Safety
///
/// `text` is NULL or a string that lives as long as the result.
unsafe fn init_string<'a>(text: *const c_char) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // Programs that treat the member as reserved may pass a number in it. Nothing is mapped at so low an address.
    if text.addr() < FIRST_PAGE_END {
        return Err(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: the caller's guarantee.
    let text = unsafe { CStr::from_ptr(text) };
    if text.count_bytes() > INIT_STRING_MAX {
        return Err(CKR_ARGUMENTS_BAD);
    }
    text.to_str().map(Some).map_err(|_| CKR_ARGUMENTS_BAD)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_Finalize(reserved: *mut c_void) -> CK_RV {
    call("C_Finalize", || if reserved.is_null() { module::finalize() } else { Err(CKR_ARGUMENTS_BAD) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetInfo(info: *mut CK_INFO) -> CK_RV {
    call_module("C_GetInfo", |_| {
        if info.is_null() {
            return Err(CKR_ARGUMENTS_BAD);
        }
        // Zeroed first, then member by member: pkcs11-provider compares the bytes of the structure in parent and child, including
        // the padding.
        // SAFETY: the standard: `info` may be written.
        unsafe {
            info.cast::<u8>().write_bytes(0, size_of::<CK_INFO>());
            (&raw mut (*info).cryptokiVersion).write_unaligned(CK_VERSION { major: 2, minor: 40 });
            (&raw mut (*info).manufacturerID).write_unaligned(padded(MANUFACTURER));
            (&raw mut (*info).libraryDescription).write_unaligned(padded(LIBRARY));
            (&raw mut (*info).libraryVersion).write_unaligned(LIBRARY_VERSION);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetSlotList(_with_token: CK_BBOOL, slots: *mut CK_SLOT_ID, count: *mut CK_ULONG) -> CK_RV {
    call_module("C_GetSlotList", |module| {
        let ids: Vec<CK_SLOT_ID> = (0..module.slot_count() as CK_SLOT_ID).collect();
        // SAFETY: the standard.
        unsafe { write_list(slots, count, &ids) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetSlotInfo(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO) -> CK_RV {
    call_module("C_GetSlotInfo", |module| {
        let (_, token) = module.slot(slot)?;
        let result = CK_SLOT_INFO {
            slotDescription: padded(&format!("{SLOT}, {}", token.client().region())),
            manufacturerID: padded(MANUFACTURER),
            flags: CKF_TOKEN_PRESENT,
            hardwareVersion: HARDWARE_VERSION,
            firmwareVersion: LIBRARY_VERSION,
        };
        // SAFETY: the standard.
        unsafe { write(info, result) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetTokenInfo(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) -> CK_RV {
    call_module("C_GetTokenInfo", |module| {
        let (index, token) = module.slot(slot)?;
        let (sessions, writing) = module.sessions().count(index);
        let result = CK_TOKEN_INFO {
            label: padded(token.label()),
            manufacturerID: padded(MANUFACTURER),
            model: padded(MODEL),
            serialNumber: padded(token.serial()),
            // No CKF_LOGIN_REQUIRED: OpenSSH lists keys without a PIN. No CKF_WRITE_PROTECTED: Oracle's TDE refuses such a
            // token. CKF_USER_PIN_INITIALIZED: libp11 refuses a token without it.
            flags: CKF_RNG | CKF_USER_PIN_INITIALIZED | CKF_TOKEN_INITIALIZED,
            ulMaxSessionCount: CK_EFFECTIVELY_INFINITE,
            ulSessionCount: sessions as CK_ULONG,
            ulMaxRwSessionCount: CK_EFFECTIVELY_INFINITE,
            ulRwSessionCount: writing as CK_ULONG,
            ulMaxPinLen: PIN_LEN_MAX,
            ulMinPinLen: 0,
            ulTotalPublicMemory: CK_UNAVAILABLE_INFORMATION,
            ulFreePublicMemory: CK_UNAVAILABLE_INFORMATION,
            ulTotalPrivateMemory: CK_UNAVAILABLE_INFORMATION,
            ulFreePrivateMemory: CK_UNAVAILABLE_INFORMATION,
            hardwareVersion: HARDWARE_VERSION,
            firmwareVersion: LIBRARY_VERSION,
            utcTime: padded(""),
        };
        // SAFETY: the standard.
        unsafe { write(info, result) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetMechanismList(
    slot: CK_SLOT_ID,
    mechanisms: *mut CK_MECHANISM_TYPE,
    count: *mut CK_ULONG,
) -> CK_RV {
    call_module("C_GetMechanismList", |module| {
        module.slot(slot)?;
        let kinds: Vec<CK_MECHANISM_TYPE> = MECHANISMS.iter().map(|mechanism| mechanism.kind).collect();
        // SAFETY: the standard.
        unsafe { write_list(mechanisms, count, &kinds) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetMechanismInfo(
    slot: CK_SLOT_ID,
    kind: CK_MECHANISM_TYPE,
    info: *mut CK_MECHANISM_INFO,
) -> CK_RV {
    call_module("C_GetMechanismInfo", |module| {
        if info.is_null() {
            return Err(CKR_ARGUMENTS_BAD);
        }
        let (_, token) = module.slot(slot)?;
        let result = mechanism::find(kind).ok_or(CKR_MECHANISM_INVALID)?.info(token.allows_p384());
        let result =
            CK_MECHANISM_INFO { ulMinKeySize: result.min_bits, ulMaxKeySize: result.max_bits, flags: result.flags };
        // SAFETY: the standard.
        unsafe { write(info, result) }
    })
}

/// Tokens are never inserted or removed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_WaitForSlotEvent(flags: CK_FLAGS, _slot: *mut CK_SLOT_ID, _reserved: *mut c_void) -> CK_RV {
    call_module("C_WaitForSlotEvent", |_| {
        Err(if flags & CKF_DONT_BLOCK != 0 { CKR_NO_EVENT } else { CKR_FUNCTION_NOT_SUPPORTED })
    })
}
