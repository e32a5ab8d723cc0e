//! Managing CMKs.

use std::ffi::{CString, c_char, c_int, c_void};

use super::arguments::{array, bytes, handle, handle_out, non_negative, null, optional_text, text};
use super::buffer::tckms_buffer;
use super::client::tckms_client;
use super::extensible::{self, Extensible};
use super::guard::guard_request;
use super::handle;
use super::overlap::check_output;
use crate::client::{KeyFilter, KeyInfo, NewKey};
use crate::error::{Error, Result};
use crate::sanitize::sanitized;
use crate::status::Status;

/// The maximum number of tags for tckms_create_key(). The service allows 50 for a resource.
const TAGS_MAX: usize = 50;

/// A tag: a name and a value, for finding keys and for billing.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tckms_tag {
    /// The name.
    pub key: *const c_char,
    /// The value.
    pub value: *const c_char,
}

/// Options for a new CMK. A member that is NULL or 0 has its default. Initialize it with
/// TCKMS_CREATE_KEY_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tckms_create_key_options {
    /// Required: 1 to 60 letters, digits, '-' and '_', beginning with a letter or digit, and not
    /// with "kms-". Unique in an account and region.
    pub alias: *const c_char,
    /// A TCKMS_KEY_USAGE_ constant, or the service's name of another. Default
    /// TCKMS_KEY_USAGE_ENCRYPT_DECRYPT.
    pub usage: *const c_char,
    /// At most 1024 bytes.
    pub description: *const c_char,
    /// The tags.
    pub tags: *const tckms_tag,
    /// The number of tags, at most 50.
    pub tag_count: usize,
    /// Not 0: the key's material is imported, see tckms_import_key_material().
    pub external: c_int,
    /// Must be 0.
    pub reserved: u32,
}

// SAFETY: `repr(C)`, without padding, and of pointers and numbers that may be 0.
unsafe impl Extensible for tckms_create_key_options {
    const NAME: &'static str = "tckms_create_key_options";
    const SIZES: &'static [usize] = &[size_of::<Self>()];
}

/// Selects the keys of tckms_list_keys(). A member that is NULL matches all keys. Initialize it with
/// TCKMS_KEY_FILTER_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tckms_key_filter {
    /// A TCKMS_KEY_USAGE_ constant, or the service's name of another.
    pub usage: *const c_char,
    /// "Enabled", "Disabled", "PendingDelete", "PendingImport" or "Archived".
    pub state: *const c_char,
    /// A part of the key id or of the alias.
    pub search: *const c_char,
}

// SAFETY: `repr(C)`, without padding, and of pointers that may be NULL.
unsafe impl Extensible for tckms_key_filter {
    const NAME: &'static str = "tckms_key_filter";
    const SIZES: &'static [usize] = &[size_of::<Self>()];
}

/// The metadata of a CMK. It never changes, and any number of threads may read it at once.
pub struct tckms_key_info {
    key_id: CString,
    alias: CString,
    description: CString,
    state: CString,
    usage: CString,
    origin: CString,
    info: KeyInfo,
}

/// A function that tckms_list_keys() calls with each key.
///
/// @param userdata  The pointer given to tckms_list_keys().
/// @param key       The key, valid during the callback.
/// @return          0 to continue; anything else to stop, which is not an error.
///
/// It runs on the thread that called tckms_list_keys(). It must return: do not leave it by longjmp()
/// or a C++ exception.
pub type tckms_key_callback = Option<unsafe extern "C" fn(userdata: *mut c_void, key: *const tckms_key_info) -> c_int>;

