//! AWS-LC's memory comes from our allocator, which falls back to the reserve: AWS-LC ends the process when it has no memory
//! for the random number state of a thread.
//!
//! A thread's table of such states does not come from our allocator. It is made before the state is needed, where a failure is
//! only an error ([`prepare_thread`]).

use std::alloc::{Layout, alloc, dealloc};
use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// Before each block: its length. AWS-LC's own allocator does the same, and its code needs no larger alignment than that
/// leaves. valgrind knows blocks with such a prefix (the heuristic "length64"), so it does not call them "possibly lost".
const PREFIX_LEN: usize = size_of::<usize>();
const ALIGN: usize = PREFIX_LEN;

/// Set as the library is loaded: later, blocks of both kinds would exist, and AWS-LC could not tell them apart.
#[cfg(not(target_vendor = "apple"))]
#[used]
#[unsafe(link_section = ".init_array")]
static INITIALIZER: extern "C" fn() = set_functions;

extern "C" fn set_functions() {
    // SAFETY: the functions keep the contracts of malloc, realloc and free. No other thread is in the library yet.
    unsafe { aws_lc_sys::CRYPTO_set_mem_functions(Some(allocate), Some(reallocate), Some(free)) };
}

/// Has AWS-LC make the table of this thread's states, and says whether there is one.
pub(crate) fn prepare_thread() -> bool {
    thread_local! {
        static IS_READY: Cell<bool> = const { Cell::new(false) };
    }
    let is_ready = || IS_READY.try_with(Cell::get).unwrap_or(false);
    if !is_ready() {
        // The queue of errors is one of the states, and the only one that AWS-LC can do without.
        // SAFETY: the functions concern this thread's queue alone, which nothing reads.
        let has_queue = unsafe {
            aws_lc_sys::ERR_put_error(aws_lc_sys::ERR_LIB_CRYPTO as c_int, 0, 1, c"".as_ptr(), 0);
            let has_queue = aws_lc_sys::ERR_peek_error() != 0;
            aws_lc_sys::ERR_clear_error();
            has_queue
        };
        let _ = IS_READY.try_with(|ready| ready.set(has_queue));
    }
    is_ready()
}

unsafe extern "C" fn allocate(len: usize, _: *const c_char, _: c_int) -> *mut c_void {
    let Some(layout) = layout(len) else { return ptr::null_mut() };
    // SAFETY: the layout is not empty, and contains the length and the block after it.
    unsafe {
        let start = alloc(layout);
        if start.is_null() {
            return ptr::null_mut();
        }
        start.cast::<usize>().write(len);
        start.add(PREFIX_LEN).cast()
    }
}

unsafe extern "C" fn reallocate(block: *mut c_void, len: usize, _: *const c_char, _: c_int) -> *mut c_void {
    // SAFETY: the block is NULL or from `allocate`. The new one has at least as many bytes as are copied.
    unsafe {
        let new = allocate(len, ptr::null(), 0);
        if !new.is_null() && !block.is_null() {
            ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast(), len.min(len_of(block)));
            free(block, ptr::null(), 0);
        }
        new
    }
}

/// The allocator wipes the block.
unsafe extern "C" fn free(block: *mut c_void, _: *const c_char, _: c_int) {
    if block.is_null() {
        return;
    }
    // SAFETY: the block is from `allocate`, with the layout of its length.
    unsafe {
        if let Some(layout) = layout(len_of(block)) {
            dealloc(block.cast::<u8>().sub(PREFIX_LEN), layout);
        }
    }
}

/// # Safety
///
/// `block` is from [`allocate`].
unsafe fn len_of(block: *mut c_void) -> usize {
    // SAFETY: the caller's promise.
    unsafe { block.cast::<u8>().sub(PREFIX_LEN).cast::<usize>().read() }
}

fn layout(len: usize) -> Option<Layout> {
    Layout::from_size_align(len.checked_add(PREFIX_LEN)?, ALIGN).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_gets_a_table() {
        assert!(prepare_thread() && prepare_thread());
        assert!(std::thread::spawn(prepare_thread).join().unwrap());
    }

    #[test]
    fn a_block_keeps_its_bytes_when_it_grows_and_shrinks() {
        // SAFETY: blocks are used within their lengths and freed once.
        unsafe {
            let block = allocate(0, ptr::null(), 0);
            assert!(!block.is_null() && block.addr().is_multiple_of(ALIGN));
            let block = reallocate(block, 5, ptr::null(), 0).cast::<u8>();
            ptr::copy_nonoverlapping(b"12345".as_ptr(), block, 5);
            let block = reallocate(block.cast(), 5000, ptr::null(), 0);
            let block = reallocate(block, 3, ptr::null(), 0);
            assert_eq!(std::slice::from_raw_parts(block.cast::<u8>(), 3), b"123");
            free(block, ptr::null(), 0);
            free(ptr::null_mut(), ptr::null(), 0);
            assert!(allocate(usize::MAX, ptr::null(), 0).is_null());
        }
    }
}
