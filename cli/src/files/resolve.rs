//! Resolves the path of an output without trusting symbolic links.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, fstatfs, open, openat, readlinkat, stat, statat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::descriptor;
use crate::failure::{Failure, Outcome, errno_text};

/// The number of links that Linux follows.
const LINKS_MAX: u32 = 40;
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;
/// Works for a folder that may be searched but not read.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const STICKY: u32 = 0o1000;
const PROC_SUPER_MAGIC: i128 = 0x9fa0;

pub enum Resolved {
    /// An inherited descriptor.
    Descriptor(RawFd),
    /// A name in a folder.
    Name { folder: OwnedFd, name: OsString, existing: Existing },
}

/// What exists under the name.
pub enum Existing {
    Nothing,
    /// A regular file.
    File(Box<Stat>),
    /// A device, a named pipe, a socket.
    Special(Box<Stat>),
}

impl Resolved {
    pub fn find(path: &OsStr, shown: &str) -> Outcome<Self> {
        if let Some(number) = descriptor::in_path(path.as_bytes()) {
            return Ok(Self::Descriptor(number));
        }
        Walk::begin(path.as_bytes()).and_then(Walk::finish).map_err(|cause| Failure::wrong_file(shown, cause.text()))
    }
}

/// Why resolution failed.
enum Cause {
    Errno(Errno),
    Because(&'static str),
}

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl Cause {
    fn text(self) -> String {
        match self {
            Self::Errno(errno) => errno_text(errno),
            Self::Because(why) => why.to_owned(),
        }
    }
}

/// The state of the resolution: the current folder and the rest of the path.
struct Walk {
    folder: OwnedFd,
    folder_stat: Stat,
    rest: Vec<u8>,
    links: u32,
}

/// A component of the path, and whether it is the last one.
struct Component {
    name: OsString,
    is_last: bool,
    must_be_folder: bool,
}

impl Walk {
    fn begin(path: &[u8]) -> Result<Self, Cause> {
        // openat() ignores the folder for an absolute name.
        let folder = open(if path.first() == Some(&b'/') { "/" } else { "." }, FOLDER, Mode::empty())?;
        let folder_stat = fstat(&folder)?;
        Ok(Self { folder, folder_stat, rest: path.to_vec(), links: 0 })
    }

    fn finish(mut self) -> Result<Resolved, Cause> {
        loop {
            if let Some(found) = self.step()? {
                return Ok(match found {
                    Found::Descriptor(number) => Resolved::Descriptor(number),
                    Found::Name(name, existing) => Resolved::Name { folder: self.folder, name, existing },
                });
            }
        }
    }

    /// Resolves one component. Ends at a name in a folder or at a descriptor.
    fn step(&mut self) -> Result<Option<Found>, Cause> {
        let component = self.take_component()?;
        let stat = match statat(&self.folder, &component.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) if component.is_last && !component.must_be_folder => {
                return Ok(Some(Found::Name(component.name, Existing::Nothing)));
            }
            other => other?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let of_another = stat.st_uid != geteuid().as_raw();
        if self.folder_stat.st_mode & STICKY != 0 && kind != FileType::Directory && of_another {
            return Err(Cause::Because(match kind {
                FileType::Symlink => "a link of another user in a sticky folder is not followed",
                _ => "a file of another user in a sticky folder is not written to",
            }));
        }
        match kind {
            FileType::Symlink if self.is_in_procfs() => self.follow_in_procfs(&component),
            FileType::Symlink => self.follow_link(&component).map(|()| None),
            FileType::Directory if component.is_last => Err(Errno::ISDIR.into()),
            FileType::Directory => self.enter(&component.name, OFlags::NOFOLLOW).map(|()| None),
            _ if !component.is_last || component.must_be_folder => Err(Errno::NOTDIR.into()),
            FileType::RegularFile => Ok(Some(Found::Name(component.name, Existing::File(Box::new(stat))))),
            _ => Ok(Some(Found::Name(component.name, Existing::Special(Box::new(stat))))),
        }
    }

    /// Removes the next component from the rest of the path.
    fn take_component(&mut self) -> Result<Component, Cause> {
        let start = self.rest.iter().position(|byte| *byte != b'/').unwrap_or(self.rest.len());
        let len = self.rest[start..].iter().position(|byte| *byte == b'/').unwrap_or(self.rest.len() - start);
        if len == 0 {
            return Err(if self.rest.is_empty() { Errno::NOENT } else { Errno::ISDIR }.into());
        }
        if len > NAME_MAX {
            return Err(Errno::NAMETOOLONG.into());
        }
        let name = OsString::from_vec(self.rest[start..start + len].to_vec());
        let after = self.rest[start + len..].iter().position(|byte| *byte != b'/').map(|at| start + len + at);
        let component =
            Component { name, is_last: after.is_none(), must_be_folder: self.rest.get(start + len) == Some(&b'/') };
        self.rest.drain(..after.unwrap_or(self.rest.len()));
        Ok(component)
    }

    fn enter(&mut self, name: impl rustix::path::Arg, flags: OFlags) -> Result<(), Cause> {
        let next = openat(&self.folder, name, FOLDER | flags, Mode::empty())?;
        self.folder_stat = fstat(&next)?;
        self.folder = next;
        Ok(())
    }

    fn is_in_procfs(&self) -> bool {
        fstatfs(&self.folder).is_ok_and(|system| i128::from(system.f_type) == PROC_SUPER_MAGIC)
    }

    fn is_folder(&self, path: &str) -> bool {
        let ours = (self.folder_stat.st_dev, self.folder_stat.st_ino);
        stat(path).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == ours)
    }

    /// The text of a link in /proc may not be its target, so only the kernel can follow it. A link at the end is a descriptor.
    fn follow_in_procfs(&mut self, component: &Component) -> Result<Option<Found>, Cause> {
        if !component.is_last {
            return self.enter(&component.name, OFlags::empty()).map(|()| None);
        }
        let ours = self.is_folder("/proc/self/fd") || self.is_folder("/proc/thread-self/fd");
        match descriptor::number(component.name.as_bytes()).filter(|_| ours) {
            None => Err(Cause::Because("this is not a descriptor of this program")),
            Some(number) if number == self.folder.as_raw_fd() => Err(Errno::BADF.into()),
            Some(number) => Ok(Some(Found::Descriptor(number))),
        }
    }

    fn follow_link(&mut self, component: &Component) -> Result<(), Cause> {
        let target = readlinkat(&self.folder, &component.name, Vec::new())?.into_bytes();
        self.links += 1;
        if target.is_empty() {
            return Err(Errno::NOENT.into());
        }
        if target.len() >= PATH_MAX {
            return Err(Errno::NAMETOOLONG.into());
        }
        if self.links > LINKS_MAX {
            return Err(Errno::LOOP.into());
        }
        let is_absolute = target[0] == b'/';
        let slash: &[u8] = if component.must_be_folder { b"/" } else { b"" };
        self.rest = [&target, slash, &self.rest].concat();
        if is_absolute { self.enter("/", OFlags::empty()) } else { Ok(()) }
    }
}

enum Found {
    Descriptor(RawFd),
    Name(OsString, Existing),
}

/// Opens the name, if it is still the file that `stat` describes.
pub fn open_found(folder: &OwnedFd, name: &OsStr, stat: &Stat, flags: OFlags) -> Result<OwnedFd, Errno> {
    let file = openat(folder, name, flags | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let now = fstat(&file)?;
    if (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino) { Ok(file) } else { Err(Errno::STALE) }
}