/// Creates a CMK.
///
/// The request is not sent again if it may have been executed, unless
/// tckms_config_set_retry_unsafe_actions() allows it.
///
/// @param client               The client.
/// @param options              The options of the key.
/// @param size                 sizeof(tckms_create_key_options).
/// @param key_id               The id of the new key, as text. Free it with tckms_buffer_free().
/// @param tag_failure_or_null  The reason if the service created the key but could not set its tags;
///                             else empty. Free it with tckms_buffer_free(). NULL if it is not
///                             needed. Must not be the same buffer as `key_id`.
/// @return                     TCKMS_OK, TCKMS_ERR_UNKNOWN_OPTION, TCKMS_ERR_ALIAS_EXISTS,
///                             TCKMS_ERR_INVALID_ALIAS, TCKMS_ERR_INVALID_KEY_USAGE,
///                             TCKMS_ERR_KEY_USAGE_NOT_IN_REGION, TCKMS_ERR_KEY_LIMIT_EXCEEDED or
///                             any status; see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_create_key(
    client: *const tckms_client,
    options: *const tckms_create_key_options,
    size: usize,
    key_id: *mut tckms_buffer,
    tag_failure_or_null: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, tag_failure, client, options) = unsafe {
            (
                tckms_buffer::out(key_id, "key_id")?,
                optional_buffer(tag_failure_or_null)?,
                handle(client, "client")?,
                extensible::read(options, size, "options")?,
            )
        };
        // SAFETY: the members are as the structure says.
        let tags = unsafe { tags(&options)? };
        // SAFETY: as above.
        let created = client.0.create_key(&unsafe { new_key(&options, &tags)? })?;
        out.fill(created.key_id.as_bytes())?;
        if let (Some(buffer), Some(failure)) = (tag_failure, &created.tag_failure) {
            let text = if failure.is_empty() { "the service says no more" } else { failure };
            buffer.fill(sanitized(text).as_bytes()).inspect_err(|_| out.clear())?;
        }
        Ok(())
    })
}

/// Gets the metadata of a CMK.
///
/// @param client  The client.
/// @param key_id  The CMK.
/// @param out     The metadata, owned by the caller, who frees it with tckms_key_info_free(). NULL
///                on failure.
/// @return        TCKMS_OK, TCKMS_ERR_KEY_MISMATCH for a reply about another CMK than the one whose
///                id is `key_id`, TCKMS_ERR_RESPONSE_MALFORMED for a field that no CMK has, or any
///                status; see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_describe_key(
    client: *const tckms_client,
    key_id: *const c_char,
    out: *mut *mut tckms_key_info,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id) =
            unsafe { (handle_out(out, "out")?, handle(client, "client")?, text(key_id, "key_id")?) };
        handle::publish(tckms_key_info::new(client.0.describe_key(key_id)?), out)
    })
}

/// Calls a function with each CMK of the account and region, in the order of creation.
///
/// @param client          The client.
/// @param filter_or_null  Which keys, or NULL for all.
/// @param size            sizeof(tckms_key_filter); ignored with NULL.
/// @param callback        Called with each key.
/// @param userdata        Passed to the callback unchanged.
/// @return                TCKMS_OK, also when the callback stopped; TCKMS_ERR_UNKNOWN_OPTION,
///                        TCKMS_ERR_OUT_OF_RANGE for a state that does not exist,
///                        TCKMS_ERR_RESPONSE_MALFORMED if the service returns fewer keys than it
///                        reports, or any status; see the chapter on errors. After a failure the
///                        list is incomplete.
///
/// It requests 200 keys at a time; the total timeout applies to each request. The callback may call
/// the library, also to change keys: each key that matches the filter is listed once, even if others
/// are created, deleted or changed meanwhile. A key can be missed only if between two requests
/// as many keys begin to match the filter as cease to.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_list_keys(
    client: *const tckms_client,
    filter_or_null: *const tckms_key_filter,
    size: usize,
    callback: tckms_key_callback,
    userdata: *mut c_void,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (client, filter) =
            unsafe { (handle(client, "client")?, extensible::read_optional(filter_or_null, size, "filter_or_null")?) };
        let callback = callback.ok_or_else(|| null("callback"))?;
        // SAFETY: the members are as the structure says.
        let filter = unsafe { filter.map_or(Ok(KeyFilter::default()), |filter| key_filter(&filter))? };
        client.0.list_keys(&filter, |info| {
            let info = tckms_key_info::new(info);
            // SAFETY: the callback's own promise to take what its type says.
            unsafe { callback(userdata, &info) == 0 }
        })
    })
}

/// Frees the metadata of a CMK.
///
/// @param key  NULL, which is harmless, or a result of tckms_describe_key(). Never the argument of a
///             callback of tckms_list_keys().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_key_info_free(key: *mut tckms_key_info) {
    // SAFETY: "Handles" in the header.
    unsafe { handle::free(key) };
}

