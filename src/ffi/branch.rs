//! Branch keys: how they are added to a keyring, their records, and the callbacks of a store.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::Arc;
use std::time::Duration;

use super::arguments::{array, handle, handle_mut, milliseconds, null, optional_text, text};
use super::branch_store::{BranchCallbacks, tckms_branch_load, tckms_branch_put};
use super::buffer::tckms_buffer;
use super::callback_error;
use super::client::tckms_client;
use super::extensible::{self, Extensible, Out};
use super::guard::{guard, guard_request};
use super::keyring::tckms_keyring;
use super::userdata::{Userdata, tckms_destructor};
use crate::error::{Error, Result};
use crate::seal::{
    BRANCH_ID_MAX, BranchForm, BranchId, BranchOptions, BranchRecord, BranchRecords, BranchSource, BranchStats,
    BranchSupplier, CACHE_AGE_MAX, Context,
};
use crate::status::Status;

/// The source of branch key records, and options of branch keys. A member that is 0 or NULL has its
/// default. Set at most one of `records`, `file` and `load`; without any, each process generates its
/// own branch keys, which costs readers a request for each of them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tckms_branch_options {
    /// The branch for sealing and opening: 1 to 64 letters, digits and characters of "._-". NULL if
    /// tckms_keyring_set_branch_supplier() names the branch of each message, or if the keyring only
    /// opens.
    pub branch_id: *const c_char,
    /// Records as text, a line each, at most 1048576 bytes. The newest one seals.
    pub records: *const c_char,
    /// The path of a file of such records. It is checked at most once a second while the keyring
    /// seals or opens, and read if it changed. A file that cannot be used is then ignored. An empty
    /// or missing file has no records: those known before are not used after `ttl_ms`. It must be a
    /// regular file of at most 1048576 bytes that is not writable by every user. A relative path is
    /// resolved when the key is added.
    pub file: *const c_char,
    /// Loads the records of a branch from a store that all writers share.
    pub load: tckms_branch_load,
    /// Stores a record if there is none. Required with `load`.
    pub put_if_absent: tckms_branch_put,
    /// Passed to both callbacks.
    pub userdata: *mut c_void,
    /// Frees `userdata`; see tckms_destructor. NULL if there is nothing to free, or without `load`. A
    /// forked child does not call it if a callback was running at the fork.
    pub destructor_or_null: tckms_destructor,
    /// The interval at which writers that share a store generate a new branch key, in milliseconds,
    /// rounded down to seconds. 1000 to 315360000000; required with `load`, and only allowed with
    /// it. All writers of a branch must use the same value.
    pub rotation_ms: i64,
    /// How long a callback of the store may take, in milliseconds. Default 2000, at most 60000.
    pub store_timeout_ms: i64,
    /// The maximum time that a branch key is kept in memory, in milliseconds, and so the time for
    /// which a disabled CMK can go unnoticed. A key that expires is not used again, and is wiped at
    /// the next use of the keyring, or when it is freed. Default 3600000, at most 86400000.
    pub ttl_ms: i64,
    /// Further branches for opening.
    pub open_branch_ids: *const *const c_char,
    /// The number of further branches.
    pub open_branch_ids_len: usize,
    /// Not 0: every branch of the CMK is opened, unless the keyring has a branch supplier.
    pub open_any_branch: i64,
    /// Not 0: messages refer to their branch key and do not contain it, so deleting its record makes
    /// them unreadable. Opening then needs the records as well.
    pub by_reference: i64,
    /// The maximum number of branch keys in memory. Default 1000, at most 100000.
    pub max_keys: u64,
}

// SAFETY: pointers and numbers of one width.
unsafe impl Extensible for tckms_branch_options {
    const NAME: &'static str = "tckms_branch_options";
    const SIZES: &'static [usize] = &[size_of::<Self>()];
}

