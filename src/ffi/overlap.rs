//! Checks that no argument shares memory with an output.
//!
//! A function that writes to one argument while it reads another one in the same memory would
//! corrupt both. So the helpers that turn pointers into references report them here, and an
//! argument that overlaps an output is refused. This way no function can be forgotten.

use std::cell::RefCell;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::status::Status;

/// The number of arguments that are compared with the next one. Functions report their outputs
/// first.
const ARGUMENTS_MAX: usize = 12;

/// The memory of one argument of a function.
#[derive(Clone, Copy)]
struct Region {
    start: usize,
    end: usize,
    is_output: bool,
}

/// The arguments of the function that runs on this thread.
pub(super) struct Arguments {
    regions: [Region; ARGUMENTS_MAX],
    count: usize,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { regions: [Region { start: 0, end: 0, is_output: false }; ARGUMENTS_MAX], count: 0 }
    }
}

thread_local! {
    static ARGUMENTS: RefCell<Arguments> = RefCell::default();
}

/// Begins a function, and returns the arguments of the outer function, if a callback called this
/// one. Only then they are moved, which takes longer than many a function.
pub(super) fn enter() -> Option<Box<Arguments>> {
    ARGUMENTS.with_borrow_mut(|arguments| match arguments.count {
        0 => None,
        _ => Some(Box::new(std::mem::take(arguments))),
    })
}

/// Ends a function that began with these arguments of the outer one.
pub(super) fn leave(outer: Option<Box<Arguments>>) {
    ARGUMENTS.with_borrow_mut(|arguments| match outer {
        Some(outer) => *arguments = *outer,
        None => arguments.count = 0,
    });
}

/// Reports an argument that is read.
pub(super) fn check_input<T>(start: *const T, len: usize, name: &str) -> Result<()> {
    check(start.addr()..start.addr().saturating_add(len), name, false)
}

/// Reports an argument that is written.
pub(super) fn check_output<T>(start: *mut T, len: usize, name: &str) -> Result<()> {
    check(start.addr()..start.addr().saturating_add(len), name, true)
}

fn check(memory: Range<usize>, name: &str, is_output: bool) -> Result<()> {
    // No object is that long. The function itself refuses the length.
    let too_long = memory.len() > usize::MAX / 4;
    if memory.is_empty() || too_long {
        return Ok(());
    }
    ARGUMENTS.with_borrow_mut(|arguments| {
        let known = &arguments.regions[..arguments.count];
        let shares = |region: &&Region| region.start < memory.end && memory.start < region.end;
        if known.iter().filter(shares).any(|region| region.is_output || is_output) {
            let message = format!("the memory of {name} overlaps that of another argument, and one of them is written");
            return Err(Error::new(Status::Overlap, message));
        }
        if let Some(free) = arguments.regions.get_mut(arguments.count) {
            *free = Region { start: memory.start, end: memory.end, is_output };
            arguments.count += 1;
        }
        Ok(())
    })
}
