//! Memory that was not touched before, as a function that returns its result gets it.

use std::ptr;

use crate::error::Result;

/// Mapped in large pages where the system has them, as the library maps its results.
pub struct Fresh {
    start: *mut u8,
    len: usize,
}

impl Fresh {
    pub fn map(len: usize) -> Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error().into());
        }
        // SAFETY: the range was just mapped. The advice changes nothing but speed.
        #[cfg(target_os = "linux")]
        unsafe {
            libc::madvise(start, len, libc::MADV_HUGEPAGE)
        };
        Ok(Self { start: start.cast(), len })
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is ours alone and full of zeros.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nothing uses it any more.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}
