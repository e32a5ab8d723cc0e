//! The signal mask of a thread.

/// Runs `work` with every signal blocked on this thread, and restores the thread's mask afterwards.
///
/// A thread that `work` starts inherits the full mask for its whole life: no signal of the host is ever delivered on
/// it, and a SIGPIPE that its writes raise stays pending on it.
pub(crate) fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    let restore = MaskGuard::block_all();
    let outcome = work();
    drop(restore);
    outcome
}

#[cfg_attr(miri, allow(dead_code))]
struct MaskGuard(libc::sigset_t);

impl MaskGuard {
    #[cfg(miri)]
    fn block_all() -> Self {
        // SAFETY: it is plain data. Miri knows no signals.
        Self(unsafe { std::mem::zeroed() })
    }

    #[cfg(not(miri))]
    fn block_all() -> Self {
        // SAFETY: sigset_t is plain data, and both sets outlive the calls that fill and read them.
        unsafe {
            let mut all = std::mem::zeroed();
            let mut before = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            Self(before)
        }
    }
}

impl Drop for MaskGuard {
    fn drop(&mut self) {
        #[cfg(not(miri))]
        // SAFETY: the saved set came from pthread_sigmask on this same thread.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows no signals")]
    fn the_mask_is_put_back_even_after_a_panic() {
        let mask = || {
            // SAFETY: reads this thread's mask into a set of our own.
            unsafe {
                let mut now = std::mem::zeroed();
                libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut now);
                libc::sigismember(&now, libc::SIGUSR1)
            }
        };
        let _ = std::panic::catch_unwind(|| {
            with_signals_blocked(|| {
                assert_eq!(mask(), 1);
                std::panic::resume_unwind(Box::new("on purpose"));
            })
        });
        assert_eq!(mask(), 0);
    }
}
