//! The functions of sealing in the shared library, with a key that needs no service.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::{fs, ptr, slice};

use crate::error::Result;

/// What the key below makes of every data key, so that the bare work can be done under the same one.
pub const DATA_KEY: [u8; 32] = [7; 32];
const CONTEXT: &CStr = cr#"{"purpose":"backup","tenant":"7"}"#;

/// As long as what a CMK leaves in a message: region and key id, and the wrapped data key.
const PROVIDER_INFO: [u8; 49] = [b'x'; 49];
const WRAPPED: [u8; 224] = [b'y'; 224];

/// Fields of tckms_cache_limits; zeros stand for the defaults.
const CACHE_LIMITS_LEN: usize = 5;

type Handle = *mut c_void;
type Status = c_int;
const OK: Status = 0;

#[repr(C)]
struct Buffer {
    data: *mut u8,
    len: usize,
}

#[repr(C)]
struct CustomKey {
    provider_id: *const c_char,
    generate: Option<unsafe extern "C" fn(*mut c_void, *const c_char, *mut u8, usize, Handle) -> c_int>,
    wrap: Option<unsafe extern "C" fn(*mut c_void, *const c_char, *const u8, usize, Handle) -> c_int>,
    unwrap: Option<Unwrap>,
    userdata: *mut c_void,
    destructor_or_null: Option<unsafe extern "C" fn(*mut c_void)>,
}

type Unwrap = unsafe extern "C" fn(*mut c_void, Handle, *const c_char, *mut u8, usize) -> c_int;
type SetWrapped = unsafe extern "C" fn(Handle, *const c_char, usize, *const c_char, usize) -> Status;

#[repr(C)]
struct FdOptions {
    threads: u32,
    signed_allowed: c_int,
    progress: Option<unsafe extern "C" fn(*mut c_void, u64, u64) -> c_int>,
    userdata: *mut c_void,
}

type Whole = unsafe extern "C" fn(Handle, *const c_void, usize, *const c_char, *mut Buffer) -> Status;
type Between = unsafe extern "C" fn(Handle, c_int, c_int, *const c_char, *const FdOptions, usize) -> Status;
type StreamNew = unsafe extern "C" fn(Handle, *const c_char, *mut Handle) -> Status;

/// The functions of `tckms.h` that are measured, and a keyring with a cache.
pub struct Library {
    keyring: Handle,
    seal: Whole,
    open: Whole,
    seal_fd: Between,
    open_fd: Between,
    stream_new_seal: StreamNew,
    stream_new_open: StreamNew,
    stream_update:
        unsafe extern "C" fn(Handle, *const c_void, usize, *mut usize, *mut c_void, usize, *mut usize) -> Status,
    stream_finish: unsafe extern "C" fn(Handle, *mut c_void, usize, *mut usize, *mut c_int) -> Status,
    stream_free: unsafe extern "C" fn(Handle),
    buffer_free: unsafe extern "C" fn(*mut Buffer),
    keyring_free: unsafe extern "C" fn(Handle),
    last_error: unsafe extern "C" fn() -> Handle,
    error_message: unsafe extern "C" fn(Handle) -> *const c_char,
    _library: libloading::Library,
}

// SAFETY: a keyring may be used from any thread.
unsafe impl Sync for Library {}

impl Library {
    pub fn open(path: &Path) -> Result<Self> {
        // SAFETY: loading the library runs no code of it, and the types above are those of tckms.h.
        unsafe {
            let library = libloading::Library::new(path)?;
            let keyring_new: unsafe extern "C" fn() -> Handle = *library.get("tckms_keyring_new")?;
            let new = Self {
                keyring: keyring_new(),
                seal: *library.get("tckms_seal")?,
                open: *library.get("tckms_open")?,
                seal_fd: *library.get("tckms_seal_fd")?,
                open_fd: *library.get("tckms_open_fd")?,
                stream_new_seal: *library.get("tckms_stream_new_seal")?,
                stream_new_open: *library.get("tckms_stream_new_open")?,
                stream_update: *library.get("tckms_stream_update")?,
                stream_finish: *library.get("tckms_stream_finish")?,
                stream_free: *library.get("tckms_stream_free")?,
                buffer_free: *library.get("tckms_buffer_free")?,
                keyring_free: *library.get("tckms_keyring_free")?,
                last_error: *library.get("tckms_last_error")?,
                error_message: *library.get("tckms_error_message")?,
                _library: library,
            };
            new.add_local_key()?;
            Ok(new)
        }
    }

    /// # Safety
    ///
    /// The keyring is not shared yet.
    unsafe fn add_local_key(&self) -> Result<()> {
        // SAFETY: the callbacks have the types of tckms.h and outlive the keyring; structs are copied.
        unsafe {
            let set_wrapped: libloading::Symbol<SetWrapped> = self._library.get("tckms_wrapped_key_set")?;
            let key = CustomKey {
                provider_id: c"tencent-kms".as_ptr(),
                generate: Some(generate),
                wrap: Some(wrap),
                unwrap: Some(unwrap),
                userdata: *set_wrapped as *mut c_void,
                destructor_or_null: None,
            };
            let add: libloading::Symbol<unsafe extern "C" fn(Handle, *const CustomKey, usize) -> Status> =
                self._library.get("tckms_keyring_add_custom")?;
            self.check(add(self.keyring, &key, size_of::<CustomKey>()))?;
            let set_cache: libloading::Symbol<unsafe extern "C" fn(Handle, *const c_void, usize) -> Status> =
                self._library.get("tckms_keyring_set_cache")?;
            let defaults = [0_u64; CACHE_LIMITS_LEN];
            self.check(set_cache(self.keyring, defaults.as_ptr().cast(), size_of_val(&defaults)))
        }
    }