/// The id of a CMK.
///
/// @param key  The key, or NULL.
/// @return     A text, borrowed from `key`; "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_key_info_key_id(key: *const tckms_key_info) -> *const c_char {
    // SAFETY: "Handles" in the header.
    unsafe { member(key, |key| &key.key_id) }
}

/// The alias of a CMK.
///
/// @param key  The key, or NULL.
/// @return     A text, borrowed from `key`; "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_key_info_alias(key: *const tckms_key_info) -> *const c_char {
    // SAFETY: "Handles" in the header.
    unsafe { member(key, |key| &key.alias) }
}

/// The description of a CMK.
///
/// @param key  The key, or NULL.
/// @return     A text, borrowed from `key`; "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_key_info_description(key: *const tckms_key_info) -> *const c_char {
    // SAFETY: "Handles" in the header.
    unsafe { member(key, |key| &key.description) }
}

/// The state of a CMK: "Enabled", "Disabled", "PendingDelete", "PendingImport" or "Archived".
///
/// @param key  The key, or NULL.
/// @return     A text, borrowed from `key`; "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_key_info_state(key: *const tckms_key_info) -> *const c_char {
    // SAFETY: "Handles" in the header.
    unsafe { member(key, |key| &key.state) }
}

/// The usage of a CMK: a TCKMS_KEY_USAGE_ constant, or the service's name of another.
///
/// @param key  The key, or NULL.
/// @return     A text, borrowed from `key`; "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_key_info_usage(key: *const tckms_key_info) -> *const c_char {
    // SAFETY: "Handles" in the header.
    unsafe { member(key, |key| &key.usage) }
}

/// Where the material of a CMK comes from: "TENCENT_KMS", or "EXTERNAL" when it is imported.
///
/// @param key  The key, or NULL.
/// @return     A text, borrowed from `key`; "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_key_info_origin(key: *const tckms_key_info) -> *const c_char {
    // SAFETY: "Handles" in the header.
    unsafe { member(key, |key| &key.origin) }
}

/// The interval in days at which the service rotates a CMK.
///
/// @param key  The key, or NULL.
/// @return     Days; 0 when the CMK does not rotate, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_key_info_rotation_days(key: *const tckms_key_info) -> i64 {
    // SAFETY: "Handles" in the header.
    unsafe { number(key, |info| if info.key_rotation_enabled { info.rotate_days } else { 0 }) }
}

/// When a CMK was created.
///
/// @param key  The key, or NULL.
/// @return     Seconds since the Unix epoch; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_key_info_created_at_seconds(key: *const tckms_key_info) -> i64 {
    // SAFETY: "Handles" in the header.
    unsafe { number(key, |info| info.create_time) }
}

/// When a CMK was last rotated.
///
/// @param key  The key, or NULL.
/// @return     Seconds since the Unix epoch; 0 when it was never rotated, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_key_info_rotated_at_seconds(key: *const tckms_key_info) -> i64 {
    // SAFETY: "Handles" in the header.
    unsafe { number(key, |info| info.last_rotate_time) }
}

/// When the service will next rotate a CMK.
///
/// @param key  The key, or NULL.
/// @return     Seconds since the Unix epoch; 0 when the CMK does not rotate, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_key_info_rotates_at_seconds(key: *const tckms_key_info) -> i64 {
    // SAFETY: "Handles" in the header. The service also sets this for keys that do not rotate.
    unsafe { number(key, |info| if info.key_rotation_enabled { info.next_rotate_time } else { 0 }) }
}

/// When a CMK that is scheduled for deletion will be deleted.
///
/// @param key  The key, or NULL.
/// @return     Seconds since the Unix epoch; 0 when it is not scheduled, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_key_info_deleted_at_seconds(key: *const tckms_key_info) -> i64 {
    // SAFETY: "Handles" in the header.
    unsafe { number(key, |info| info.deletion_date) }
}

/// When the imported material of a CMK expires.
///
/// @param key  The key, or NULL.
/// @return     Seconds since the Unix epoch; 0 when it never expires, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_key_info_material_expires_at_seconds(key: *const tckms_key_info) -> i64 {
    // SAFETY: "Handles" in the header.
    unsafe { number(key, |info| info.valid_to) }
}

/// Enables a disabled CMK.
///
/// @param client  The client.
/// @param key_id  The CMK.
/// @return        TCKMS_OK or any status; see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_enable_key(client: *const tckms_client, key_id: *const c_char) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard_request(|| unsafe { handle(client, "client")?.0.enable_key(text(key_id, "key_id")?) })
}

