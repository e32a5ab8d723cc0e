//! The interface to the operating system. Only this module and [`crate::ffi`] contain `unsafe`.
//!
//! Nothing here depends on the rest of the crate.

#[cfg(not(unix))]
compile_error!(
    "tckms supports Linux (glibc 2.17 or later, musl), and builds on macOS and FreeBSD; see docs/portability.md"
);

pub(crate) mod aws_lc;
#[cfg(target_os = "linux")]
mod aws_lc_seed;
pub(crate) mod cancel;
pub(crate) mod clock;
pub(crate) mod cpu;
#[cfg(feature = "wipe-on-free")]
pub(crate) mod crypto_memory;
#[cfg(not(feature = "wipe-on-free"))]
pub(crate) mod crypto_memory {
    /// Without the library's allocator there is no reserve, and nothing to prepare.
    pub(crate) fn prepare_thread() -> bool {
        true
    }
}
pub(crate) mod descriptor;
pub(crate) mod descriptor_stream;
pub(crate) mod entropy;
pub(crate) mod fd_sentinel;
pub(crate) mod file;
pub(crate) mod fork_counter;
pub(crate) mod fork_lock;
#[cfg(target_os = "linux")]
mod futex;
pub(crate) mod hmac_sha512;
pub(crate) mod lend;
#[cfg_attr(not(feature = "wipe-on-free"), allow(dead_code))]
pub(crate) mod memory_reserve;
#[cfg(miri)]
mod miri;
pub(crate) mod parker;
pub(crate) mod per_process;
pub(crate) mod privileges;
pub(crate) mod process_identity;
pub(crate) mod random;
pub(crate) mod ready_pipe;
#[cfg(target_os = "linux")]
mod seed_reserve;
pub(crate) mod signals;
pub(crate) mod single_flight;
pub(crate) mod sync;
pub(crate) mod tcp;
pub(crate) mod threads;
pub(crate) mod wipe;
#[cfg(feature = "wipe-on-free")]
mod wiping_allocator;
