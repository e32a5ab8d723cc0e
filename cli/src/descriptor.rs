//! Inherited descriptors, and the paths that name them.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fstat, open};
use rustix::io::Errno;

use crate::failure::{Failure, Outcome, errno_text};
use crate::interrupt;
use crate::sys;

pub const STDIN: RawFd = 0;
pub const STDOUT: RawFd = 1;
const STDERR: RawFd = 2;

/// Opens a placeholder that can be neither read nor written on each closed standard descriptor, so that no file gets its number.
pub fn reserve_standard() -> Outcome<()> {
    loop {
        let placeholder = open("/", OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
            .map_err(|errno| Failure::failed("a standard descriptor", errno_text(errno)))?;
        if placeholder.as_raw_fd() > STDERR {
            return Ok(());
        }
        // It stays open until the program ends.
        std::mem::forget(placeholder);
    }
}

/// The descriptor that a path such as /dev/fd/3 names; the largest number if no descriptor can have it.
pub fn in_path(path: &[u8]) -> Option<RawFd> {
    for folder in [&b"/dev/fd/"[..], b"/proc/self/fd/"] {
        if let Some(digits) = path.strip_prefix(folder) {
            return number(digits);
        }
    }
    [&b"/dev/stdin"[..], b"/dev/stdout", b"/dev/stderr"].iter().position(|name| *name == path).map(|at| at as RawFd)
}

/// Parses the number of a descriptor.
pub fn number(digits: &[u8]) -> Option<RawFd> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // No descriptor has a larger number, so the maximum stands for all larger ones.
    Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(RawFd::MAX))
}

pub fn readable(number: RawFd) -> Result<BorrowedFd<'static>, Errno> {
    open_unless(number, OFlags::WRONLY)
}

pub fn writable(number: RawFd) -> Result<BorrowedFd<'static>, Errno> {
    open_unless(number, OFlags::RDONLY)
}

/// Writes all bytes, also to a descriptor that does not block: the program that passed it may have set that.
pub fn write_all(descriptor: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(descriptor, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) if !interrupt::received() => {}
            Err(Errno::AGAIN) => wait(descriptor, PollFlags::OUT)?,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Reads some bytes, and waits for them as [`write_all`] does.
pub fn read(descriptor: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match rustix::io::read(descriptor, &mut *buffer) {
            Err(Errno::AGAIN) => wait(descriptor, PollFlags::IN)?,
            outcome => return outcome,
        }
    }
}

fn wait(descriptor: BorrowedFd<'_>, event: PollFlags) -> Result<(), Errno> {
    match poll(&mut [PollFd::new(&descriptor, event)], None) {
        Err(Errno::INTR) if !interrupt::received() => Ok(()),
        outcome => outcome.map(|_| ()),
    }
}

/// The descriptor, if it is open, not a placeholder, and its access mode is not `unfit`.
fn open_unless(number: RawFd, unfit: OFlags) -> Result<BorrowedFd<'static>, Errno> {
    let descriptor = sys::inherited(number).map_err(|_| Errno::BADF)?;
    let flags = fcntl_getfl(descriptor)?;
    if flags & OFlags::RWMODE == unfit || flags.contains(OFlags::PATH) {
        return Err(Errno::BADF);
    }
    let stat = fstat(descriptor)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory { Err(Errno::ISDIR) } else { Ok(descriptor) }
}
