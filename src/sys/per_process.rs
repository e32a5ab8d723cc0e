//! Values that belong to one process and are never touched in its forked children.
//!
//! A child inherits locks that may never be released, threads that do not exist, and descriptor numbers that may belong
//! to other files. So each value records the process that created it, and a child creates its own value in addition.

use super::lend::NeverRunsAgain;
use super::process_identity::{self, ProcessId};
use super::sync::{Mutex, OnceBox, PoisonError};

/// One value per process. It is created when it is first needed, and replaced when it becomes unusable.
///
/// The values form a linked list in which each is followed by its successor, if any. Nothing is removed before the
/// list is dropped, so a thread may keep using the value that it found. The list grows by compare-and-swap and has no
/// lock. It has one link for each generation of forks and for each value that became unusable.
pub struct PerProcess<T> {
    first: OnceBox<Link<T>>,
}

struct Link<T> {
    owner: ProcessId,
    /// Only `drop` removes it.
    value: Option<T>,
    next: OnceBox<Link<T>>,
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> PerProcess<T> {
    /// Without a value.
    pub const fn new() -> Self {
        Self { first: OnceBox::new() }
    }

    /// This process's value. `make` may run on several threads at once; one result is kept and the others are dropped.
    pub fn get_or_try_init<E>(&self, usable: impl Fn(&T) -> bool, make: impl Fn() -> Result<T, E>) -> Result<&T, E> {
        let owner = process_identity::current();
        let mut slot = &self.first;
        loop {
            let link = slot.get_or_try_init(|| make().map(|value| Box::new(Link::new(owner, value))))?;
            match &link.value {
                Some(value) if link.owner == owner && usable(value) => return Ok(value),
                _ => slot = &link.next,
            }
        }
    }

    /// This process's value, if it exists and is usable.
    pub fn get(&self, usable: impl Fn(&T) -> bool) -> Option<&T> {
        let owner = process_identity::current();
        let mut slot = &self.first;
        loop {
            let link = slot.get()?;
            match &link.value {
                Some(value) if link.owner == owner && usable(value) => return Some(value),
                _ => slot = &link.next,
            }
        }
    }

    /// This process's value, created from that of the nearest ancestor that has one. `make` must not wait for a lock
    /// in it: the thread that held it may not exist here.
    pub fn get_or_inherit(&self, make: impl Fn(Option<&T>) -> T) -> &T {
        let owner = process_identity::current();
        let mut slot = &self.first;
        let mut inherited = None;
        loop {
            let link = slot.get_or_init(|| Box::new(Link::new(owner, make(inherited))));
            if let (Some(value), true) = (&link.value, link.owner == owner) {
                return value;
            }
            (inherited, slot) = (link.value.as_ref(), &link.next);
        }
    }

    /// Visits the values of the processes that this one was forked from, with the proof that none of their threads runs here.
    pub(crate) fn for_each_inherited(&self, mut visit: impl FnMut(&T, &NeverRunsAgain)) {
        let (owner, proof) = (process_identity::current(), NeverRunsAgain::new());
        let mut slot = &self.first;
        while let Some(link) = slot.get() {
            if let Some(value) = link.value.as_ref().filter(|_| link.owner != owner) {
                visit(value, &proof);
            }
            slot = &link.next;
        }
    }

    /// This process's value, for values that are always usable and easily made.
    pub fn get_or_init(&self, make: impl Fn() -> T) -> &T {
        let made = self.get_or_try_init(|_| true, || Ok::<T, std::convert::Infallible>(make()));
        match made {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }
}

/// As [`PerProcess`], but one thread at a time makes a value: for values that need descriptors, or that take over what another
/// process had.
pub struct OncePerProcess<T> {
    values: PerProcess<T>,
    making: PerProcess<Mutex<()>>,
}

impl<T> OncePerProcess<T> {
    pub const fn new() -> Self {
        Self { values: PerProcess::new(), making: PerProcess::new() }
    }

    /// This process's value, if it exists and is usable.
    pub fn get(&self, usable: impl Fn(&T) -> bool) -> Option<&T> {
        self.values.get(usable)
    }

    /// This process's value.
    pub fn get_or_try_init<E>(&self, usable: impl Fn(&T) -> bool, make: impl Fn() -> Result<T, E>) -> Result<&T, E> {
        if let Some(value) = self.get(&usable) {
            return Ok(value);
        }
        let _making = self.making.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        self.values.get_or_try_init(usable, make)
    }

    /// This process's value. `make` sees the last value of a process that this one was forked from, which it may read as far
    /// as that needs no lock that another thread may have held, with the proof that none of that process's threads runs here.
    pub(crate) fn get_or_init_after(&self, make: impl Fn(Option<(&T, &NeverRunsAgain)>) -> T) -> &T {
        if let Some(value) = self.get(|_| true) {
            return value;
        }
        let _making = self.making.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        let proof = NeverRunsAgain::new();
        self.values.get_or_init_after(|before| make(before.map(|before| (before, &proof))))
    }
}

impl<T> PerProcess<T> {
    fn get_or_init_after(&self, make: impl Fn(Option<&T>) -> T) -> &T {
        let owner = process_identity::current();
        let (mut slot, mut before) = (&self.first, None);
        loop {
            let link = slot.get_or_init(|| Box::new(Link::new(owner, make(before))));
            match &link.value {
                Some(value) if link.owner == owner => return value,
                value => (slot, before) = (&link.next, value.as_ref().or(before)),
            }
        }
    }
}

impl<T> Link<T> {
    fn new(owner: ProcessId, value: T) -> Self {
        Self { owner, value: Some(value), next: OnceBox::new() }
    }
}

impl<T> Drop for Link<T> {
    /// Drops the value in the process that created it, and leaks it in every other one.
    fn drop(&mut self) {
        if self.owner != process_identity::current() {
            std::mem::forget(self.value.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_value_is_created_once_and_replaced_when_it_is_broken() {
        let made = Cell::new(0);
        let values = PerProcess::new();
        let get = || {
            let make = || {
                made.set(made.get() + 1);
                Ok::<_, ()>(AtomicBool::new(true))
            };
            values.get_or_try_init(|usable: &AtomicBool| usable.load(Ordering::Relaxed), make).unwrap()
        };
        assert!(std::ptr::eq(get(), get()));
        assert_eq!(made.get(), 1);
        get().store(false, Ordering::Relaxed);
        assert!(std::ptr::eq(get(), get()));
        assert_eq!(made.get(), 2);
    }

    #[test]
    fn without_an_ancestor_nothing_is_inherited() {
        let values = PerProcess::new();
        assert_eq!(values.get_or_inherit(|inherited| inherited.map_or(1, |value| value + 1)), &1);
        assert_eq!(values.get_or_inherit(|_| 9), &1);
    }

    #[test]
    fn a_failure_to_make_a_value_leaves_nothing_behind() {
        let values = PerProcess::new();
        assert_eq!(values.get_or_try_init(|_| true, || Err::<u8, _>("no")), Err("no"));
        assert_eq!(values.get_or_init(|| 7), &7);
    }
}