/// Adds a CMK that wraps data keys through branch keys: the CMK wraps a branch key once, which then
/// wraps the data keys of any number of messages, each with its own data key. The number of requests
/// depends on branches and hours, not on the number of contexts and messages.
///
/// @param keyring          The keyring.
/// @param client           The client to reach the CMK with, in the CMK's region. It may be freed
///                         afterwards.
/// @param key_id           The CMK's key id, as for tckms_keyring_add_kms(). Copied.
/// @param options_or_null  The branch and the source of its records. Copied. NULL: the keyring only
///                         opens, and needs a branch supplier.
/// @param size             sizeof(tckms_branch_options); ignored with NULL.
/// @return                 TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
///                         TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_UNKNOWN_OPTION,
///                         TCKMS_ERR_OUT_OF_RANGE, TCKMS_ERR_MALFORMED_KEY_ID,
///                         TCKMS_ERR_INVALID_BRANCH_ID, TCKMS_ERR_INVALID_BRANCH_RECORD,
///                         TCKMS_ERR_BRANCH_FILE_FAILED, or TCKMS_ERR_NO_USABLE_KEY for
///                         `by_reference` without records. Unless it is TCKMS_OK, the destructor is
///                         not called.
///
/// Every CMK that is added wraps the data key of each message, as with tckms_keyring_add_kms(). A
/// process that has a branch key can open all messages of the branch: use one branch for each unit
/// that must not read another one's messages, such as a tenant. A branch key is renewed before it
/// reaches its maximum age; if the service is not available, the old one is used until then. If the
/// store is not available, sealing continues with the known branch key, and then with one of the
/// process itself, which the log and tckms_keyring_branch_stats() report; with `by_reference` it
/// fails instead. A forked child starts without branch keys.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_add_branch(
    keyring: *mut tckms_keyring,
    client: *const tckms_client,
    key_id: *const c_char,
    options_or_null: *const tckms_branch_options,
    size: usize,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header; the options have `size` bytes.
        let (keyring, client, key_id, options) = unsafe {
            let options = extensible::read_optional(options_or_null, size, "options_or_null")?;
            (handle_mut(keyring, "keyring")?, handle(client, "client")?, text(key_id, "key_id")?, options)
        };
        let Some(options) = options else {
            return keyring.0.add_branch(&client.0, key_id, BranchOptions::default());
        };
        // SAFETY: the members are as the comment of the structure demands.
        let (options, callbacks) = unsafe { options.convert()? };
        keyring.0.add_branch(&client.0, key_id, options)?;
        callbacks.iter().for_each(|callbacks| callbacks.own_userdata());
        Ok(())
    })
}

impl tckms_branch_options {
    /// The same for the safe core, and the callbacks if there are any.
    ///
    /// # Safety
    ///
    /// Strings are NULL or NUL-terminated, and callbacks keep what the header demands.
    unsafe fn convert(self) -> Result<(BranchOptions, Option<Arc<BranchCallbacks>>)> {
        // SAFETY: the caller's promise.
        let (branch_id, also_open) = unsafe {
            let branch_id = optional_text(self.branch_id, "branch_id")?.map(BranchId::new).transpose()?;
            let ids = array(self.open_branch_ids, self.open_branch_ids_len, "open_branch_ids")?;
            let also_open = ids.iter().map(|id| BranchId::new(text(*id, "a branch id")?));
            (branch_id, also_open.collect::<Result<Vec<_>>>()?)
        };
        let default = BranchOptions::default();
        let time = |what, ms, default, max| if ms == 0 { Ok(default) } else { milliseconds(what, ms, max) };
        // SAFETY: as above.
        let (source, callbacks) = unsafe { self.source()? };
        let rotation = u64::try_from(self.rotation_ms).map(Duration::from_millis).map_err(|_| {
            let message = format!("the rotation period is {} ms, 1000 to 315360000000 are allowed", self.rotation_ms);
            Error::new(Status::OutOfRange, message)
        })?;
        let options = BranchOptions {
            branch_id,
            source,
            form: if self.by_reference == 0 { BranchForm::Embedded } else { BranchForm::ByReference },
            ttl: time("time to live of branch keys", self.ttl_ms, default.ttl, CACHE_AGE_MAX)?,
            rotation: Some(rotation).filter(|rotation| !rotation.is_zero()),
            store_timeout: time(
                "timeout of the store",
                self.store_timeout_ms,
                default.store_timeout,
                Duration::from_secs(60),
            )?,
            also_open,
            open_any: self.open_any_branch != 0,
            max_keys: match self.max_keys {
                0 => default.max_keys,
                most => usize::try_from(most).unwrap_or(usize::MAX),
            },
        };
        Ok((options, callbacks))
    }