    pub fn seal(&self, plaintext: &[u8]) -> Result<Owned<'_>> {
        self.whole(self.seal, plaintext)
    }

    pub fn open_message(&self, message: &[u8]) -> Result<Owned<'_>> {
        self.whole(self.open, message)
    }

    fn whole(&self, function: Whole, input: &[u8]) -> Result<Owned<'_>> {
        let mut out = Owned { library: self, buffer: Buffer { data: ptr::null_mut(), len: 0 } };
        // SAFETY: the slice is as long as is said, and the buffer is freed once.
        let status =
            unsafe { function(self.keyring, input.as_ptr().cast(), input.len(), CONTEXT.as_ptr(), &mut out.buffer) };
        self.check(status)?;
        Ok(out)
    }

    /// Seals into memory of the caller's, all at once, and says how much of it was filled.
    pub fn stream_seal(&self, plaintext: &[u8], out: &mut [u8]) -> Result<usize> {
        self.stream(self.stream_new_seal, plaintext, out)
    }

    /// Opens into memory of the caller's, all at once.
    pub fn stream_open(&self, message: &[u8], out: &mut [u8]) -> Result<usize> {
        self.stream(self.stream_new_open, message, out)
    }

    fn stream(&self, new: StreamNew, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let (mut stream, mut consumed, mut produced, mut rest, mut done) = (ptr::null_mut(), 0, 0, 0, 0);
        // SAFETY: every slice is as long as is said, and the stream is freed once.
        unsafe {
            self.check(new(self.keyring, CONTEXT.as_ptr(), &mut stream))?;
            let (from, to) = (input.as_ptr().cast(), out.as_mut_ptr().cast());
            let updated = (self.stream_update)(stream, from, input.len(), &mut consumed, to, out.len(), &mut produced);
            let buffer = &mut out[produced..];
            let finished = (self.stream_finish)(stream, buffer.as_mut_ptr().cast(), buffer.len(), &mut rest, &mut done);
            (self.stream_free)(stream);
            self.check(updated)?;
            self.check(finished)?;
        }
        if consumed != input.len() || done != 1 {
            Err("the output buffer of a stream is too small".into())
        } else {
            Ok(produced + rest)
        }
    }

    pub fn seal_file(&self, from: &fs::File, to: &fs::File, threads: u32) -> Result<()> {
        self.between(self.seal_fd, from, to, threads)
    }

    pub fn open_file(&self, from: &fs::File, to: &fs::File, threads: u32) -> Result<()> {
        self.between(self.open_fd, from, to, threads)
    }

    fn between(&self, function: Between, from: &fs::File, to: &fs::File, threads: u32) -> Result<()> {
        let options = FdOptions { threads, signed_allowed: 0, progress: None, userdata: ptr::null_mut() };
        let (from, to, context) = (from.as_raw_fd(), to.as_raw_fd(), CONTEXT.as_ptr());
        // SAFETY: both descriptors are open, and the options are as long as is said.
        self.check(unsafe { function(self.keyring, from, to, context, &options, size_of::<FdOptions>()) })
    }

    fn check(&self, status: Status) -> Result<()> {
        if status == OK {
            return Ok(());
        }
        // SAFETY: the text lives until this thread's next call, and there is one after a failure.
        let message = unsafe { CStr::from_ptr((self.error_message)((self.last_error)())) };
        Err(format!("libtckms: {}", message.to_string_lossy()).into())
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: nothing uses the keyring any more.
        unsafe { (self.keyring_free)(self.keyring) }
    }
}

/// A result, which is wiped and freed when it is dropped.
pub struct Owned<'a> {
    library: &'a Library,
    buffer: Buffer,
}

impl Owned<'_> {
    pub fn bytes(&self) -> &[u8] {
        if self.buffer.data.is_null() {
            return &[];
        }
        // SAFETY: the library filled so many bytes.
        unsafe { slice::from_raw_parts(self.buffer.data, self.buffer.len) }
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        // SAFETY: a buffer of the library, freed once.
        unsafe { (self.library.buffer_free)(&mut self.buffer) }
    }
}

/// `userdata` is `tckms_wrapped_key_set`.
unsafe extern "C" fn generate(
    userdata: *mut c_void,
    _: *const c_char,
    data_key: *mut u8,
    len: usize,
    out: Handle,
) -> c_int {
    // SAFETY: the promises of tckms_custom_key; the library asks for 32 bytes with the suite that it writes.
    unsafe {
        ptr::copy_nonoverlapping(DATA_KEY.as_ptr(), data_key, len.min(DATA_KEY.len()));
        wrap(userdata, ptr::null(), data_key, len, out)
    }
}

unsafe extern "C" fn wrap(userdata: *mut c_void, _: *const c_char, _: *const u8, _: usize, out: Handle) -> c_int {
    // SAFETY: `userdata` is what the keyring was given.
    unsafe {
        let set_wrapped = std::mem::transmute::<*mut c_void, SetWrapped>(userdata);
        let (info, wrapped) = (PROVIDER_INFO.as_ptr().cast(), WRAPPED.as_ptr().cast());
        set_wrapped(out, info, PROVIDER_INFO.len(), wrapped, WRAPPED.len())
    }
}

unsafe extern "C" fn unwrap(_: *mut c_void, _: Handle, _: *const c_char, data_key: *mut u8, len: usize) -> c_int {
    // SAFETY: the promise of tckms_custom_key.
    unsafe { ptr::copy_nonoverlapping(DATA_KEY.as_ptr(), data_key, len.min(DATA_KEY.len())) };
    OK
}
