//! A reserve for the small allocations of running calls after `malloc` has failed.
//!
//! Rust ends the process when a small allocation fails, and the crates below this library rely on that. A host that survives a
//! failed `malloc` must also survive it here. So small blocks then come from this reserve: zero pages of the program, which
//! cost nothing until they are used. Running calls finish with it, and new calls are refused while much of it is in use
//! ([`is_low`]). Large blocks, whose sizes depend on what the program passes, do not come from here: their allocation fails,
//! and the code that requested them returns an error.

use std::cell::UnsafeCell;
use std::hint;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// All of the reserve. A first call over TLS, with the thread that it starts, needs less than a quarter of it.
const RESERVE_LEN: usize = 4 << 20;
/// The longest block that comes from it.
const BLOCK_MAX: usize = 256 << 10;
/// What blocks are rounded up to.
const UNIT: usize = 16;
/// The largest alignment that is wanted: structures that threads share are aligned to pairs of cache lines.
const ALIGN_MAX: usize = 4096;
const UNITS: usize = RESERVE_LEN / UNIT;
/// How often the lock is tried before its holder gets time to run, and how often after that.
const SPINS: u32 = 1_000;
const SLEEPS: u32 = 20_000;
const SLEEP: Duration = Duration::from_micros(50);

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

// SAFETY: only used by the holder of the lock.
unsafe impl Sync for SharedMap {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; RESERVE_LEN]));
static MAP: SharedMap = SharedMap(UnsafeCell::new(Map { bits: [0; UNITS / 64], first_free: 0 }));
/// Which thread holds the lock: the address of its [`THREAD`], [`UNLOCKED`] or [`LOST`].
static HOLDER: AtomicUsize = AtomicUsize::new(UNLOCKED);
static UNITS_IN_USE: AtomicUsize = AtomicUsize::new(0);

const UNLOCKED: usize = 0;
/// A child that was made around the fork handlers, as by the bare system call, has no thread that would release the lock.
const LOST: usize = usize::MAX;

thread_local! {
    static THREAD: u8 = const { 0 };
}

/// Whether so much is in use that no new call should begin.
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

/// Takes a block back. It is zeros already.
#[cold]
pub(super) fn free(block: *mut u8, size: usize) {
    let first = (block.addr() - MEMORY.0.get().addr()) / UNIT;
    let units = size.div_ceil(UNIT);
    // Where the lock cannot be had, the block is lost.
    with_map(|map| {
        map.mark(first, units, false);
        UNITS_IN_USE.fetch_sub(units, Ordering::Relaxed);
    });
}

/// None for a signal handler that interrupted the holder: it cannot wait for that.
fn with_map<T>(work: impl FnOnce(&mut Map) -> T) -> Option<T> {
    let own = own_address();
    lock(own)?;
    // SAFETY: the lock is held, and `work` neither panics nor allocates.
    let outcome = work(unsafe { &mut *MAP.0.get() });
    HOLDER.store(UNLOCKED, Ordering::Release);
    Some(outcome)
}

fn own_address() -> usize {
    THREAD.with(|mark| ptr::from_ref(mark).addr())
}

fn lock(own: usize) -> Option<()> {
    for tries in 0..SPINS + SLEEPS {
        match HOLDER.compare_exchange(UNLOCKED, own, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Some(()),
            Err(holder) if holder == own || holder == LOST => return None,
            Err(_) if tries < SPINS => hint::spin_loop(),
            Err(holder) if tries + 1 == SPINS + SLEEPS => {
                // One wait of a second is enough for a lock that is never released.
                let _ = HOLDER.compare_exchange(holder, LOST, Ordering::Relaxed, Ordering::Relaxed);
            }
            Err(_) => thread::sleep(SLEEP),
        }
    }
    None
}

/// To be called in a forked child, on its only thread: another thread of the parent may have held the lock. What that
/// thread was changing is either still in use, and then lost to the child, or free.
pub(super) fn release_after_fork() {
    let holder = HOLDER.load(Ordering::Acquire);
    if holder == UNLOCKED || holder == own_address() {
        return;
    }
    // SAFETY: no other thread exists that could hold the lock.
    let map = unsafe { &mut *MAP.0.get() };
    map.first_free = 0;
    UNITS_IN_USE.store(map.bits.iter().map(|word| word.count_ones() as usize).sum(), Ordering::Relaxed);
    HOLDER.store(UNLOCKED, Ordering::Release);
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
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::Instant;

    use super::*;

    /// The tests count what is in use, so they run one after the other.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn a_child_takes_the_lock_from_a_thread_that_it_does_not_have() {
        let _alone = alone();
        let before = UNITS_IN_USE.load(Ordering::Relaxed);
        // Another thread was about to take a block: its units are marked, but not counted yet.
        thread::spawn(|| {
            lock(own_address()).unwrap();
            // SAFETY: the lock is held.
            unsafe { &mut *MAP.0.get() }.mark(UNITS - 7, 7, true);
        })
        .join()
        .unwrap();
        release_after_fork();
        assert_eq!(UNITS_IN_USE.load(Ordering::Relaxed), before + 7);
        let began = Instant::now();
        let block = allocate(100, 16);
        assert!(contains(block) && began.elapsed() < Duration::from_millis(50));
        free(block, 100);
        free(MEMORY.0.get().cast::<u8>().wrapping_add((UNITS - 7) * UNIT), 7 * UNIT);
        assert_eq!(UNITS_IN_USE.load(Ordering::Relaxed), before);
    }

    #[test]
    fn a_handler_on_the_thread_that_holds_the_lock_does_not_wait_and_takes_nothing() {
        let _alone = alone();
        lock(own_address()).unwrap();
        release_after_fork();
        let began = Instant::now();
        assert!(allocate(100, 16).is_null());
        assert!(began.elapsed() < Duration::from_millis(50));
        HOLDER.store(UNLOCKED, Ordering::Release);
    }

    #[test]
    fn a_lock_that_is_never_released_is_waited_for_once() {
        let _alone = alone();
        thread::spawn(|| lock(own_address()).unwrap()).join().unwrap();
        assert!(allocate(100, 16).is_null());
        let began = Instant::now();
        assert!(allocate(100, 16).is_null());
        assert!(began.elapsed() < Duration::from_millis(50));
        HOLDER.store(UNLOCKED, Ordering::Release);
    }

    #[test]
    fn blocks_do_not_overlap_and_are_reused() {
        let _alone = alone();
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
