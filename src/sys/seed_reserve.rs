//! Seeds for the case that the operating system returns none: where the kernel has no `getrandom` and /dev/urandom
//! cannot be opened, as after a `chroot` or without a free descriptor.
//!
//! They are derived from a key that was drawn from the system earlier. Random numbers for callers never come from here:
//! only requests that must not fail, because the process would end.

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use hmac::{Hmac, KeyInit, Mac};
use once_cell::race::OnceBox;
use sha2::Sha384;
use zeroize::Zeroizing;

use super::clock;

/// The length of a SHA-384.
pub(super) const SEED_LEN: usize = 48;

pub(super) type Seed = [u8; SEED_LEN];

static KEY: OnceBox<Zeroizing<Seed>> = OnceBox::new();

pub(super) fn has_key() -> bool {
    KEY.get().is_some()
}

/// The first key is kept.
pub(super) fn keep(key: Zeroizing<Seed>) {
    let _ = KEY.set(Box::new(key));
}

/// The next seed; none without a key.
pub(super) fn next_seed() -> Option<Zeroizing<Seed>> {
    KEY.get().map(|key| derive(&key[..]))
}

/// Different for each process and each moment, but known to anyone who knows both. Only for the keys of hash tables.
pub(super) fn next_hash_key() -> Zeroizing<Seed> {
    next_seed().unwrap_or_else(|| derive(&[]))
}

/// No two are the same: the counter distinguishes those of one process, the pid and the clocks those of a process and
/// its forked children.
fn derive(key: &[u8]) -> Zeroizing<Seed> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut mac = Hmac::<Sha384>::new_from_slice(key).expect("any length is a key");
    mac.update(&COUNTER.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    mac.update(&process::id().to_le_bytes());
    mac.update(&UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos().to_le_bytes());
    mac.update(&clock::time_since_boot().as_nanos().to_le_bytes());
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_seed_comes_twice() {
        keep(Zeroizing::new([7; SEED_LEN]));
        let seeds: std::collections::BTreeSet<Seed> = (0..1000).map(|_| *next_seed().unwrap()).collect();
        assert_eq!(seeds.len(), 1000);
    }
}