/// Disables a CMK: it cannot be used until tckms_enable_key().
///
/// @param client  The client.
/// @param key_id  The CMK.
/// @return        TCKMS_OK, TCKMS_ERR_KEY_USED_BY_PRODUCT or any status; see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_disable_key(client: *const tckms_client, key_id: *const c_char) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard_request(|| unsafe { handle(client, "client")?.0.disable_key(text(key_id, "key_id")?) })
}

/// Schedules a disabled CMK for deletion. When it is deleted, data that was encrypted under it is
/// lost.
///
/// @param client                      The client.
/// @param key_id                      The CMK.
/// @param days                        7 to 30 days from now.
/// @param deleted_at_seconds_or_null  When it will be deleted, in seconds since the Unix epoch. NULL
///                                    if it is not needed.
/// @return                            TCKMS_OK, TCKMS_ERR_OUT_OF_RANGE, TCKMS_ERR_KEY_NOT_DISABLED
///                                    or any status; see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_schedule_key_deletion(
    client: *const tckms_client,
    key_id: *const c_char,
    days: c_int,
    deleted_at_seconds_or_null: *mut i64,
) -> Status {
    guard_request(|| {
        // SAFETY: "Outputs" in the header.
        let deleted_at = unsafe {
            if !deleted_at_seconds_or_null.is_null() {
                check_output(deleted_at_seconds_or_null, size_of::<i64>(), "deleted_at_seconds_or_null")?;
                deleted_at_seconds_or_null.write(0);
            }
            deleted_at_seconds_or_null.as_mut()
        };
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (client, key_id) = unsafe { (handle(client, "client")?, text(key_id, "key_id")?) };
        let time = client.0.schedule_key_deletion(key_id, non_negative("days until deletion", days, 7..=30)?)?;
        if let Some(deleted_at) = deleted_at {
            *deleted_at = time;
        }
        Ok(())
    })
}

/// Cancels the deletion of a CMK. The CMK is disabled afterwards.
///
/// @param client  The client.
/// @param key_id  The CMK.
/// @return        TCKMS_OK, TCKMS_ERR_KEY_NOT_PENDING_DELETION or any status; see the chapter on
///                errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_cancel_key_deletion(client: *const tckms_client, key_id: *const c_char) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard_request(|| unsafe { handle(client, "client")?.0.cancel_key_deletion(text(key_id, "key_id")?) })
}

/// Turns the automatic rotation of a symmetric CMK on or off.
///
/// @param client  The client.
/// @param key_id  The CMK.
/// @param days    The interval, 7 to 365 days; 0 turns rotation off.
/// @return        TCKMS_OK, TCKMS_ERR_OUT_OF_RANGE, TCKMS_ERR_ROTATION_NOT_SUPPORTED,
///                TCKMS_ERR_EXTERNAL_KEY_NOT_ROTATABLE or any status; see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_set_key_rotation(
    client: *const tckms_client,
    key_id: *const c_char,
    days: c_int,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (client, key_id) = unsafe { (handle(client, "client")?, text(key_id, "key_id")?) };
        let days = non_negative("days between rotations", days, 7..=365)?;
        client.0.set_key_rotation(key_id, Some(days).filter(|days| *days != 0))
    })
}

/// Starts a rotation of a symmetric CMK. The service completes it later: poll
/// tckms_key_info_rotated_at_seconds().
///
/// @param client  The client.
/// @param key_id  The CMK.
/// @return        TCKMS_OK, TCKMS_ERR_ROTATION_TOO_SOON within 24 hours of the last one,
///                TCKMS_ERR_ROTATION_RUNNING or any status; see the chapter on errors.
///
/// The request is not sent again if it may have been executed, unless
/// tckms_config_set_retry_unsafe_actions() allows it. Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_rotate_key(client: *const tckms_client, key_id: *const c_char) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard_request(|| unsafe { handle(client, "client")?.0.rotate_key(text(key_id, "key_id")?) })
}

