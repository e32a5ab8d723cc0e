//! New memory from the kernel, as a function gets it that returns a large result.

use std::ptr;

use crate::error::Result;

/// A mapping, in huge pages if the system has them. The library maps large results in the same way.
pub struct NewMemory {
    start: *mut u8,
    len: usize,
}

impl NewMemory {
    pub fn map(len: usize) -> Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: an anonymous mapping at an address that the kernel chooses does not affect existing memory.
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
        // SAFETY: the mapping is not shared, and the kernel filled it with zeros.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl Drop for NewMemory {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nothing uses it after this.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}
