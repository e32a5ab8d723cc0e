//! A store of branch records in memory, behind the C callbacks.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tckms::Status;
use tckms::ffi::*;

/// The result of a load that replaces the stored records.
#[derive(Default)]
pub struct TestStore {
    pub records: Arc<Mutex<BTreeMap<(String, i64), String>>>,
    /// The return value of the callbacks; 0 is success.
    pub answer: AtomicU32,
    /// That of put_if_absent, if it is not 0.
    put_answer: AtomicU32,
    /// The additional duration of put_if_absent.
    pub put_delay_ms: AtomicU64,
    /// The duration of a callback.
    pub delay_ms: AtomicU64,
    /// The result of a load instead of the records, if set.
    pub lie: Mutex<Option<Vec<u8>>>,
    /// Whether a load adds NULL instead of the records.
    pub adds_null: AtomicBool,
    /// Whether put_if_absent discards its record.
    pub forgets: AtomicBool,
    pub loads: AtomicU32,
    pub puts: AtomicU32,
    pub freed: AtomicU32,
    inside: AtomicU32,
}

impl TestStore {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The store of another process.
    pub fn sharing(records: &Arc<Mutex<BTreeMap<(String, i64), String>>>) -> Arc<Self> {
        Arc::new(Self { records: Arc::clone(records), ..Self::default() })
    }

    /// Options with this store.
    pub fn options(self: &Arc<Self>, branch_id: &'static CStr, rotation_ms: i64) -> tckms_branch_options {
        tckms_branch_options {
            branch_id: branch_id.as_ptr(),
            load: Some(load),
            put_if_absent: Some(put_if_absent),
            userdata: Arc::into_raw(Arc::clone(self)).cast_mut().cast(),
            destructor_or_null: Some(free),
            rotation_ms,
            ..no_options()
        }
    }

    pub fn set_answer(&self, status: Status) {
        self.answer.store(status as u32, Ordering::SeqCst);
    }

    pub fn set_put_answer(&self, status: Status) {
        self.put_answer.store(status as u32, Ordering::SeqCst);
    }

    pub fn texts(&self) -> Vec<String> {
        self.records.lock().unwrap().values().cloned().collect()
    }

    fn begin(&self) -> c_int {
        assert_eq!(self.inside.fetch_add(1, Ordering::SeqCst), 0, "callbacks never overlap");
        thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst)));
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.answer.load(Ordering::SeqCst) as c_int
    }
}

pub fn no_options() -> tckms_branch_options {
    // SAFETY: NULL pointers and zeros are valid.
    unsafe { std::mem::zeroed() }
}

unsafe extern "C" fn load(userdata: *mut c_void, name: *const c_char, out: *mut tckms_branch_records) -> c_int {
    let store = unsafe { &*userdata.cast::<TestStore>() };
    store.loads.fetch_add(1, Ordering::SeqCst);
    let answer = store.begin();
    let name = unsafe { CStr::from_ptr(name) }.to_str().unwrap();
    let add = |text: &[u8]| unsafe { tckms_branch_records_add(out, text.as_ptr().cast(), text.len()) };
    if store.adds_null.load(Ordering::SeqCst) {
        assert_eq!(unsafe { tckms_branch_records_add(out, std::ptr::null(), 1) }, Status::NullPointer);
        return answer;
    }
    if let Some(lie) = &*store.lie.lock().unwrap() {
        let _ = add(lie);
        return answer;
    }
    for ((known, _), record) in store.records.lock().unwrap().iter() {
        if known == name {
            assert_eq!(add(record.as_bytes()), Status::Ok);
        }
    }
    answer
}

unsafe extern "C" fn put_if_absent(
    userdata: *mut c_void,
    name: *const c_char,
    slot: i64,
    record: *const c_char,
) -> c_int {
    let store = unsafe { &*userdata.cast::<TestStore>() };
    store.puts.fetch_add(1, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(store.put_delay_ms.load(Ordering::SeqCst)));
    let answer = match store.put_answer.load(Ordering::SeqCst) {
        0 => store.begin(),
        failure => failure as c_int,
    };
    let text = |pointer| unsafe { CStr::from_ptr(pointer) }.to_str().unwrap().to_owned();
    if answer == 0 && !store.forgets.load(Ordering::SeqCst) {
        store.records.lock().unwrap().entry((text(name), slot)).or_insert_with(|| text(record));
    }
    answer
}

unsafe extern "C" fn free(userdata: *mut c_void) {
    let store = unsafe { Arc::from_raw(userdata.cast::<TestStore>()) };
    store.freed.fetch_add(1, Ordering::SeqCst);
}
