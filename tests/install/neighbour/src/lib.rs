//! A library that uses the features of the Rust runtime: threads, thread-local values, panics, an allocator.

use std::cell::RefCell;
use std::panic::catch_unwind;
use std::thread;

thread_local! {
    static SEEN: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// The sum of the numbers up to `last`, each added on a separate thread; -1 if `last` is 0, after a panic.
#[unsafe(no_mangle)]
pub extern "C" fn neighbour_sum(last: u32) -> i64 {
    let sum = catch_unwind(|| {
        assert_ne!(last, 0, "there is nothing to add");
        let threads: Vec<_> = (1..=last).map(|number| thread::spawn(move || see(number))).collect();
        threads.into_iter().map(|thread| i64::from(thread.join().unwrap())).sum()
    });
    sum.unwrap_or(-1)
}

fn see(number: u32) -> u32 {
    SEEN.with_borrow_mut(|seen| seen.push(number));
    SEEN.with_borrow(|seen| seen.iter().sum())
}
