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

/// Commitment policy: only messages that commit to one data key are opened. The default.
pub const TCKMS_COMMITMENT_REQUIRED: c_int = 0;
/// Commitment policy: messages of version 1 of the format, which do not commit, are opened as well.
/// The library never writes them.
pub const TCKMS_COMMITMENT_NOT_REQUIRED_TO_OPEN: c_int = 1;

/// Limits for cached data keys. A member that is 0 has its default.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct tckms_cache_limits {
    /// Maximum age of a data key for sealing, in milliseconds. Default 300000, at most 86400000.
    pub seal_max_age_ms: i64,
    /// Maximum age of a data key for opening, in milliseconds. Default 3600000, at most 86400000.
    pub open_max_age_ms: i64,
    /// Maximum number of messages that a data key seals. Default 1048576, at most 4294967296.
    pub max_messages: u64,
    /// Maximum number of plaintext bytes that a data key seals. Default 1099511627776.
    pub max_bytes: u64,
    /// Maximum number of data keys for sealing, and of data keys for opening; the least recently
    /// used is evicted first. Default 1000, at most 100000.
    pub max_entries: u64,
}

/// Creates a keyring without keys.
///
/// @return  The keyring, owned by the caller, who frees it with tckms_keyring_free(). NULL when
///          there is no memory; every function accepts that and returns TCKMS_ERR_NULL_POINTER.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_keyring_new() -> *mut tckms_keyring {
    guard_infallible(ptr::null_mut(), || handle::publish_or_null(tckms_keyring(Keyring::new())))
}

/// Frees a keyring and wipes the data keys in its cache.
///
/// @param keyring  NULL, which is harmless, or a keyring from tckms_keyring_new(). Streams made with
///                 it continue to work.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_free(keyring: *mut tckms_keyring) {
    // SAFETY: "Handles" in the header.
    unsafe { handle::free(keyring) };
}

/// Adds a CMK. The first key of a keyring generates the data key of a message, and every further one
/// wraps it as well: add one for each region or account that must be able to open the messages.
///
/// @param keyring  The keyring.
/// @param client   The client to reach the CMK with, in the CMK's region. It may be freed
///                 afterwards.
/// @param key_id   The CMK's key id, not an alias: 1 to 64 letters, digits and '-'. Messages store
///                 it, and an alias could be moved to another key; see CONVENTIONS. Copied.
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
///                 TCKMS_ERR_MALFORMED_KEY_ID.
///
/// Messages name the key as "<region>/<key id>". To open a message, only wrapped keys whose key was
/// added are sent to the service, to the client's endpoint and with its credentials, whatever else
/// the message contains.
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

/// Adds an RSA public key, which seals: the owner of the private key can open the messages without
/// the service. RSA-OAEP with SHA-256, as in the raw RSA keyring of the AWS Encryption SDK.
///
/// @param keyring        The keyring.
/// @param key_namespace  1 to 512 ASCII characters that do not begin with "aws-kms". Copied.
/// @param key_name       1 to 512 bytes. A reader finds the key by its namespace and name. Copied.
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

/// Adds an RSA private key, which opens. It is not used for sealing.
///
/// @param keyring        The keyring.
/// @param key_namespace  The namespace that the public key was added with. Copied.
/// @param key_name       The name that the public key was added with. Copied.
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

/// Passes the parts of an RSA key to a method of the safe core.
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

/// Adds a wrapping key that the program implements, for example with an HSM or another key service.
///
/// @param keyring  The keyring.
/// @param key      The callbacks. The struct is copied, and `provider_id` with it.
/// @param size     sizeof(tckms_custom_key).
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH,
///                 TCKMS_ERR_INVALID_UTF8 or TCKMS_ERR_INVALID_KEY_NAME. Unless it is TCKMS_OK, the
///                 destructor is not called.
///
/// The callbacks run on the threads that seal and open; for calls of a queue, on its workers.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_add_custom(
    keyring: *mut tckms_keyring,
    key: *const tckms_custom_key,
    size: usize,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header; `key` points to `size` bytes, as the comment above
        // demands.
        unsafe {
            let keyring = handle_mut(keyring, "keyring")?;
            keyring.0.add(custom_key(extensible::read(key, size, "key")?)?);
        }
        Ok(())
    })
}

