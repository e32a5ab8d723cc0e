//! Calls of the operating system: signals, inherited descriptors, the loader. With the entry point in main.rs, the only code of
//! the tool that contains `unsafe`.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

static RECEIVED_SIGNAL: AtomicI32 = AtomicI32::new(0);

extern "C" fn record(signal: c_int) {
    RECEIVED_SIGNAL.store(signal, Ordering::SeqCst);
}

extern "C" fn ignore(_: c_int) {}

/// The last recorded signal, or 0.
pub fn recorded_signal() -> c_int {
    RECEIVED_SIGNAL.load(Ordering::SeqCst)
}

/// Records the first arrival of a signal; a second one has the default effect. A signal that the caller ignores stays ignored.
pub fn record_once(signal: c_int) {
    handle_unless_ignored(signal, record, libc::SA_RESETHAND);
}

/// Ignores a signal by a handler, so that the signal has its default effect in an executed program.
pub fn ignore_by_handler(signal: c_int) {
    handle_unless_ignored(signal, ignore, libc::SA_RESTART);
}

fn handle_unless_ignored(signal: c_int, handler: extern "C" fn(c_int), flags: c_int) {
    // SAFETY: sigaction is plain data, of which every member is set; the handlers above only touch an atomic.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        if libc::sigaction(signal, std::ptr::null(), &mut action) != 0 || action.sa_sigaction == libc::SIG_IGN {
            return;
        }
        action = std::mem::zeroed();
        libc::sigemptyset(&mut action.sa_mask);
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = flags;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

/// Ends the program with the default effect of a signal. Does nothing if the caller ignores it.
pub fn raise_default(signal: c_int) {
    // SAFETY: sigaction is plain data; the calls take any number for a signal.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        if libc::sigaction(signal, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN {
            return;
        }
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// An inherited descriptor, if it is open.
pub fn inherited(number: RawFd) -> io::Result<BorrowedFd<'static>> {
    // SAFETY: the call touches no memory and takes any number.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: it is open, and the program never closes an inherited descriptor.
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Takes ownership of an inherited descriptor. Called once for each number.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    inherited(number)?;
    // SAFETY: it is open, and nothing else owns it: LISTEN_FDS passes it to this program.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The version of glibc; `None` for another C library.
pub fn glibc_version() -> Option<String> {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: the text is constant and ends with NUL.
        let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
        Some(version.to_string_lossy().into_owned())
    }
    #[cfg(not(target_env = "gnu"))]
    None
}

/// Loads the library and calls tckms_version().
pub fn library_version(name: &str) -> Result<String, String> {
    let name = CString::new(name).map_err(|error| error.to_string())?;
    // SAFETY: the names end with NUL; loading libtckms runs nothing; tckms_version() has no parameters and returns constant text.
    unsafe {
        let library = libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
        if library.is_null() {
            let why = libc::dlerror();
            let why = if why.is_null() { "dlopen failed".into() } else { CStr::from_ptr(why).to_string_lossy() };
            return Err(why.into_owned());
        }
        let function = libc::dlsym(library, c"tckms_version".as_ptr());
        if function.is_null() {
            return Err("the library has no function tckms_version".to_owned());
        }
        let version = std::mem::transmute::<*mut c_void, extern "C" fn() -> *const c_char>(function);
        Ok(CStr::from_ptr(version()).to_string_lossy().into_owned())
    }
}

/// Whether the loader finds a library. Runs none of its functions.
pub fn can_load(name: &str) -> bool {
    // SAFETY: the name ends with NUL; the module has no constructor that does anything.
    CString::new(name)
        .is_ok_and(|name| unsafe { !libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL).is_null() })
}