/// Imports the material of a CMK that was created with `external`. It is sent encrypted under a key
/// of the service.
///
/// @param client            The client.
/// @param key_id            The CMK.
/// @param material          The material; a repeated import needs the same material. Wipe it
///                          afterwards with tckms_wipe().
/// @param len               32 bytes for AES-256, 16 for SM4.
/// @param valid_to_seconds  When the material expires, in seconds since the Unix epoch, at most
///                          2147443200; 0 for never.
/// @return                  TCKMS_OK, TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_OUT_OF_RANGE,
///                          TCKMS_ERR_KEY_NOT_EXTERNAL, TCKMS_ERR_MATERIAL_MISMATCH or any status;
///                          see the chapter on errors.
///
/// Blocks until the total timeout at most.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_import_key_material(
    client: *const tckms_client,
    key_id: *const c_char,
    material: *const c_void,
    len: usize,
    valid_to_seconds: i64,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (client, key_id, material) =
            unsafe { (handle(client, "client")?, text(key_id, "key_id")?, bytes(material, len, "material")?) };
        client.0.import_key_material(key_id, material, Some(valid_to_seconds).filter(|time| *time != 0))
    })
}

impl tckms_key_info {
    fn new(info: KeyInfo) -> Self {
        // Text of the service may contain any character, and is often printed. The result contains
        // no NUL byte.
        let text = |text: &str| CString::new(sanitized(text).as_ref()).unwrap_or_default();
        Self {
            key_id: text(&info.key_id),
            alias: text(&info.alias),
            description: text(&info.description),
            state: text(&info.key_state),
            usage: text(&info.key_usage),
            origin: text(&info.origin),
            info,
        }
    }
}

/// # Safety
///
/// `key` is NULL or a live handle ("Handles" in the header).
unsafe fn member(key: *const tckms_key_info, choose: impl FnOnce(&tckms_key_info) -> &CString) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { key.as_ref() }.map_or(c"".as_ptr(), |key| choose(key).as_ptr())
}

/// # Safety
///
/// `key` is NULL or a live handle ("Handles" in the header).
unsafe fn number(key: *const tckms_key_info, choose: impl FnOnce(&KeyInfo) -> i64) -> i64 {
    // SAFETY: the caller's promise.
    unsafe { key.as_ref() }.map_or(0, |key| choose(&key.info))
}

/// # Safety
///
/// `buffer` is NULL or points to a buffer that may be written ("Outputs" in the header).
unsafe fn optional_buffer<'a>(buffer: *mut tckms_buffer) -> Result<Option<&'a mut tckms_buffer>> {
    if buffer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { tckms_buffer::out(buffer, "tag_failure_or_null") }.map(Some)
}

/// # Safety
///
/// The members are as [`tckms_create_key_options`] says, and live as long as the result.
unsafe fn tags<'a>(options: &tckms_create_key_options) -> Result<Vec<(&'a str, &'a str)>> {
    if options.tag_count > TAGS_MAX {
        let message = format!("tag_count is {}, at most {TAGS_MAX} are allowed", options.tag_count);
        return Err(Error::new(Status::InvalidLength, message));
    }
    // SAFETY: the caller's promise.
    let tags = unsafe { array(options.tags, options.tag_count, "tags")? };
    // SAFETY: as above.
    tags.iter().map(|tag| unsafe { Ok((text(tag.key, "tags[].key")?, text(tag.value, "tags[].value")?)) }).collect()
}

/// # Safety
///
/// As for [`tags`].
unsafe fn new_key<'a>(options: &tckms_create_key_options, tags: &'a [(&'a str, &'a str)]) -> Result<NewKey<'a>> {
    if options.reserved != 0 {
        return Err(Error::new(Status::UnknownOption, "options sets reserved, which must be 0"));
    }
    // SAFETY: the caller's promise.
    unsafe {
        Ok(NewKey {
            alias: text(options.alias, "alias")?,
            usage: optional_text(options.usage, "usage")?,
            description: optional_text(options.description, "description")?,
            external: options.external != 0,
            tags,
        })
    }
}

/// # Safety
///
/// The members are as [`tckms_key_filter`] says, and live as long as the result.
unsafe fn key_filter<'a>(filter: &tckms_key_filter) -> Result<KeyFilter<'a>> {
    // SAFETY: the caller's promise.
    unsafe {
        Ok(KeyFilter {
            usage: optional_text(filter.usage, "usage")?,
            state: optional_text(filter.state, "state")?,
            search: optional_text(filter.search, "search")?,
            tag: None,
        })
    }
}