    /// # Safety
    ///
    /// As for [`convert`](Self::convert).
    unsafe fn source(&self) -> Result<(BranchSource, Option<Arc<BranchCallbacks>>)> {
        // SAFETY: the caller's promise.
        let (records, file) = unsafe { (optional_text(self.records, "records")?, optional_text(self.file, "file")?) };
        if self.load.is_none() && self.put_if_absent.is_none() && self.destructor_or_null.is_some() {
            let message = "a destructor needs the callbacks of a store, whose userdata it frees";
            return Err(Error::new(Status::OutOfRange, message));
        }
        let source = match (records, file, self.load) {
            (None, None, None) if self.put_if_absent.is_some() => return Err(null("load")),
            (None, None, None) => BranchSource::Own,
            (Some(records), None, None) => BranchSource::Records(BranchRecords::parse(records)?),
            (None, Some(file), None) => BranchSource::File(file.into()),
            (None, None, Some(load)) => {
                let put = self.put_if_absent.ok_or_else(|| null("put_if_absent"))?;
                let callbacks = BranchCallbacks::new(load, put, self.userdata, self.destructor_or_null);
                let callbacks = Arc::new(callbacks);
                return Ok((BranchSource::Store(callbacks.clone()), Some(callbacks)));
            }
            _ => {
                let message = "set only one source of records: memory, a file, or a store";
                return Err(Error::new(Status::OutOfRange, message));
            }
        };
        Ok((source, None))
    }
}

/// A function that names the branch of a message.
///
/// @param userdata   The pointer given to tckms_keyring_set_branch_supplier().
/// @param ctx_json   The message's context as canonical JSON, "{}" for none; tckms_context_value()
///                   reads a value of it.
/// @param branch_id  Memory for the branch id, with a NUL after it.
/// @param size       The number of bytes: 65.
/// @return           0 when it named a branch. Otherwise a status of this library, which becomes the
///                   status of the call, such as TCKMS_ERR_BRANCH_NOT_ALLOWED. Any other number
///                   becomes TCKMS_ERR_BRANCH_SUPPLIER_FAILED.
///
/// It runs on the threads that seal and open, possibly on several at once, for each message. It must
/// always name the same branch for the same context. It can set the reason of a failure with
/// tckms_callback_set_error_text(). It must return: do not leave it by longjmp() or a C++ exception.
pub type tckms_branch_supplier = Option<
    unsafe extern "C" fn(userdata: *mut c_void, ctx_json: *const c_char, branch_id: *mut c_char, size: usize) -> c_int,
>;

/// Sets a function that derives the branch of each message from its context, for example a branch
/// for each tenant. It applies to all branch keys of the keyring, for sealing and for opening: a
/// message of another branch is refused with TCKMS_ERR_BRANCH_NOT_ALLOWED before any request.
///
/// @param keyring             The keyring.
/// @param callback_or_null    The function; NULL for none.
/// @param userdata            Passed to the callback.
/// @param destructor_or_null  Frees `userdata`; see tckms_destructor. NULL if there is nothing to
///                            free.
/// @return                    TCKMS_OK or TCKMS_ERR_NULL_POINTER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_set_branch_supplier(
    keyring: *mut tckms_keyring,
    callback_or_null: tckms_branch_supplier,
    userdata: *mut c_void,
    destructor_or_null: tckms_destructor,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        let keyring = unsafe { handle_mut(keyring, "keyring")? };
        let supplier = callback_or_null.map(|callback| {
            let supplier = SupplierCallback { callback, userdata: Userdata::new(userdata, destructor_or_null) };
            Arc::new(supplier) as Arc<dyn BranchSupplier>
        });
        keyring.0.set_branch_supplier(supplier);
        Ok(())
    })
}

struct SupplierCallback {
    callback: unsafe extern "C" fn(*mut c_void, *const c_char, *mut c_char, usize) -> c_int,
    userdata: Userdata,
}

impl BranchSupplier for SupplierCallback {
    fn branch_of(&self, context: &Context) -> Result<BranchId> {
        let json = context.canonical_json().unwrap_or_else(|| "{}".to_owned());
        let json = CString::new(json).map_err(|_| failed("the context has a NUL in it"))?;
        let mut id = [0 as c_char; BRANCH_ID_MAX + 1];
        callback_error::call("the callback that names branches", Status::BranchSupplierFailed, || {
            // SAFETY: the callback keeps to tckms_branch_supplier in the header; all memory outlives the call.
            unsafe { (self.callback)(self.userdata.pointer(), json.as_ptr(), id.as_mut_ptr(), id.len()) }
        })?;
        let bytes = id.map(|byte| byte as u8);
        let named =
            CStr::from_bytes_until_nul(&bytes).map_err(|_| failed("it named a branch without a NUL after it"))?;
        if named.is_empty() {
            return Err(failed("it named no branch"));
        }
        BranchId::new(&named.to_string_lossy())
    }
}

fn failed(reason: &str) -> Error {
    Error::new(Status::BranchSupplierFailed, format!("the callback that names branches failed: {reason}"))
}