/// Turns on the cache: a data key then serves more than one message, so most messages need no
/// request. Off by default.
///
/// @param keyring         The keyring.
/// @param limits_or_null  The limits; a structure of zeros for the defaults. NULL turns the cache
///                        off.
/// @param size            sizeof(tckms_cache_limits); ignored with NULL.
/// @return                TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH,
///                        TCKMS_ERR_UNKNOWN_OPTION or TCKMS_ERR_OUT_OF_RANGE.
///
/// A data key serves only messages with the same context: a context with a different value for each
/// message makes the cache useless. Streams use the cache if their size or a bound was set. A key is
/// renewed before it reaches its maximum age; if the service is not available, the old key is used
/// until its maximum age, and never longer. A forked child starts with an empty cache.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_cache(
    keyring: *mut tckms_keyring,
    limits_or_null: *const tckms_cache_limits,
    size: usize,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header; `limits_or_null` is NULL or points to `size` bytes, as
        // the comment above demands.
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

/// Sets which messages are opened. With either policy, messages are written with a suite that
/// commits to the data key.
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

/// Sets whether messages are signed, for readers who must not be able to forge messages that they
/// can open.
///
/// @param keyring  The keyring.
/// @param signing  0 (default): not signed. Anything else: signed with ECDSA on P-384, which makes
///                 sealing and opening much slower.
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

/// Sets the length of the frames of new messages. A reader needs memory for one frame. Default
/// 65536.
///
/// @param keyring    The keyring.
/// @param frame_len  1 to 2147483647 bytes. All other software accepts multiples of 128; above
///                   16777216 readers need tckms_keyring_set_max_frame_len().
/// @return           TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_frame_len(keyring: *mut tckms_keyring, frame_len: usize) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(keyring, "keyring")? }.0.set_frame_len(frame_len)
    })
}

/// Limits the number of wrapped data keys of a message, and so the number of requests that a message
/// can cause. Default 8.
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

/// Limits the number of RSA private-key operations that opening a message can cause. Default 2.
///
/// @param keyring  The keyring.
/// @param count    1 to 65535. Each takes a few milliseconds of a core, and more with longer keys.
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
///
/// Only keys with the name of the wrapped data key are tried.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_max_rsa_operations(keyring: *mut tckms_keyring, count: usize) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(keyring, "keyring")? }.0.set_max_private_key_operations(count)
    })
}

/// Limits the total time of all key requests of one call: of tckms_seal(), tckms_open(),
/// tckms_seal_fd(), tckms_open_fd(), or one function of a stream. Default 30000.
///
/// @param keyring     The keyring.
/// @param timeout_ms  1 to 3600000 milliseconds.
/// @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
///
/// When a message is opened, each key that it names gets a part of the time, so a region that does
/// not reply leaves time for the next one. The total timeout of a CMK's client also limits each
/// request. The time of a custom key's callback counts, but the library cannot interrupt it.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_total_timeout_ms(keyring: *mut tckms_keyring, timeout_ms: i64) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(keyring, "keyring")? }.0.set_total_timeout(timeout("total timeout", timeout_ms)?)
    })
}

/// Limits the header length of messages to be opened. Default 524288.
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

/// Limits the frame length of messages to be opened, and so the memory of a stream. Default
/// 16777216.
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

/// Limits the length of a body without frames in messages to be opened; the library never writes
/// one. Default 67108864.
///
/// @param keyring  The keyring.
/// @param len      1 to 68719476704 bytes. It must fit into memory.
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_max_unframed_len(keyring: *mut tckms_keyring, len: u64) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(keyring, "keyring")? }.0.set_max_unframed_len(usize::try_from(len).unwrap_or(usize::MAX))
    })
}

/// Sets context pairs that messages to be opened are bound to but do not contain. Some other writers
/// of the format make such messages.
///
/// @param keyring           The keyring.
/// @param ctx_json_or_null  A JSON object whose values are strings; NULL (default) for none. Copied.
///                          A pair that a message does contain must be equal; the others must be
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
