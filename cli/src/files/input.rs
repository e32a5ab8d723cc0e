//! The input, and the check that it did not change while it was read.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, SeekFrom, Stat, fstat, open, seek};
use rustix::io::Errno;

use super::{failed, unusable};
use crate::descriptor::{self, STDIN};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::interrupt;
use crate::text::shown;

pub struct Input {
    source: Source,
    name: String,
    before: Stat,
}

enum Source {
    Standard(BorrowedFd<'static>),
    File(OwnedFd),
}

impl Input {
    /// Opens a file; standard input for `-` or without a path.
    pub fn open(path: Option<&OsStr>) -> Outcome<Self> {
        let path = path.filter(|path| *path != "-");
        let name = path.map_or_else(|| "standard input".to_owned(), shown);
        // Opening /dev/fd/N of a closed descriptor would fail differently, or open a descriptor of this program.
        if let Some(number) = path.map_or(Some(STDIN), |path| descriptor::in_path(path.as_bytes())) {
            descriptor::readable(number).map_err(|errno| unusable(&name, errno))?;
        }
        let source = match path {
            None => Source::Standard(descriptor::readable(STDIN).map_err(|errno| unusable(&name, errno))?),
            Some(path) => Source::File(
                open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())
                    .map_err(|errno| interrupted(&name).unwrap_or_else(|| unusable(&name, errno)))?,
            ),
        };
        let before = fstat(source.as_fd()).map_err(|errno| unusable(&name, errno))?;
        if FileType::from_raw_mode(before.st_mode) == FileType::Directory {
            return Err(unusable(&name, Errno::ISDIR));
        }
        Ok(Self { source, name, before })
    }

    /// The name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn number(&self) -> RawFd {
        self.source.as_fd().as_raw_fd()
    }

    pub fn stat(&self) -> &Stat {
        &self.before
    }

    fn is_regular(&self) -> bool {
        FileType::from_raw_mode(self.before.st_mode) == FileType::RegularFile
    }

    /// Files in /proc have content although their size is 0.
    fn has_size(&self) -> bool {
        self.is_regular() && self.before.st_size > 0
    }

    /// The number of bytes after the position, for a regular file.
    pub fn size(&self) -> Option<u64> {
        let position =
            if self.has_size() { seek(self.source.as_fd(), SeekFrom::Current(0)).ok()? } else { return None };
        Some((self.before.st_size as u64).saturating_sub(position))
    }

    /// Fails if a regular file was modified, truncated or extended since it was opened.
    pub fn check_unchanged(&self) -> Outcome<()> {
        if !self.is_regular() {
            return Ok(());
        }
        let after = fstat(self.source.as_fd()).map_err(|errno| failed(&self.name, errno))?;
        let time = |stat: &Stat| (stat.st_mtime, stat.st_mtime_nsec);
        let what = match () {
            () if after.st_size > self.before.st_size => "grew",
            () if after.st_size < self.before.st_size => "shrank",
            () if self.has_size() && time(&after) != time(&self.before) => "was modified",
            () => return Ok(()),
        };
        Err(Failure::failed(&self.name, format!("the file {what} while it was read")))
    }

    /// Reads all input. Fails if there are more than `max` bytes.
    pub fn read_all(&mut self, max: usize) -> Outcome<tckms::Secret> {
        self.read_up_to(max, &format!("it has more than {max} bytes, the maximum here"))
    }

    /// Reads all input. Fails with `too_long` if there are more than `max` bytes.
    pub fn read_up_to(&mut self, max: usize, too_long: &str) -> Outcome<tckms::Secret> {
        let mut buffer = tckms::Secret::zeroed(max + 1)?;
        let mut len = 0;
        loop {
            match self.read(&mut buffer.expose_mut()[len..]) {
                Ok(0) => break,
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted && !interrupt::received() => {}
                Err(error) => return Err(Failure::io(&self.name, &error)),
            }
            if len > max {
                return Err(Failure::wrong_file(&self.name, too_long));
            }
        }
        Ok(tckms::Secret::copy_of(&buffer.expose()[..len])?)
    }

    /// Whether no input arrives within this time.
    pub fn is_idle(&self, milliseconds: i64) -> bool {
        let timeout = Timespec { tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000 };
        let descriptor = self.source.as_fd();
        poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&timeout)) == Ok(0)
    }
}

/// The failure for an input that could not be opened because of a signal.
fn interrupted(name: &str) -> Option<Failure> {
    interrupt::received().then(|| Failure::new(Exit::Failed, interrupt::text()).about(name))
}

impl Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Standard(descriptor) => *descriptor,
            Self::File(file) => file.as_fd(),
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(descriptor::read(self.source.as_fd(), buffer)?)
    }
}
