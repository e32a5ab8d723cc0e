//! The sealing functions of the shared library, with a wrapping key that needs no service.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::{fs, ptr, slice};

use crate::c_abi::{Buffer, Errors, Handle, OK, Status};
use crate::error::Result;

/// The data key of all messages, so that the baseline can use it too.
pub const DATA_KEY: [u8; 32] = [7; 32];
const CONTEXT: &CStr = cr#"{"purpose":"backup","tenant":"7"}"#;

/// As long as the region and the key id of a CMK, and as a data key that a CMK wraps.
const PROVIDER_INFO: [u8; 49] = [b'x'; 49];
const WRAPPED: [u8; 224] = [b'y'; 224];

/// The number of fields of tckms_cache_limits. Zero in a field means its default.
const CACHE_LIMITS_LEN: usize = 5;

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

type OneShot = unsafe extern "C" fn(Handle, *const c_void, usize, *const c_char, *mut Buffer) -> Status;
type Descriptor = unsafe extern "C" fn(Handle, c_int, c_int, *const c_char, *const FdOptions, usize) -> Status;
type StreamNew = unsafe extern "C" fn(Handle, *const c_char, *mut Handle) -> Status;

/// The functions of `tckms.h` that are measured, and a keyring with a cache.
pub struct Library {
    keyring: Handle,
    seal: OneShot,
    open: OneShot,
    seal_fd: Descriptor,
    open_fd: Descriptor,
    stream_new_seal: StreamNew,
    stream_new_open: StreamNew,
    stream_update:
        unsafe extern "C" fn(Handle, *const c_void, usize, *mut usize, *mut c_void, usize, *mut usize) -> Status,
    stream_finish: unsafe extern "C" fn(Handle, *mut c_void, usize, *mut usize, *mut c_int) -> Status,
    stream_free: unsafe extern "C" fn(Handle),
    buffer_free: unsafe extern "C" fn(*mut Buffer),
    keyring_free: unsafe extern "C" fn(Handle),
    errors: Errors,
    _library: libloading::Library,
}

// SAFETY: a keyring may be used from any thread.
unsafe impl Sync for Library {}

impl Library {
    pub fn open(path: &Path) -> Result<Self> {
        // SAFETY: loading the library runs none of its code, and the types above are those of tckms.h.
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
                errors: Errors::load(&library)?,
                _library: library,
            };
            new.add_local_key()?;
            Ok(new)
        }
    }

    /// # Safety
    ///
    /// The keyring must not be shared yet.
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
        self.one_shot(self.seal, plaintext)
    }

    pub fn open_message(&self, message: &[u8]) -> Result<Owned<'_>> {
        self.one_shot(self.open, message)
    }

    fn one_shot(&self, function: OneShot, input: &[u8]) -> Result<Owned<'_>> {
        let mut out = Owned { library: self, buffer: Buffer::EMPTY };
        // SAFETY: the length is that of the slice, and the buffer is freed once.
        let status =
            unsafe { function(self.keyring, input.as_ptr().cast(), input.len(), CONTEXT.as_ptr(), &mut out.buffer) };
        self.check(status)?;
        Ok(out)
    }

    /// Seals into the caller's memory with one update, and returns the length of the message.
    pub fn stream_seal(&self, plaintext: &[u8], out: &mut [u8]) -> Result<usize> {
        self.stream(self.stream_new_seal, plaintext, out)
    }

    /// Opens into the caller's memory with one update, and returns the length of the plaintext.
    pub fn stream_open(&self, message: &[u8], out: &mut [u8]) -> Result<usize> {
        self.stream(self.stream_new_open, message, out)
    }

    fn stream(&self, new: StreamNew, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let (mut stream, mut consumed, mut produced, mut rest, mut done) = (ptr::null_mut(), 0, 0, 0, 0);
        // SAFETY: each length is that of its slice, and the stream is freed once.
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
        self.descriptor(self.seal_fd, from, to, threads)
    }

    pub fn open_file(&self, from: &fs::File, to: &fs::File, threads: u32) -> Result<()> {
        self.descriptor(self.open_fd, from, to, threads)
    }

    fn descriptor(&self, function: Descriptor, from: &fs::File, to: &fs::File, threads: u32) -> Result<()> {
        let options = FdOptions { threads, signed_allowed: 0, progress: None, userdata: ptr::null_mut() };
        let (from, to, context) = (from.as_raw_fd(), to.as_raw_fd(), CONTEXT.as_ptr());
        // SAFETY: both descriptors are open, and the size is that of the options.
        self.check(unsafe { function(self.keyring, from, to, context, &options, size_of::<FdOptions>()) })
    }

    fn check(&self, status: Status) -> Result<()> {
        self.errors.check(status)
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
        // SAFETY: the library filled `len` bytes.
        unsafe { slice::from_raw_parts(self.buffer.data, self.buffer.len) }
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        // SAFETY: the library filled the buffer, and it is freed once.
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
    // SAFETY: tckms_custom_key says that the pointers are valid. For the suite that it writes, the library requests 32 bytes.
    unsafe {
        ptr::copy_nonoverlapping(DATA_KEY.as_ptr(), data_key, len.min(DATA_KEY.len()));
        wrap(userdata, ptr::null(), data_key, len, out)
    }
}

unsafe extern "C" fn wrap(userdata: *mut c_void, _: *const c_char, _: *const u8, _: usize, out: Handle) -> c_int {
    // SAFETY: `userdata` is the pointer of the custom key.
    unsafe {
        let set_wrapped = std::mem::transmute::<*mut c_void, SetWrapped>(userdata);
        let (info, wrapped) = (PROVIDER_INFO.as_ptr().cast(), WRAPPED.as_ptr().cast());
        set_wrapped(out, info, PROVIDER_INFO.len(), wrapped, WRAPPED.len())
    }
}

unsafe extern "C" fn unwrap(_: *mut c_void, _: Handle, _: *const c_char, data_key: *mut u8, len: usize) -> c_int {
    // SAFETY: tckms_custom_key says that the pointer is valid.
    unsafe { ptr::copy_nonoverlapping(DATA_KEY.as_ptr(), data_key, len.min(DATA_KEY.len())) };
    OK
}