/// Generates a branch key with one request, and returns its record: a line of text with a newline.
/// The record is not secret, because only the CMK opens it.
///
/// @param client     The client, in the CMK's region.
/// @param key_id     The CMK's key id, not an alias.
/// @param branch_id  The branch: 1 to 64 letters, digits and characters of "._-".
/// @param out        The line. Free it with tckms_buffer_free().
/// @return           TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
///                   TCKMS_ERR_INVALID_BRANCH_ID, or what tckms_generate_data_key() returns.
///
/// A file of records has one line for each version of each branch; adding a line rotates.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_branch_record_new(
    client: *const tckms_client,
    key_id: *const c_char,
    branch_id: *const c_char,
    out: *mut tckms_buffer,
) -> Status {
    guard_request(|| {
        // SAFETY: "Handles", "Strings and buffers" and "Outputs" in the header.
        let (out, client, key_id, branch_id) = unsafe {
            let out = tckms_buffer::out(out, "out")?;
            (out, handle(client, "client")?, text(key_id, "key_id")?, text(branch_id, "branch_id")?)
        };
        let record = BranchRecord::generate(&client.0, key_id, &BranchId::new(branch_id)?)?;
        out.fill(format!("{record}\n").as_bytes())
    })
}

/// Verifies with one request that the CMK opens a record, and so that its branch and version are
/// those of the branch key.
///
/// @param client  The client, in the region of the record's CMK.
/// @param record  A line, with or without a newline.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
///                TCKMS_ERR_INVALID_BRANCH_RECORD, also for another region, or what tckms_decrypt()
///                returns.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_branch_record_check(client: *const tckms_client, record: *const c_char) -> Status {
    guard_request(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (client, record) = unsafe { (handle(client, "client")?, text(record, "record")?) };
        let line = record.strip_suffix('\n').unwrap_or(record);
        BranchRecord::parse(line.strip_suffix('\r').unwrap_or(line))?.check(&client.0)
    })
}

/// Counters of the branch keys of a keyring since they were added.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tckms_branch_stats {
    /// Requests that generated a branch key.
    pub keys_made: u64,
    /// Requests that unwrapped a branch key.
    pub keys_unwrapped: u64,
    /// Data keys that were wrapped.
    pub wraps: u64,
    /// Those of them that were wrapped under a branch key of the process itself, because no record
    /// was available.
    pub own_key_wraps: u64,
    /// Data keys that were unwrapped.
    pub unwraps: u64,
    /// Files that were read because they changed.
    pub file_reads: u64,
    /// Files that could not be used, so that the records known before stayed in use, or that were
    /// missing.
    pub file_failures: u64,
    /// Calls of the store's callbacks.
    pub store_calls: u64,
    /// Those of them that failed or took too long.
    pub store_failures: u64,
    /// Records that are not used: of another branch or CMK, not readable, or refused by the CMK.
    pub records_refused: u64,
    /// Records that disappeared from the file or the store.
    pub records_gone: u64,
}

// SAFETY: numbers of one width.
unsafe impl Extensible for tckms_branch_stats {
    const NAME: &'static str = "tckms_branch_stats";
    const SIZES: &'static [usize] = &[size_of::<Self>()];
}

impl From<BranchStats> for tckms_branch_stats {
    fn from(stats: BranchStats) -> Self {
        Self {
            keys_made: stats.keys_made,
            keys_unwrapped: stats.keys_unwrapped,
            wraps: stats.wraps,
            own_key_wraps: stats.own_key_wraps,
            unwraps: stats.unwraps,
            file_reads: stats.file_reads,
            file_failures: stats.file_failures,
            store_calls: stats.store_calls,
            store_failures: stats.store_failures,
            records_refused: stats.records_refused,
            records_gone: stats.records_gone,
        }
    }
}

/// Reads the counters of all branch keys of a keyring.
///
/// @param keyring  The keyring.
/// @param out      The structure to fill. Members that the running library does not have are set to
///                 0.
/// @param size     sizeof(tckms_branch_stats).
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_LENGTH.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_keyring_branch_stats(
    keyring: *const tckms_keyring,
    out: *mut tckms_branch_stats,
    size: usize,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header; `out` has `size` bytes, as the comment above demands.
        let (out, keyring) = unsafe { (Out::new(out, size, "out")?, handle(keyring, "keyring")?) };
        out.write(&tckms_branch_stats::from(keyring.0.branch_stats()));
        Ok(())
    })
}
