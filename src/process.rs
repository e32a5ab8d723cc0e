//! The process the library lives in: which one it is, which signals its thread may get, and what the system gives it.
//!
//! The only safe-side module that calls the operating system directly.

use std::io;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

/// Which process this is, in a way that survives `fork` and the reuse of process ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProcessId {
    Generation(u64),
    Pid(u32),
}

/// The process that runs this code now.
///
/// The pid alone is not enough: a descendant may get the number of a dead ancestor. The generation lives in a page
/// that the kernel wipes in a forked child (`MADV_WIPEONFORK`, Linux 4.14), so a child finds 0 there and draws a new
/// one. Where the kernel cannot do that the pid, which takes a system call, decides.
pub(crate) fn current() -> ProcessId {
    match generation() {
        Some(generation) => ProcessId::Generation(generation),
        None => ProcessId::Pid(std::process::id()),
    }
}

static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());

fn generation() -> Option<u64> {
    let cell = wiped_on_fork()?;
    Some(match cell.load(Ordering::Acquire) {
        0 => draw_generation(cell),
        known => known,
    })
}

/// Never the same for two processes that descend from each other: they differ in the pid, whose 22 bits (`PID_MAX_LIMIT`)
/// are the upper ones, or in the nanosecond, of which the lower ones tell 73 minutes apart.
fn draw_generation(cell: &AtomicU64) -> u64 {
    let nanos = std::time::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos() as u64);
    let fresh = u64::from(std::process::id()) << 42 | nanos & ((1 << 42) - 1);
    match cell.compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => fresh,
        Err(other) => other,
    }
}

/// The page is mapped once and never unmapped, so that every thread may keep looking at it.
fn wiped_on_fork() -> Option<&'static AtomicU64> {
    let known = PAGE.load(Ordering::Acquire);
    let page = if known.is_null() { publish_page()? } else { known };
    // SAFETY: a published page is mapped for reading and writing for the life of the process and all its children.
    Some(unsafe { &*page })
}

fn publish_page() -> Option<*mut AtomicU64> {
    let page = map_page()?;
    match PAGE.compare_exchange(std::ptr::null_mut(), page, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(page),
        Err(other) => {
            // SAFETY: the page lost the race and was never shown to anybody.
            unsafe { libc::munmap(page.cast(), PAGE_LEN) };
            Some(other)
        }
    }
}

const PAGE_LEN: usize = size_of::<AtomicU64>();

#[cfg(target_os = "linux")]
fn map_page() -> Option<*mut AtomicU64> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that exists.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE_LEN, access, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the page was mapped just now and is ours alone.
    let advised = unsafe { libc::madvise(page, PAGE_LEN, libc::MADV_WIPEONFORK) };
    if advised != 0 {
        // SAFETY: as above.
        unsafe { libc::munmap(page, PAGE_LEN) };
        return None;
    }
    Some(page.cast())
}

#[cfg(not(target_os = "linux"))]
fn map_page() -> Option<*mut AtomicU64> {
    None
}

/// Runs `work` with every signal blocked on this thread, and puts the thread's mask back afterwards.
///
/// A thread that `work` starts inherits the full mask for its whole life: no signal of the host is ever delivered on
/// it, and a SIGPIPE that its writes raise stays pending on it.
#[cfg(unix)]
pub(crate) fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    let restore = MaskGuard::block_all();
    let outcome = work();
    drop(restore);
    outcome
}

#[cfg(not(unix))]
pub(crate) fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[cfg(unix)]
struct MaskGuard(libc::sigset_t);

#[cfg(unix)]
impl MaskGuard {
    fn block_all() -> Self {
        // SAFETY: sigset_t is plain data, and both sets outlive the calls that fill and read them.
        unsafe {
            let mut all = std::mem::zeroed();
            let mut before = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            Self(before)
        }
    }
}

