//! Entry into AWS-LC, which holds its random generator and its process-wide locks.

use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_os = "linux")]
use super::aws_lc_seed;
use super::fork_lock;
use super::random::RandomUnavailable;

/// Runs cryptography that draws random numbers or takes AWS-LC's locks. `work` must not call code of the host.
pub(crate) fn run<T>(work: impl FnOnce() -> T) -> Result<T, RandomUnavailable> {
    prepare()?;
    Ok(fork_lock::with_forks_blocked(work))
}

/// Call it before AWS-LC draws its first random number, as early as possible: if the kernel has no
/// `getrandom`, the device must be reachable once, which it may not be after a `chroot`.
pub(crate) fn prepare() -> Result<(), RandomUnavailable> {
    static PREPARED: AtomicBool = AtomicBool::new(false);
    if !PREPARED.load(Ordering::Acquire) {
        #[cfg(target_os = "linux")]
        aws_lc_seed::install()?;
        PREPARED.store(true, Ordering::Release);
    }
    Ok(())
}
