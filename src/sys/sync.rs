//! What threads synchronise with. The files that `models/` checks take it from here, so that a model can replace it.

pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

pub(crate) use once_cell::race::OnceBox;
