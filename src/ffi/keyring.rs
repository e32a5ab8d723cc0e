//! The keyring: which keys seal and open, and under which rules.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

use super::arguments::{bytes, handle, handle_mut, milliseconds, optional_text, text, timeout};
use super::client::tckms_client;
use super::custom_key::{custom_key, tckms_custom_key};
use super::extensible::{self, Extensible};
use super::guard::{guard, guard_infallible};
use super::handle;
use crate::error::{Error, Result};
use crate::seal::{CACHE_AGE_MAX, Cache, CacheLimits, CommitmentPolicy, Context, Keyring};
use crate::status::Status;

/// The keys that wrap the data keys of sealed messages, in order, and the rules for writing and
/// reading messages.
///
/// A keyring may be changed by one thread at a time. While no thread changes it, any number of
/// threads may seal and open with it at once. Streams copy it.
pub struct tckms_keyring(pub(super) Keyring);

/// CommitmentPolicy: messages that commit to one data key are opened, no others. The default.
pub const TCKMS_COMMITMENT_REQUIRED: c_int = 0;
/// CommitmentPolicy: messages of version 1 of the format, which commit to nothing, are opened as
/// well. None are ever written.
pub const TCKMS_COMMITMENT_NOT_REQUIRED_TO_OPEN: c_int = 1;

/// How long and how much a cached data key serves. A member that is 0 has its default.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct tckms_cache_limits {
    /// How old a data key that seals may become, in milliseconds. Default 300000, at most 86400000.
    pub seal_max_age_ms: i64,
    /// How long a data key that was unwrapped is kept, in milliseconds. Default 3600000, at most
    /// 86400000.
    pub open_max_age_ms: i64,
    /// How many messages a data key seals. Default 1048576, at most 4294967296.
    pub max_messages: u64,
    /// How many bytes of plaintext a data key seals. Default 1099511627776.
    pub max_bytes: u64,
    /// How many data keys are kept for sealing, and as many for opening; the one that was not used for
    /// the longest time goes first. Default 1000, at most 100000.
    pub max_entries: u64,
}

/// Makes a keyring without keys.
///
/// @return  The keyring, owned by the caller, who frees it with tckms_keyring_free(). NULL when
///          there is no memory; every function takes that and returns TCKMS_ERR_NULL_POINTER.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_keyring_new() -> *mut tckms_keyring {
    guard_infallible(ptr::null_mut(), || handle::publish_or_null(tckms_keyring(Keyring::new())))
}

/// Frees a keyring and wipes the data keys in its cache.
///
/// @param keyring  NULL, which is harmless, or a keyring from tckms_keyring_new(). Streams made with
///                 it go on working.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_free(keyring: *mut tckms_keyring) {
    // SAFETY: "Handles" in the header.
    unsafe { handle::free(keyring) };
}

/// Adds a CMK. The first key of a keyring makes the data key of a message, every further one wraps
/// it as well: add one for each region or account that has to be able to open the messages.
///
/// @param keyring  The keyring.
/// @param client   The client to reach the CMK with, in the CMK's region. It may be freed
///                 afterwards.
/// @param key_id   The CMK's key id, not an alias: 1 to 64 letters, digits and '-'. Messages store
///                 it, and an alias could be moved to another key; see CONVENTIONS. Copied.
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
///                 TCKMS_ERR_MALFORMED_KEY_ID.
///
/// Messages name the key as "<region>/<key id>". When a message is opened, only wrapped keys with a
/// name that was added are sent to the service, to the client's endpoint and with its credentials,
/// whatever else the message says.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_add_kms(
    keyring: *mut tckms_keyring,
    client: *const tckms_client,
    key_id: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (keyring, client, key_id) =
            unsafe { (handle_mut(keyring, "keyring")?, handle(client, "client")?, text(key_id, "key_id")?) };
        keyring.0.add_kms(&client.0, key_id)
    })
}

/// Adds the public half of an RSA key, which seals: the owner of the private half can open the
/// messages without the service. RSA-OAEP with SHA-256, as in the raw RSA keyring of the AWS
/// Encryption SDK.
///
/// @param keyring        The keyring.
/// @param key_namespace  1 to 512 ASCII characters that do not begin with "aws-kms". Copied.
/// @param key_name       1 to 512 bytes. With the namespace it is how a reader finds the key.
///                       Copied.
/// @param pem            A "PUBLIC KEY" in PEM form, RSA with 2048 to 8192 bits. Copied.
/// @param len            The number of bytes.
/// @return               TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
///                       TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_INVALID_KEY_NAME or
///                       TCKMS_ERR_INVALID_PEM.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_add_rsa_public_pem(
    keyring: *mut tckms_keyring,
    key_namespace: *const c_char,
    key_name: *const c_char,
    pem: *const c_void,
    len: usize,
) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard(|| unsafe { add_rsa(keyring, key_namespace, key_name, (pem, len), Keyring::add_rsa_public_pem) })
}

