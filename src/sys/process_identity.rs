//! The identity of the process.

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// The identity of a process, which distinguishes forked children and processes that reuse a process id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProcessId {
    Generation(u64),
    Pid(u32),
}

/// The process that runs this code now.
///
/// The pid alone is not enough: a descendant may get the pid of an ancestor that has ended. The generation is in a
/// page that the kernel wipes in a forked child (`MADV_WIPEONFORK`, Linux 4.14), so a child reads 0 and draws a
/// new one. If the kernel cannot do that, the pid decides, which takes a system call.
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

/// Never the same for two processes that descend from each other: they differ in the pid, whose 22 bits
/// (`PID_MAX_LIMIT`) are the upper ones, or in the nanosecond, whose lower bits distinguish moments within 73
/// minutes.
fn draw_generation(cell: &AtomicU64) -> u64 {
    let nanos = std::time::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos() as u64);
    let fresh = u64::from(std::process::id()) << 42 | nanos & ((1 << 42) - 1);
    match cell.compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => fresh,
        Err(other) => other,
    }
}

/// The page is mapped once and never unmapped, so every thread may keep a pointer to it.
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
            // SAFETY: the page lost the race and was never published.
            unsafe { libc::munmap(page.cast(), PAGE_LEN) };
            Some(other)
        }
    }
}

const PAGE_LEN: usize = size_of::<AtomicU64>();
#[cfg(all(target_os = "linux", not(miri)))]
const UNKNOWN_ADVICE: libc::c_int = -1;

#[cfg(all(target_os = "linux", not(miri)))]
fn map_page() -> Option<*mut AtomicU64> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that exists.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE_LEN, access, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the page was mapped just now and is ours alone.
    let accepts = |advice| unsafe { libc::madvise(page, PAGE_LEN, advice) == 0 };
    // qemu-user accepts what it does not know, also advice that does not exist.
    if accepts(UNKNOWN_ADVICE) || !accepts(libc::MADV_WIPEONFORK) {
        // SAFETY: as above.
        unsafe { libc::munmap(page, PAGE_LEN) };
        return None;
    }
    Some(page.cast())
}

#[cfg(any(not(target_os = "linux"), miri))]
fn map_page() -> Option<*mut AtomicU64> {
    None
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
}