#[cfg(unix)]
impl Drop for MaskGuard {
    fn drop(&mut self) {
        // SAFETY: the saved set came from pthread_sigmask on this same thread.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}

/// Has functions called around each `fork` of this process, for as long as it lives.
#[cfg(unix)]
pub(crate) fn at_fork(before: extern "C" fn(), in_parent: extern "C" fn(), in_child: extern "C" fn()) {
    // SAFETY: the functions stay where they are, as the library is never unmapped (`-z nodelete`).
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

#[cfg(not(unix))]
pub(crate) fn at_fork(_: extern "C" fn(), _: extern "C" fn(), _: extern "C" fn()) {}

/// Overwrites a slice with zeros, see [`wipe`].
pub(crate) fn wipe_slice(bytes: &mut [u8]) {
    // SAFETY: the slice is writable and as long as it says.
    unsafe { wipe(bytes.as_mut_ptr(), bytes.len()) }
}

/// Overwrites memory with zeros in a way that no compiler leaves out, at the speed of `memset`.
///
/// # Safety
///
/// `memory` points to `len` bytes that may be written.
pub(crate) unsafe fn wipe(memory: *mut u8, len: usize) {
    #[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "openbsd"))]
    // SAFETY: the caller's promise.
    unsafe {
        libc::explicit_bzero(memory.cast(), len);
    }
    #[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "openbsd")))]
    // SAFETY: the caller's promise.
    unsafe {
        zeroize::Zeroize::zeroize(std::slice::from_raw_parts_mut(memory, len));
    }
}

/// Overwrites the vector registers, none of which a function keeps for its caller.
#[cfg(target_arch = "x86_64")]
pub(crate) fn wipe_vector_registers() {
    // SAFETY: the CPU and the system have these registers.
    unsafe {
        if is_x86_feature_detected!("avx512f") {
            wipe_avx512_registers();
        } else if is_x86_feature_detected!("avx") {
            wipe_avx_registers();
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn wipe_vector_registers() {}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
fn wipe_avx_registers() {
    // SAFETY: it changes only registers that are named as changed.
    unsafe { std::arch::asm!("vzeroall", clobber_abi("sysv64"), options(nomem, nostack)) }
}

/// `vzeroall` knows the first sixteen only.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn wipe_avx512_registers() {
    // SAFETY: it changes only registers that are named as changed.
    unsafe {
        std::arch::asm!(
            "vzeroall",
            "vpxorq zmm16, zmm16, zmm16",
            "vpxorq zmm17, zmm17, zmm17",
            "vpxorq zmm18, zmm18, zmm18",
            "vpxorq zmm19, zmm19, zmm19",
            "vpxorq zmm20, zmm20, zmm20",
            "vpxorq zmm21, zmm21, zmm21",
            "vpxorq zmm22, zmm22, zmm22",
            "vpxorq zmm23, zmm23, zmm23",
            "vpxorq zmm24, zmm24, zmm24",
            "vpxorq zmm25, zmm25, zmm25",
            "vpxorq zmm26, zmm26, zmm26",
            "vpxorq zmm27, zmm27, zmm27",
            "vpxorq zmm28, zmm28, zmm28",
            "vpxorq zmm29, zmm29, zmm29",
            "vpxorq zmm30, zmm30, zmm30",
            "vpxorq zmm31, zmm31, zmm31",
            clobber_abi("sysv64"),
            options(nomem, nostack)
        )
    }
}

/// A descriptor that tells whether the host closed the descriptors of this process behind our back.
///
/// It is one end of a pipe: unlike sockets and event descriptors, each pipe has an inode of its own, so a file of the
/// host's that gets the same number is told apart.
#[cfg(unix)]
pub(crate) struct Canary {
    descriptor: libc::c_int,
    inode: (libc::dev_t, libc::ino_t),
}

#[cfg(unix)]
impl Canary {
    pub fn new() -> io::Result<Self> {
        use std::os::fd::IntoRawFd;
        // The standard library makes both ends close on exec; the other end is closed at once.
        let (reader, _writer) = std::io::pipe()?;
        let descriptor = reader.into_raw_fd();
        let inode = inode(descriptor).ok_or_else(std::io::Error::last_os_error)?;
        Ok(Self { descriptor, inode })
    }

    pub fn is_alive(&self) -> bool {
        inode(self.descriptor) == Some(self.inode)
    }
}

#[cfg(unix)]
impl Drop for Canary {
    fn drop(&mut self) {
        if self.is_alive() {
            // SAFETY: the descriptor is still ours.
            unsafe { libc::close(self.descriptor) };
        }
    }
}

#[cfg(unix)]
fn inode(descriptor: libc::c_int) -> Option<(libc::dev_t, libc::ino_t)> {
    // SAFETY: `stat` is plain data, and fstat writes it or fails.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        (libc::fstat(descriptor, &mut stat) == 0).then_some((stat.st_dev, stat.st_ino))
    }
}

#[cfg(not(unix))]
pub(crate) struct Canary;

#[cfg(not(unix))]
impl Canary {
    pub fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub fn is_alive(&self) -> bool {
        true
    }
}

/// While it lives, `pthread_cancel` waits: what cancels a thread unwinds its stack, and that must not go through Rust. Where
/// the host let it come at any instruction, it comes as soon as this ends.
pub(crate) struct Uncancelable(libc::c_int);

#[cfg(target_os = "linux")]
impl Uncancelable {
    pub fn begin() -> Self {
        Self(set_cancel_state(PTHREAD_CANCEL_DISABLE))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Uncancelable {
    fn drop(&mut self) {
        set_cancel_state(self.0);
    }
}

#[cfg(target_os = "linux")]
const PTHREAD_CANCEL_DISABLE: libc::c_int = 1;

/// The state before.
#[cfg(target_os = "linux")]
fn set_cancel_state(state: libc::c_int) -> libc::c_int {
    unsafe extern "C" {
        fn pthread_setcancelstate(state: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
    }
    let mut before = 0;
    // SAFETY: the call fills a number of our own, and changes this thread alone.
    unsafe { pthread_setcancelstate(state, &mut before) };
    before
}

#[cfg(not(target_os = "linux"))]
impl Uncancelable {
    pub fn begin() -> Self {
        Self(0)
    }
}

/// Takes random numbers from the system, as many as it gives at once: at most 256 are asked for.
pub(crate) fn draw_random(room: &mut [u8]) -> io::Result<usize> {
    // SAFETY: `room` may be written, and no more than its length is.
    #[cfg(target_os = "linux")]
    let drawn = unsafe { libc::getrandom(room.as_mut_ptr().cast(), room.len(), 0) };
    // SAFETY: as above.
    #[cfg(not(target_os = "linux"))]
    let drawn = match unsafe { libc::getentropy(room.as_mut_ptr().cast(), room.len()) } {
        0 => room.len() as isize,
        failure => failure as isize,
    };
    usize::try_from(drawn).map_err(|_| io::Error::last_os_error())
}

/// A clock that nobody sets and that goes on while the machine sleeps.
pub(crate) fn time_since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills a timespec of our own; Linux has the clock since 2.6.39.
    unsafe { libc::clock_gettime(CLOCK, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_the_same_on_every_thread() {
        let here = current();
        let there = std::thread::spawn(current).join().unwrap();
        assert_eq!(here, there);
    }

    #[test]
    #[cfg(unix)]
    fn the_mask_is_put_back_even_after_a_panic() {
        let mask = || {
            // SAFETY: reads this thread's mask into a set of our own.
            unsafe {
                let mut now = std::mem::zeroed();
                libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut now);
                libc::sigismember(&now, libc::SIGUSR1)
            }
        };
        let _ = std::panic::catch_unwind(|| {
            with_signals_blocked(|| {
                assert_eq!(mask(), 1);
                std::panic::resume_unwind(Box::new("on purpose"));
            })
        });
        assert_eq!(mask(), 0);
    }
}