/// Adds the private half of an RSA key, which opens. It does not take part in sealing.
///
/// @param keyring        The keyring.
/// @param key_namespace  The namespace that the public half was added with. Copied.
/// @param key_name       The name that the public half was added with. Copied.
/// @param pem            A "PRIVATE KEY" or an "RSA PRIVATE KEY" in PEM form that is not encrypted,
///                       with 2048 to 8192 bits. Copied into memory that is wiped.
/// @param len            The number of bytes.
/// @return               As for tckms_keyring_add_rsa_public_pem().
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_add_rsa_private_pem(
    keyring: *mut tckms_keyring,
    key_namespace: *const c_char,
    key_name: *const c_char,
    pem: *const c_void,
    len: usize,
) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard(|| unsafe { add_rsa(keyring, key_namespace, key_name, (pem, len), Keyring::add_rsa_private_pem) })
}

/// Hands the parts of an RSA key to a method of the safe core.
///
/// # Safety
///
/// As for every function that takes a keyring, strings and bytes.
unsafe fn add_rsa(
    keyring: *mut tckms_keyring,
    key_namespace: *const c_char,
    key_name: *const c_char,
    (pem, len): (*const c_void, usize),
    add: fn(&mut Keyring, &str, &str, &[u8]) -> Result<()>,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let (keyring, namespace, name, pem) = unsafe {
        (
            handle_mut(keyring, "keyring")?,
            text(key_namespace, "key_namespace")?,
            text(key_name, "key_name")?,
            bytes(pem, len, "pem")?,
        )
    };
    add(&mut keyring.0, namespace, name, pem)
}

/// Adds a key of the program's own: an HSM, another key service, a test.
///
/// @param keyring  The keyring.
/// @param key      The callbacks. The struct is copied, and `provider_id` with it.
/// @param size     sizeof(tckms_custom_key).
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH,
///                 TCKMS_ERR_INVALID_UTF8 or TCKMS_ERR_INVALID_KEY_NAME. Unless it is TCKMS_OK, the
///                 destructor is not called.
///
/// The callbacks run on the threads that seal and open.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_add_custom(
    keyring: *mut tckms_keyring,
    key: *const tckms_custom_key,
    size: usize,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header; `key` points to `size` bytes, as the comment above demands.
        unsafe {
            let keyring = handle_mut(keyring, "keyring")?;
            keyring.0.add(custom_key(extensible::read(key, size, "key")?)?);
        }
        Ok(())
    })
}

/// Lets data keys serve more than one message, so that most messages need no request. Off by
/// default.
///
/// @param keyring         The keyring.
/// @param limits_or_null  How long and how much: a structure of zeros for the defaults. NULL: no
///                        cache from now on.
/// @param size            sizeof(tckms_cache_limits); ignored with NULL.
/// @return                TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH,
///                        TCKMS_ERR_UNKNOWN_OPTION or TCKMS_ERR_OUT_OF_RANGE.
///
/// A data key serves messages with the very same context only: a context with a value of its own for
/// each message makes the cache useless. Streams use it when their size or a bound was set. A key is
/// renewed before it is too old; while the service is unable, the old one is used until its age, and
/// never beyond. A forked child begins with an empty cache.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_cache(
    keyring: *mut tckms_keyring,
    limits_or_null: *const tckms_cache_limits,
    size: usize,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header; `limits_or_null` is NULL or points to `size` bytes, as the comment above demands.
        let (keyring, limits) = unsafe {
            (handle_mut(keyring, "keyring")?, extensible::read_optional(limits_or_null, size, "limits_or_null")?)
        };
        let cache = limits.map(|limits: tckms_cache_limits| Cache::new(limits.with_defaults()?)).transpose()?;
        keyring.0.set_cache(cache.map(Arc::new));
        Ok(())
    })
}

// SAFETY: numbers of one width.
unsafe impl Extensible for tckms_cache_limits {
    const NAME: &'static str = "tckms_cache_limits";
    const SIZES: &'static [usize] = &[size_of::<Self>()];
}

impl tckms_cache_limits {
    fn with_defaults(self) -> Result<CacheLimits> {
        let default = CacheLimits::default();
        let or = |value: u64, default: u64| if value == 0 { default } else { value };
        let age = |ms, default| {
            if ms == 0 { Ok(default) } else { milliseconds("age of cached data keys", ms, CACHE_AGE_MAX) }
        };
        Ok(CacheLimits {
            seal_max_age: age(self.seal_max_age_ms, default.seal_max_age)?,
            open_max_age: age(self.open_max_age_ms, default.open_max_age)?,
            max_messages: or(self.max_messages, default.max_messages),
            max_bytes: or(self.max_bytes, default.max_bytes),
            max_entries: usize::try_from(or(self.max_entries, default.max_entries as u64)).unwrap_or(usize::MAX),
        })
    }
}

