//! A descriptor that a host polls to learn that something waits for it.

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use super::descriptor;
use super::fd_sentinel::{Inode, inode};

/// A pipe: one end for the host to poll, and one to write a byte to.
///
/// A pipe has its own inode, unlike an event descriptor. So if a host closed all descriptors and reuses the number for a file,
/// that file is neither read, written nor closed.
pub(crate) struct ReadyPipe {
    reader: RawFd,
    writer: RawFd,
    inode: Inode,
}

impl ReadyPipe {
    pub fn new() -> io::Result<Self> {
        // The standard library opens both ends with O_CLOEXEC.
        let (reader, writer) = io::pipe()?;
        let reader = descriptor::above_standard(reader.into())?;
        let writer = descriptor::above_standard(writer.into())?;
        set_nonblocking(&reader)?;
        set_nonblocking(&writer)?;
        let inode = inode(reader.as_raw_fd()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { reader: reader.into_raw_fd(), writer: writer.into_raw_fd(), inode })
    }

    /// The descriptor to poll.
    pub fn descriptor(&self) -> RawFd {
        self.reader
    }

    /// Whether both ends are still the library's.
    pub fn is_alive(&self) -> bool {
        self.is_ours(self.reader) && self.is_ours(self.writer)
    }

    /// Makes the descriptor readable, until [`clear`](Self::clear).
    pub fn set_readable(&self) {
        // Without the reader, writing would raise SIGPIPE.
        if self.is_alive() {
            // SAFETY: the descriptor is ours, and one byte is read from our own memory.
            unsafe { libc::write(self.writer, [1_u8].as_ptr().cast(), 1) };
        }
    }

    /// Makes the descriptor unreadable.
    pub fn clear(&self) {
        let mut taken = [0_u8; 8];
        if self.is_ours(self.reader) {
            // SAFETY: the descriptor is ours, and no more is written than the memory has.
            unsafe { libc::read(self.reader, taken.as_mut_ptr().cast(), taken.len()) };
        }
    }

    fn is_ours(&self, end: RawFd) -> bool {
        inode(end) == Some(self.inode)
    }
}

impl Drop for ReadyPipe {
    fn drop(&mut self) {
        for end in [self.reader, self.writer] {
            if self.is_ours(end) {
                // SAFETY: the descriptor is still ours.
                unsafe { libc::close(end) };
            }
        }
    }
}

fn set_nonblocking(descriptor: &OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the calls touch no memory.
    let set = unsafe {
        let flags = libc::fcntl(descriptor.as_raw_fd(), libc::F_GETFL);
        flags >= 0 && libc::fcntl(descriptor.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) >= 0
    };
    if set { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_readable(pipe: &ReadyPipe) -> bool {
        let mut polled = libc::pollfd { fd: pipe.descriptor(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure of our own is passed.
        unsafe { libc::poll(&mut polled, 1, 0) == 1 }
    }

    #[test]
    fn it_is_readable_from_raise_to_lower() {
        let pipe = ReadyPipe::new().unwrap();
        assert!(pipe.descriptor() > 2 && !is_readable(&pipe));
        pipe.set_readable();
        assert!(is_readable(&pipe) && is_readable(&pipe));
        pipe.clear();
        assert!(!is_readable(&pipe));
        pipe.clear();
        assert!(pipe.is_alive() && !is_readable(&pipe));
    }

    #[test]
    fn a_file_of_the_host_with_the_same_number_stays_open() {
        let pipe = ReadyPipe::new().unwrap();
        let (theirs, _writer) = io::pipe().unwrap();
        // SAFETY: the number of our own descriptor is given to another file, as by a host that closed all.
        assert!(unsafe { libc::dup2(theirs.as_raw_fd(), pipe.descriptor()) } >= 0);
        let number = pipe.descriptor();
        assert!(!pipe.is_alive());
        pipe.set_readable();
        drop(pipe);
        // SAFETY: the copy that was made above is closed here, and is still open.
        assert_eq!(unsafe { libc::close(number) }, 0);
    }
}
