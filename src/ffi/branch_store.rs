//! The callbacks of a store of branch records.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use super::arguments::{bytes, handle_mut};
use super::callback_error;
use super::guard::guard;
use super::userdata::{Userdata, tckms_destructor};
use crate::error::{Error, Result};
use crate::seal::{BRANCH_RECORDS_MAX, BranchStore};
use crate::status::Status;

/// The output of a load callback, filled with tckms_branch_records_add(). It is valid only during
/// the callback.
#[derive(Default)]
pub struct tckms_branch_records {
    texts: Vec<String>,
    /// Why records could not be added. Records that are missing count as deleted.
    failure: Option<Error>,
}

/// A function that loads the records of a branch from a store.
///
/// @param userdata  The pointer from tckms_branch_options.
/// @param key       The key of the records: "<region>/<key id>/<branch id>", at most 162 characters.
/// @param out       Fill it with tckms_branch_records_add(): all records under the key; nothing if
///                  there are none. A record that is missing counts as deleted, and is not used
///                  after `ttl_ms`.
/// @return          0, or a status of this library. Any other number becomes
///                  TCKMS_ERR_BRANCH_STORE_FAILED.
///
/// While the branch is in use, it is called at least twice in each `ttl_ms`, but about once a second
/// at most. If a message refers to an unknown record, it is called too, once a second at most.
///
/// The callbacks of a store run on a thread that the library starts for them, one at a time for each
/// process and tckms_keyring_add_branch(), so a connection in the userdata of one such call needs no
/// lock. In a forked child they run on a thread of the child, which must open its own connection. A
/// callback that takes longer than `store_timeout_ms` counts as failed, and is not called again
/// before it returns. A callback can set the reason of a failure with
/// tckms_callback_set_error_text(). It must return: do not leave it by longjmp() or a C++ exception.
/// It must not seal or open with the same keyring.
pub type tckms_branch_load =
    Option<unsafe extern "C" fn(userdata: *mut c_void, key: *const c_char, out: *mut tckms_branch_records) -> c_int>;

/// A function that stores a record, unless there is one already under the same key and slot: HSETNX,
/// INSERT … ON CONFLICT DO NOTHING, If-None-Match. It is called with a new record about once in each
/// rotation period.
///
/// @param userdata  The pointer from tckms_branch_options.
/// @param key       The key of the records.
/// @param slot      The number of the rotation period. There is one record for a key and a slot.
/// @param record    The record, one line without a newline.
/// @return          0, also if there was one already. Otherwise as for tckms_branch_load.
///
/// The library loads the records afterwards, and uses the one that it finds.
pub type tckms_branch_put =
    Option<unsafe extern "C" fn(userdata: *mut c_void, key: *const c_char, slot: i64, record: *const c_char) -> c_int>;

/// Adds records of a store, within a load callback.
///
/// @param out   The callback's `out`.
/// @param text  A record, or several with a newline between them. Copied.
/// @param len   The number of bytes; 1048576 at most for all that one callback adds.
/// @return      TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH or
///              TCKMS_ERR_INVALID_UTF8. The load then fails, whatever the callback returns.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_branch_records_add(
    out: *mut tckms_branch_records,
    text: *const c_void,
    len: usize,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let out = unsafe { handle_mut(out, "out")? };
        // SAFETY: as above.
        let added = unsafe { bytes(text, len, "text") }.and_then(|text| out.add(text));
        added.inspect_err(|error| out.failure = Some(error.clone()))
    })
}

impl tckms_branch_records {
    fn add(&mut self, text: &[u8]) -> Result<()> {
        let held: usize = self.texts.iter().map(String::len).sum();
        if held + text.len() > BRANCH_RECORDS_MAX {
            let message = format!("the records have more than {BRANCH_RECORDS_MAX} bytes");
            return Err(Error::new(Status::InvalidLength, message));
        }
        let text = std::str::from_utf8(text)
            .map_err(|_| Error::new(Status::InvalidUtf8, "the text of records is not valid UTF-8"))?;
        self.texts.push(text.to_owned());
        Ok(())
    }
}

type Load = unsafe extern "C" fn(*mut c_void, *const c_char, *mut tckms_branch_records) -> c_int;
type Put = unsafe extern "C" fn(*mut c_void, *const c_char, i64, *const c_char) -> c_int;

/// The program's functions and userdata.
pub(super) struct BranchCallbacks {
    load: Load,
    put_if_absent: Put,
    userdata: *mut c_void,
    destructor: tckms_destructor,
    /// Whether the userdata is the library's to free.
    owned: AtomicBool,
}

// SAFETY: "Callbacks" in the header demands of the program that the userdata may be used from all threads.
unsafe impl Send for BranchCallbacks {}
// SAFETY: as above.
unsafe impl Sync for BranchCallbacks {}

impl BranchCallbacks {
    pub fn new(load: Load, put_if_absent: Put, userdata: *mut c_void, destructor: tckms_destructor) -> Self {
        Self { load, put_if_absent, userdata, destructor, owned: AtomicBool::new(false) }
    }

    /// Frees the userdata at the end. Until then the program owns it, because the function with this
    /// argument may fail.
    pub fn own_userdata(&self) {
        self.owned.store(true, Ordering::Relaxed);
    }
}

impl Drop for BranchCallbacks {
    fn drop(&mut self) {
        if self.owned.load(Ordering::Relaxed) {
            drop(Userdata::new(self.userdata, self.destructor));
        }
    }
}

impl BranchStore for BranchCallbacks {
    fn load(&self, name: &str) -> Result<Vec<String>> {
        let (name, mut records) = (c_name(name)?, tckms_branch_records::default());
        // SAFETY: the callback keeps to tckms_branch_load in the header; all memory outlives the call.
        let loaded =
            callback_error::call("the callback that loads branch records", Status::BranchStoreFailed, || unsafe {
                (self.load)(self.userdata, name.as_ptr(), &raw mut records)
            });
        // It says more than a status that the callback passes on.
        match records.failure {
            None => loaded.map(|()| records.texts),
            Some(error) => Err(Error::new(Status::BranchStoreFailed, error.message())),
        }
    }

    fn put_if_absent(&self, name: &str, slot: i64, record: &str) -> Result<()> {
        let (name, record) = (c_name(name)?, c_name(record)?);
        // SAFETY: the callback keeps to tckms_branch_put in the header; all memory outlives the call.
        callback_error::call("the callback that keeps a branch record", Status::BranchStoreFailed, || unsafe {
            (self.put_if_absent)(self.userdata, name.as_ptr(), slot, record.as_ptr())
        })
    }
}

/// Names and records cannot contain a NUL.
fn c_name(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::new(Status::Internal, "the name of a record has a NUL in it"))
}
