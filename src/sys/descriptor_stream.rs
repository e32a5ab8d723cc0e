//! Reading from and writing to a descriptor of the host.

use std::io::{self, Read, Write};

/// The interval at which a wait for the descriptor checks whether it should end.
const POLL_INTERVAL_MS: libc::c_int = 100;

/// A descriptor that may be non-blocking or closed. `check` fails if a wait for it should end.
pub(crate) struct DescriptorStream<C>(libc::c_int, C);

impl<C: Fn() -> io::Result<()>> DescriptorStream<C> {
    pub fn new(descriptor: libc::c_int, check: C) -> Self {
        Self(descriptor, check)
    }

    fn wait(&self, events: libc::c_short) -> io::Result<()> {
        loop {
            (self.1)()?;
            let mut poll = libc::pollfd { fd: self.0, events, revents: 0 };
            // SAFETY: one pollfd of our own.
            match unsafe { libc::poll(&mut poll, 1, POLL_INTERVAL_MS) } {
                // A negative number is not a descriptor, and `poll` would ignore it.
                0 if self.0 >= 0 => {}
                // If the descriptor has an error, `read` or `write` reports it more precisely.
                _ => return Ok(()),
            }
        }
    }

    /// The result of `read` or `write`, or `None` if the descriptor was not ready.
    fn outcome(result: isize) -> io::Result<Option<usize>> {
        match usize::try_from(result) {
            Ok(len) => Ok(Some(len)),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                error => Err(error),
            },
        }
    }
}

impl<C: Fn() -> io::Result<()>> Read for DescriptorStream<C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.wait(libc::POLLIN)?;
            // SAFETY: `buffer` may be written, and the kernel writes no more than its length.
            if let Some(len) = Self::outcome(unsafe { libc::read(self.0, buffer.as_mut_ptr().cast(), buffer.len()) })? {
                return Ok(len);
            }
        }
    }
}

impl<C: Fn() -> io::Result<()>> Write for DescriptorStream<C> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.wait(libc::POLLOUT)?;
            // SAFETY: `bytes` may be read, and the kernel reads no more than its length.
            if let Some(len) = Self::outcome(unsafe { libc::write(self.0, bytes.as_ptr().cast(), bytes.len()) })? {
                return Ok(len);
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The number of bytes of a regular file after its position.
pub(crate) fn size_left(descriptor: libc::c_int) -> Option<u64> {
    // SAFETY: stat is plain data; both calls take any number for a descriptor.
    unsafe {
        let mut stat = std::mem::zeroed::<libc::stat>();
        if libc::fstat(descriptor, &mut stat) != 0 || stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return None;
        }
        let position = libc::lseek(descriptor, 0, libc::SEEK_CUR).max(0);
        u64::try_from(stat.st_size.saturating_sub(position)).ok()
    }
}
