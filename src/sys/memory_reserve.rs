//! A reserve of memory for the small blocks of a call, for the time when the system's memory runs out.
//!
//! Rust ends the process if a small block cannot be allocated, and most code below this library does not
//! handle that. A host that survives NULL from `malloc` must not be ended by the library. So small blocks then
//! come from here: a part of the program's zero pages that costs nothing until it is used. Running calls can
//! finish with it, and new calls are refused while much of it is in use ([`is_low`]). Large blocks, whose
//! sizes depend on the program's input, do not come from here: their allocation fails, and the caller returns
//! an error.

use std::cell::UnsafeCell;
use std::hint;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The size of the reserve. A first call over TLS, with the thread that it starts, needs less than a quarter of
/// it.
const RESERVE_LEN: usize = 4 << 20;
/// The maximum size of a block.
const BLOCK_MAX: usize = 256 << 10;
/// Block sizes are rounded up to a multiple of this.
const UNIT: usize = 16;
/// The maximum alignment: structures that threads share are aligned to pairs of cache lines.
const ALIGN_MAX: usize = 4096;
const UNITS: usize = RESERVE_LEN / UNIT;
/// If the lock is held for longer, its owner is a thread that does not exist in this forked child.
const SPINS_MAX: u32 = 1_000_000;

#[repr(align(4096))]
struct Memory(UnsafeCell<[u8; RESERVE_LEN]>);

// SAFETY: each block is used by one owner at a time.
unsafe impl Sync for Memory {}

/// Which units are in use.
struct Map {
    /// One bit for each unit.
    bits: [u64; UNITS / 64],
    /// All units before this one are in use.
    first_free: usize,
}

struct SharedMap(UnsafeCell<Map>);

// SAFETY: only used while `LOCKED` is held.
unsafe impl Sync for SharedMap {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; RESERVE_LEN]));
static MAP: SharedMap = SharedMap(UnsafeCell::new(Map { bits: [0; UNITS / 64], first_free: 0 }));
static LOCKED: AtomicBool = AtomicBool::new(false);
static UNITS_IN_USE: AtomicUsize = AtomicUsize::new(0);

/// Whether too much is in use for a new call to begin.
pub(crate) fn is_low() -> bool {
    UNITS_IN_USE.load(Ordering::Relaxed) > UNITS / 2
}

/// A block of zeros, or NULL.
#[cold]
pub(super) fn allocate(size: usize, align: usize) -> *mut u8 {
    if size == 0 || size > BLOCK_MAX || align > ALIGN_MAX {
        return ptr::null_mut();
    }
    let wanted = size.div_ceil(UNIT);
    with_map(|map| {
        let first = map.find_free(wanted, align.div_ceil(UNIT))?;
        map.mark(first, wanted, true);
        UNITS_IN_USE.fetch_add(wanted, Ordering::Relaxed);
        Some(MEMORY.0.get().cast::<u8>().wrapping_add(first * UNIT))
    })
    .flatten()
    .unwrap_or(ptr::null_mut())
}

/// Whether a block is from here.
pub(super) fn contains(block: *const u8) -> bool {
    block.addr().wrapping_sub(MEMORY.0.get().addr()) < RESERVE_LEN
}

/// Frees a block, which must be zeroed already.
#[cold]
pub(super) fn free(block: *mut u8, size: usize) {
    let first = (block.addr() - MEMORY.0.get().addr()) / UNIT;
    let units = size.div_ceil(UNIT);
    // If the lock is not available, the block is lost.
    with_map(|map| {
        map.mark(first, units, false);
        UNITS_IN_USE.fetch_sub(units, Ordering::Relaxed);
    });
}

fn with_map<T>(work: impl FnOnce(&mut Map) -> T) -> Option<T> {
    let mut spins = 0;
    while LOCKED.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        spins += 1;
        if spins > SPINS_MAX {
            return None;
        }
        hint::spin_loop();
    }
    // SAFETY: the lock is held, and `work` neither panics nor allocates.
    let outcome = work(unsafe { &mut *MAP.0.get() });
    LOCKED.store(false, Ordering::Release);
    Some(outcome)
}

impl Map {
    /// The first of `wanted` free units in a row that begin at a multiple of `step`.
    fn find_free(&self, wanted: usize, step: usize) -> Option<usize> {
        let (mut unit, mut run) = (self.first_free, 0);
        while unit < UNITS {
            let word = self.bits[unit / 64];
            if word == u64::MAX {
                (unit, run) = ((unit / 64 + 1) * 64, 0);
                continue;
            }
            let can_begin = run > 0 || unit.is_multiple_of(step);
            run = if can_begin && word & 1 << (unit % 64) == 0 { run + 1 } else { 0 };
            unit += 1;
            if run == wanted {
                return Some(unit - wanted);
            }
        }
        None
    }

    fn mark(&mut self, first: usize, units: usize, in_use: bool) {
        for unit in first..first + units {
            let bit = 1 << (unit % 64);
            let word = &mut self.bits[unit / 64];
            *word = if in_use { *word | bit } else { *word & !bit };
        }
        if in_use && first == self.first_free {
            self.first_free = first + units;
        } else if !in_use {
            self.first_free = self.first_free.min(first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_come_back() {
        let sizes = [1, 64, 65, 1000, 4096, BLOCK_MAX];
        let before = UNITS_IN_USE.load(Ordering::Relaxed);
        let blocks: Vec<_> = sizes.iter().map(|size| allocate(*size, 16)).collect();
        for (index, (block, size)) in blocks.iter().zip(sizes).enumerate() {
            assert!(contains(*block) && block.addr() % UNIT == 0);
            let end = block.addr() + size;
            assert!(blocks.iter().skip(index + 1).all(|other| other.addr() >= end || other.addr() < block.addr()));
        }
        blocks.iter().zip(sizes).for_each(|(block, size)| free(*block, size));
        assert_eq!(UNITS_IN_USE.load(Ordering::Relaxed), before);
        assert_eq!(allocate(1, 16), blocks[0]);
        free(blocks[0], 1);
        for align in [1, 8, 16, 64, 128, ALIGN_MAX] {
            let block = allocate(100, align);
            assert!(block.addr().is_multiple_of(align) && contains(block));
            free(block, 100);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(
            allocate(BLOCK_MAX + 1, 16).is_null() && allocate(1, 2 * ALIGN_MAX).is_null() && allocate(0, 1).is_null()
        );
        assert!(!contains(ptr::null()) && !contains(MEMORY.0.get().cast::<u8>().wrapping_add(RESERVE_LEN)));
    }
}
