//! Buffers: memory that the library returns to the program.

use std::ffi::c_void;
use std::{ptr, slice};

use super::arguments::null;
use super::guard::guard_infallible;
use super::overlap::check_output;
use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::wipe;

/// Bytes that a function returns. The library owns the memory; tckms_buffer_free() wipes and frees
/// it.
///
/// The bytes are always followed by a NUL byte that `len` does not count, so text can be printed. Do
/// not change the members. Any thread may use or move a buffer; no other thread may use it while one
/// frees it.
#[repr(C)]
pub struct tckms_buffer {
    /// The first byte, or NULL when the buffer is empty.
    pub data: *mut u8,
    /// The number of bytes, without the NUL byte that follows them.
    pub len: usize,
}

/// Of `data`: a line of the cache. AES-GCM is up to a third slower when each of its stores is split
/// between two.
const ALIGNMENT: usize = 64;

impl tckms_buffer {
    /// The caller's buffer, set to empty.
    ///
    /// # Safety
    ///
    /// `pointer` is NULL or points to a buffer that may be written ("Outputs" in the header).
    pub(super) unsafe fn out<'a>(pointer: *mut Self, name: &str) -> Result<&'a mut Self> {
        // SAFETY: the caller's promise. The members may be uninitialised, so they are written
        // before a reference exists.
        unsafe {
            if pointer.is_null() {
                return Err(null(name));
            }
            check_output(pointer, size_of::<Self>(), name)?;
            pointer.write(Self { data: ptr::null_mut(), len: 0 });
            Ok(&mut *pointer)
        }
    }

    /// Fills an empty buffer with a copy of `bytes`.
    pub(super) fn fill(&mut self, bytes: &[u8]) -> Result<()> {
        self.allocate(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Fills an empty buffer with the `len` bytes that `write` writes. If it fails, they are wiped
    /// and freed.
    pub(super) fn fill_with(&mut self, len: usize, write: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<()> {
        write(self.allocate(len)?).inspect_err(|_| self.clear())
    }

    /// A block of zeros, so that a slice of it is valid. Large blocks are the kernel's zero pages,
    /// which cost nothing beyond mapping them.
    fn allocate<'a>(&mut self, len: usize) -> Result<&'a mut [u8]> {
        self.clear();
        let out_of_memory = || Error::new(Status::OutOfMemory, format!("no memory for a result of {len} bytes"));
        let size = len.checked_add(1 + ALIGNMENT).ok_or_else(out_of_memory)?;
        // SAFETY: calloc takes any size.
        let block = unsafe { libc::calloc(size, 1).cast::<u8>() };
        if block.is_null() {
            return Err(out_of_memory());
        }
        prefer_large_pages(block, size);
        let skipped = ALIGNMENT - block.addr() % ALIGNMENT;
        // SAFETY: the block has ALIGNMENT bytes, of which 1 to ALIGNMENT are skipped, then `len`
        // initialised bytes and one more. Nothing else refers to it before this call returns to C
        // or `clear` frees it.
        unsafe {
            self.data = block.add(skipped);
            self.data.sub(1).write(skipped as u8);
            self.len = len;
            Ok(slice::from_raw_parts_mut(self.data, len))
        }
    }

    /// Wipes and frees the block, if there is one.
    pub(super) fn clear(&mut self) {
        if !self.data.is_null() {
            // SAFETY: the block came from `allocate`, with `len` bytes and one more; the byte
            // before them is the offset of the block's start.
            unsafe {
                wipe::wipe(self.data, self.len + 1);
                let skipped = usize::from(self.data.sub(1).read());
                libc::free(self.data.sub(skipped).cast());
            }
        }
        self.data = ptr::null_mut();
        self.len = 0;
    }
}

/// Requests pages of 2 MiB within a large block: mapping small ones takes longer than encrypting
/// into them.
#[cfg(target_os = "linux")]
fn prefer_large_pages(block: *mut u8, size: usize) {
    const LARGE_PAGE: usize = 2 << 20;
    let start = block.addr().next_multiple_of(LARGE_PAGE);
    let end = (block.addr() + size) / LARGE_PAGE * LARGE_PAGE;
    if end.saturating_sub(start) >= 2 * LARGE_PAGE {
        // SAFETY: the range is within the block. The advice only affects speed, and may be refused.
        unsafe { libc::madvise(block.add(start - block.addr()).cast(), end - start, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn prefer_large_pages(_: *mut u8, _: usize) {}

/// Wipes and frees the memory of a buffer, and sets the buffer to empty.
///
/// @param buffer  NULL or a buffer that a function of this library filled or that is empty; both are
///                harmless.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_buffer_free(buffer: *mut tckms_buffer) {
    guard_infallible((), || {
        // SAFETY: NULL or a buffer of this library ("Buffers" in the header).
        if let Some(buffer) = unsafe { buffer.as_mut() } {
            buffer.clear();
        }
    });
}

/// Overwrites memory with zeros in a way that compilers do not optimise away.
///
/// @param memory  The first byte; NULL is harmless.
/// @param len     The number of bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_wipe(memory: *mut c_void, len: usize) {
    if !memory.is_null() {
        // SAFETY: the caller's memory ("Strings and buffers" in the header).
        unsafe { wipe::wipe(memory.cast(), len) };
    }
}

/// Compares memory in a time that does not depend on its content.
///
/// @param a    The first bytes; may be NULL when `len` is 0.
/// @param b    The second bytes; may be NULL when `len` is 0.
/// @param len  The number of bytes in each.
/// @return     1 when they are equal, 0 when they differ or one of them is NULL while `len` is not
///             0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_equal(a: *const c_void, b: *const c_void, len: usize) -> std::ffi::c_int {
    if len == 0 {
        return 1;
    }
    if a.is_null() || b.is_null() || isize::try_from(len).is_err() {
        return 0;
    }
    // SAFETY: the caller's memory ("Strings and buffers" in the header).
    let (a, b) = unsafe { (slice::from_raw_parts(a.cast(), len), slice::from_raw_parts(b.cast(), len)) };
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok().into()
}