/// Sets which messages are opened. Whatever the policy is, messages are written with a suite that
/// commits to its key.
///
/// @param keyring  The keyring.
/// @param policy   TCKMS_COMMITMENT_REQUIRED (default) or TCKMS_COMMITMENT_NOT_REQUIRED_TO_OPEN.
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_commitment_policy(keyring: *mut tckms_keyring, policy: c_int) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        let keyring = unsafe { handle_mut(keyring, "keyring")? };
        let policy = CommitmentPolicy::from_number(policy)
            .ok_or_else(|| Error::new(Status::OutOfRange, format!("the policy is {policy}, 0 and 1 are allowed")))?;
        keyring.0.set_policy(policy);
        Ok(())
    })
}

/// Sets whether messages are signed, for readers who must not be able to forge what they can open.
///
/// @param keyring  The keyring.
/// @param signing  0 (default): no. Anything else: with ECDSA on P-384, which makes sealing and
///                 opening much slower.
/// @return         TCKMS_OK or TCKMS_ERR_NULL_POINTER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_signing(keyring: *mut tckms_keyring, signing: c_int) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(keyring, "keyring")? }.0.set_signing(signing != 0);
        Ok(())
    })
}

/// Sets the length of the frames of new messages. A reader has to hold one frame in memory. Default
/// 65536.
///
/// @param keyring    The keyring.
/// @param frame_len  1 to 2147483647 bytes. Multiples of 128 suit all other software; above 16777216
///                   readers have to be told with tckms_keyring_set_max_frame_len().
/// @return           TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_frame_len(keyring: *mut tckms_keyring, frame_len: usize) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(keyring, "keyring")? }.0.set_frame_len(frame_len)
    })
}

/// Limits how many wrapped data keys a message may have, and so how many requests a message can
/// cause. Default 8.
///
/// @param keyring  The keyring.
/// @param count    1 to 65535.
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_max_wrapped_keys(keyring: *mut tckms_keyring, count: usize) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(keyring, "keyring")? }.0.set_max_wrapped_keys(count)
    })
}

/// Limits how many RSA operations a message can cause when it is opened with private keys of the
/// keyring. Default 2.
///
/// @param keyring  The keyring.
/// @param count    1 to 65535. Each takes a few milliseconds of a core, and more with longer keys.
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
///
/// Only keys with the name that a wrapped data key says are tried.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_max_rsa_operations(keyring: *mut tckms_keyring, count: usize) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(keyring, "keyring")? }.0.set_max_private_key_operations(count)
    })
}

/// Limits how long all key requests of one call take together: of tckms_seal(), tckms_open(),
/// tckms_seal_fd(), tckms_open_fd(), or one function of a stream. Default 30000.
///
/// @param keyring     The keyring.
/// @param timeout_ms  1 to 3600000 milliseconds.
/// @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
///
/// When a message is opened, each key that it names gets a part of the time, so that a region which
/// does not answer leaves time for the next one. The total timeout of a CMK's client also limits
/// each request. The time of a custom key's callback counts, but the library cannot interrupt it.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_total_timeout_ms(keyring: *mut tckms_keyring, timeout_ms: i64) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(keyring, "keyring")? }.0.set_total_timeout(timeout("total timeout", timeout_ms)?)
    })
}

/// Limits how long the header of a message may be that is opened. Default 524288.
///
/// @param keyring  The keyring.
/// @param len      1 to 1073741824 bytes.
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_max_header_len(keyring: *mut tckms_keyring, len: usize) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(keyring, "keyring")? }.0.set_max_header_len(len)
    })
}

/// Limits how long the frames of a message may be that is opened, and so how much memory a stream
/// needs. Default 16777216.
///
/// @param keyring  The keyring.
/// @param len      1 to 2147483647 bytes.
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_max_frame_len(keyring: *mut tckms_keyring, len: usize) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(keyring, "keyring")? }.0.set_max_frame_len(len)
    })
}

/// Limits how long a body without frames may be that is opened; none is written. Default 67108864.
///
/// @param keyring  The keyring.
/// @param len      1 to 68719476704 bytes. All of it has to be in memory.
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_max_unframed_len(keyring: *mut tckms_keyring, len: u64) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(keyring, "keyring")? }.0.set_max_unframed_len(usize::try_from(len).unwrap_or(usize::MAX))
    })
}

/// Sets pairs that messages are bound to without holding them, as some other writers of the format
/// make them.
///
/// @param keyring           The keyring.
/// @param ctx_json_or_null  A JSON object whose values are strings; NULL (default) for none. Copied.
///                          A pair that a message does hold has to be equal; all others have to be
///                          those that the message was sealed with.
/// @return                  TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
///                          TCKMS_ERR_INVALID_CONTEXT.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_reproduced_context(
    keyring: *mut tckms_keyring,
    ctx_json_or_null: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (keyring, context) =
            unsafe { (handle_mut(keyring, "keyring")?, optional_text(ctx_json_or_null, "ctx_json_or_null")?) };
        keyring.0.set_reproduced_context(Context::from_optional_json(context)?);
        Ok(())
    })
}
