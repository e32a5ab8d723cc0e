//! The system's allocator, which wipes every block before it frees it.
//!
//! Copies of a secret inside the HTTP, TLS and JSON libraries are outside the control of
//! [`Secret`](crate::Secret); this allocator wipes them. If the system has no more memory, small blocks
//! come from the reserve.

use std::alloc::{GlobalAlloc, Layout, System};

use super::memory_reserve;

struct WipingAllocator;

#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator;

/// The block, or if it is NULL, one of zeros from the reserve.
fn or_reserved(block: *mut u8, layout: Layout) -> *mut u8 {
    if block.is_null() { memory_reserve::allocate(layout.size(), layout.align()) } else { block }
}

// Not inlined: wiping in each place that frees memory would make the library larger by a twentieth.
// SAFETY: every block comes from `System` or the reserve and goes back to it with the layout it came with.
unsafe impl GlobalAlloc for WipingAllocator {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps GlobalAlloc's contract, which is the same as that of `System`.
        or_reserved(unsafe { System.alloc(layout) }, layout)
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        or_reserved(unsafe { System.alloc_zeroed(layout) }, layout)
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block has `layout.size()` bytes and nothing uses it any more.
        unsafe {
            super::wipe::wipe(block, layout.size());
            if memory_reserve::contains(block) {
                memory_reserve::free(block, layout.size());
            } else {
                System.dealloc(block, layout);
            }
        }
    }

    /// Never in place: `realloc` could move the block and leave the old bytes where they were.
    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `new_size` is a size this alignment can have.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: both blocks have at least as many bytes as are copied, and they are not the same.
        unsafe {
            let new_block = self.alloc(new_layout);
            if !new_block.is_null() {
                std::ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            new_block
        }
    }
}
