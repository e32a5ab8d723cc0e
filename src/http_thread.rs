//! What becomes of the HTTP thread when it cannot go on.
//!
//! A host that closes every descriptor, as old daemons do, takes the thread's epoll and event descriptors away. The
//! thread then panics. To unwind would close, by number, descriptors that are the host's by now, and would wake others
//! through them, which panics again and ends the process. So the thread stays where it is, asleep for ever, and says that
//! its transport is broken.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

thread_local! {
    static BROKEN: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// Called on an HTTP thread: remembers the flag that says its transport is broken.
pub(crate) fn adopt(broken: &Arc<AtomicBool>) {
    let _ = BROKEN.try_with(|flag| {
        if let Ok(mut flag) = flag.try_borrow_mut() {
            flag.get_or_insert_with(|| Arc::clone(broken));
        }
    });
}

/// Called where a panic begins: does not return on an HTTP thread of ours.
pub(crate) fn sleep_if_it_is_this_one() {
    let broken = BROKEN.try_with(|flag| flag.try_borrow().ok().and_then(|flag| flag.clone()));
    if let Ok(Some(broken)) = broken {
        broken.store(true, Ordering::Release);
        loop {
            thread::park();
        }
    }
}
