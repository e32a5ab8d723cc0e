//! Detects that the host closed the descriptors of this process.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

use super::descriptor;

/// An open descriptor that is checked before other descriptors of the library are used.
///
/// It is one end of a pipe: unlike sockets and event descriptors, each pipe has its own inode,
/// so a file of the host with the same number is recognised as different.
pub(crate) struct FdSentinel {
    descriptor: RawFd,
    inode: Inode,
}

impl FdSentinel {
    pub fn new() -> io::Result<Self> {
        // The standard library opens both ends with O_CLOEXEC. The other end is closed at once.
        let (reader, _writer) = io::pipe()?;
        let reader = descriptor::above_standard(reader.into())?;
        let inode = inode(reader.as_raw_fd()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { descriptor: reader.into_raw_fd(), inode })
    }

    pub fn is_alive(&self) -> bool {
        inode(self.descriptor) == Some(self.inode)
    }
}

thread_local! {
    static CHECK: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// Makes `check` run before this thread uses one of its descriptors ([`check_descriptors`]).
pub(crate) fn set_descriptor_check(check: fn()) {
    let _ = CHECK.try_with(|cell| cell.set(Some(check)));
}

/// Runs the check of this thread, if it has one. It does not return if the descriptors are no longer the library's.
pub(crate) fn check_descriptors() {
    if let Ok(Some(check)) = CHECK.try_with(Cell::get) {
        check();
    }
}

impl Drop for FdSentinel {
    fn drop(&mut self) {
        if self.is_alive() {
            // SAFETY: the descriptor is still ours.
            unsafe { libc::close(self.descriptor) };
        }
    }
}

/// Identifies a file.
pub(super) type Inode = (libc::dev_t, libc::ino_t);

pub(super) fn inode(descriptor: RawFd) -> Option<Inode> {
    // SAFETY: `stat` is plain data, and fstat writes it or fails.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        (libc::fstat(descriptor, &mut stat) == 0).then_some((stat.st_dev, stat.st_ino))
    }
}
