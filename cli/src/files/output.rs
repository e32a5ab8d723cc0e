//! The output: a descriptor, a device or pipe, or a file that is replaced only by a complete result.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, FallocateFlags, FileType, IFlags, Mode, OFlags, SeekFrom, Stat, fallocate, fstat, fsync, ftruncate,
    ioctl_getflags, open, openat, renameat, seek, unlinkat,
};
use rustix::io::Errno;
use rustix::process::umask;
use zeroize::Zeroizing;

use super::input::Input;
use super::resolve::{Existing, Resolved, open_found};
use super::screen::Screen;
use super::{attributes, failed, unusable};
use crate::descriptor::{self, STDOUT, write_all};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, errno_text};
use crate::interrupt;
use crate::report;
use crate::text::shown;

pub struct Output {
    name: String,
    target: Target,
    /// The mode of a new file.
    new_mode: u32,
}

enum Target {
    /// Written directly.
    Descriptor(BorrowedFd<'static>),
    Special {
        folder: OwnedFd,
        name: OsString,
        stat: Box<Stat>,
        file: Option<OwnedFd>,
    },
    File(Box<NamedFile>),
}

/// A file that is created or replaced when the result is complete.
struct NamedFile {
    folder: OwnedFd,
    name: OsString,
    /// The existing file.
    stat: Option<Box<Stat>>,
    /// The existing file, opened for its attributes and, if it is writable, for a copy.
    old: Option<OwnedFd>,
    target: Option<OwnedFd>,
    unfinished: Option<Unfinished>,
    /// Whether the content is copied into the existing file, because it cannot be replaced, such as a bind mount.
    is_copied: bool,
}

/// The temporary file that is written until the result is complete.
struct Unfinished {
    /// Its folder, if it is not that of the target, with the path for messages.
    in_temporary_folder: Option<(OwnedFd, String)>,
    name: String,
    file: OwnedFd,
}

impl Output {
    /// Resolves the path; standard output for `-` or without a path. Must run before any other file is opened, since the path
    /// may name an inherited descriptor. A file with a secret is readable by its owner only.
    pub fn find(path: Option<&OsStr>, is_secret: bool) -> Outcome<Self> {
        let path = path.filter(|path| *path != "-");
        let name = path.map_or_else(|| "standard output".to_owned(), shown);
        let resolved = path.map_or(Ok(Resolved::Descriptor(STDOUT)), |path| Resolved::find(path, &name))?;
        let target = match resolved {
            Resolved::Descriptor(number) => {
                Target::Descriptor(descriptor::writable(number).map_err(|errno| unusable(&name, errno))?)
            }
            Resolved::Name { folder, name, existing: Existing::Special(stat) } => {
                Target::Special { folder, name, stat, file: None }
            }
            Resolved::Name { folder, name, existing } => Target::File(Box::new(NamedFile {
                folder,
                name,
                stat: if let Existing::File(stat) = existing { Some(stat) } else { None },
                old: None,
                target: None,
                unfinished: None,
                is_copied: false,
            })),
        };
        Ok(Self { name, target, new_mode: if is_secret { 0o600 } else { 0o666 & !current_umask() } })
    }

    /// The name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the other output is the same file, so that one result would replace the other.
    pub fn is_same(&self, other: &Self) -> bool {
        if let (Target::File(one), Target::File(two)) = (&self.target, &other.target) {
            let folder = |file: &NamedFile| fstat(&file.folder).ok().map(|stat| (stat.st_dev, stat.st_ino));
            if folder(one) == folder(two) && one.name == two.name {
                return true;
            }
        }
        let identity = |output: &Self| output.stat().map(|stat| (stat.st_dev, stat.st_ino));
        identity(self).is_some() && identity(self) == identity(other)
    }

    /// The existing file.
    fn stat(&self) -> Option<Stat> {
        match &self.target {
            Target::Descriptor(descriptor) => fstat(descriptor).ok(),
            Target::Special { stat, .. } => Some(**stat),
            Target::File(file) => file.stat.as_ref().map(|stat| **stat),
        }
    }

    /// Whether this is a terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(self.target, Target::Descriptor(descriptor) if rustix::termios::isatty(descriptor))
    }

    /// The screen that shows the data, if this is a terminal.
    pub fn screen(&self) -> Outcome<Option<Screen>> {
        match self.target {
            Target::Descriptor(descriptor) if self.is_terminal() => Screen::new(descriptor, &self.name).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether writing the output would change the input.
    pub fn is_input(&self, input: &Input) -> bool {
        let (Some(target), before) = (self.stat(), input.stat()) else { return false };
        let kind = |stat: &Stat| FileType::from_raw_mode(stat.st_mode);
        if kind(&target) == FileType::BlockDevice && kind(before) == FileType::BlockDevice {
            return target.st_rdev == before.st_rdev;
        }
        kind(&target) == FileType::RegularFile && (target.st_dev, target.st_ino) == (before.st_dev, before.st_ino)
    }

    /// Whether the result becomes visible only when it is complete.
    pub fn is_atomic(&self) -> bool {
        matches!(self.target, Target::File(_))
    }

    /// Checks that the result can be delivered, and opens the file to write to.
    pub fn open(&mut self) -> Outcome<()> {
        match &mut self.target {
            Target::Descriptor(_) => Ok(()),
            Target::Special { folder, name, stat, file } => {
                *file = Some(open_found(folder, name, stat, OFlags::WRONLY).map_err(|errno| {
                    if interrupt::received() {
                        Failure::new(Exit::Failed, interrupt::text()).about(&self.name)
                    } else {
                        unusable(&self.name, errno)
                    }
                })?);
                Ok(())
            }
            Target::File(file) => file.open(&self.name),
        }
    }

    /// The descriptor to write to, after [`open`](Self::open).
    pub fn number(&self) -> RawFd {
        self.writable().map_or(-1, |descriptor| descriptor.as_raw_fd())
    }

    fn writable(&self) -> Option<BorrowedFd<'_>> {
        match &self.target {
            Target::Descriptor(descriptor) => Some(*descriptor),
            Target::Special { file, .. } => file.as_ref().map(AsFd::as_fd),
            Target::File(file) => file.unfinished.as_ref().map(|unfinished| unfinished.file.as_fd()),
        }
    }

    pub fn write_all(&self, bytes: &[u8]) -> Outcome<()> {
        let written = self.writable().ok_or(Errno::BADF).and_then(|descriptor| write_all(descriptor, bytes));
        written.map_err(|errno| failed(&self.name, errno))
    }

    /// Delivers the complete result.
    pub fn finish(mut self) -> Outcome<()> {
        match &mut self.target {
            Target::Descriptor(_) => Ok(()),
            Target::Special { file, .. } => close(file.take(), &self.name),
            Target::File(file) => file.finish(&self.name, self.new_mode),
        }
    }

    /// Writes a complete result from memory.
    pub fn deliver(mut self, bytes: &[u8]) -> Outcome<()> {
        self.open()?;
        self.write_all(bytes)?;
        self.finish()
    }
}

fn current_umask() -> u32 {
    let mask = umask(Mode::empty());
    umask(mask);
    mask.as_raw_mode()
}

/// Some file systems report only at fsync() that there is no space; close() would not report it.
fn close(file: Option<OwnedFd>, name: &str) -> Outcome<()> {
    let Some(file) = file else { return Ok(()) };
    fsync_if_possible(&file).map_err(|errno| failed(name, errno))
}

/// Some file systems do not support fsync().
fn fsync_if_possible(file: &OwnedFd) -> Result<(), Errno> {
    match fsync(file) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::ROFS) => Ok(()),
        other => other,
    }
}

impl NamedFile {
    fn open(&mut self, shown: &str) -> Outcome<()> {
        if self.stat.is_some() {
            self.open_old(shown)?;
        }
        let errno = match self.prepare_replacement() {
            Ok(()) => return Ok(()),
            Err(errno) => errno,
        };
        // If there is no space for the smallest file, there is none for a copy.
        if self.target.is_none() || matches!(errno, Errno::NOSPC | Errno::DQUOT) {
            return Err(match errno {
                Errno::NOSPC | Errno::DQUOT => failed(shown, errno),
                _ => unusable(shown, errno),
            });
        }
        self.prepare_copy()
    }

    fn open_old(&mut self, shown: &str) -> Outcome<()> {
        let Some(stat) = &self.stat else { return Ok(()) };
        let reopen = |flags| open_found(&self.folder, &self.name, stat, flags);
        match reopen(OFlags::WRONLY | OFlags::NONBLOCK) {
            Ok(target) => self.target = Some(target),
            // It is immutable, on a read-only mount, or was replaced meanwhile.
            Err(errno @ (Errno::PERM | Errno::ROFS | Errno::STALE)) => return Err(unusable(shown, errno)),
            Err(_) => {}
        }
        let old = reopen(OFlags::RDONLY | OFlags::NONBLOCK).or_else(|_| reopen(OFlags::PATH));
        self.old = Some(old.map_err(|errno| unusable(shown, errno))?);
        Ok(())
    }

    /// Creates the file that replaces the existing one. Fails if that cannot be replaced.
    fn prepare_replacement(&mut self) -> Result<(), Errno> {
        if self.is_mounted() {
            return Err(Errno::BUSY);
        }
        if is_append_only(&self.folder) {
            return Err(Errno::PERM);
        }
        let (name, file) = create_unfinished(&self.folder)?;
        self.unfinished = Some(Unfinished { in_temporary_folder: None, name, file });
        Ok(())
    }

    fn prepare_copy(&mut self) -> Outcome<()> {
        self.is_copied = true;
        if !is_append_only(&self.folder)
            && let Ok((name, file)) = create_unfinished(&self.folder)
        {
            self.unfinished = Some(Unfinished { in_temporary_folder: None, name, file });
            return Ok(());
        }
        self.unfinished = Some(Unfinished::in_temporary_folder()?);
        Ok(())
    }

    /// Whether the file is a mount point. rename() would report that only after the work.
    fn is_mounted(&self) -> bool {
        let (Some(old), Some(stat)) = (&self.old, &self.stat) else { return false };
        match (mount_of(&self.folder), mount_of(old)) {
            (Some(of_folder), Some(of_file)) => of_folder != of_file,
            // A guess: rename() reports a mount point that it misses.
            _ => fstat(&self.folder).map_or(true, |folder| folder.st_dev != stat.st_dev),
        }
    }

    fn finish(&mut self, shown: &str, new_mode: u32) -> Outcome<()> {
        let Some(unfinished) = self.unfinished.take() else { return Err(failed(shown, Errno::BADF)) };
        if self.is_copied {
            self.copy_into_target(unfinished, shown)?;
        } else {
            self.rename(unfinished, shown, new_mode)?;
        }
        close(self.target.take(), shown)
    }

    fn rename(&mut self, unfinished: Unfinished, shown: &str, new_mode: u32) -> Outcome<()> {
        let unfinished = Remover { folder: &self.folder, unfinished: Some(unfinished) };
        let file = &unfinished.get().file;
        match &self.old {
            Some(old) => attributes::keep(old, file, new_mode, shown)?,
            None => attributes::set_mode(file, new_mode, shown),
        }
        fsync_if_possible(file).map_err(|errno| failed(shown, errno))?;
        let renamed = renameat(&self.folder, unfinished.get().name.as_str(), &self.folder, &self.name);
        match renamed {
            Ok(()) => {
                unfinished.keep();
                sync_folder(&self.folder);
                Ok(())
            }
            // A file system or mount that the checks did not recognise.
            Err(_) if self.target.is_some() => {
                let unfinished = unfinished.keep();
                self.copy_into_target(unfinished, shown)
            }
            Err(errno) => Err(failed(shown, errno)),
        }
    }

    /// Replaces the content of the existing file, which keeps its inode and attributes.
    fn copy_into_target(&self, unfinished: Unfinished, shown: &str) -> Outcome<()> {
        let unfinished = Remover { folder: &self.folder, unfinished: Some(unfinished) };
        let (file, target) = (&unfinished.get().file, self.target.as_ref());
        let target = target.ok_or_else(|| failed(shown, Errno::BADF))?;
        let len = fstat(file).map_err(|errno| failed(shown, errno))?.st_size as u64;
        reserve(target, len).map_err(|errno| failed(shown, errno))?;
        if let Err(errno) = copy(file, target, len) {
            report::note(shown, &errno_text(errno));
            let left = unfinished.keep();
            let folder = left.in_temporary_folder.map_or("the same folder".to_owned(), |(_, path)| path);
            let why = format!("the file is damaged; its complete new content is {} in {folder}", left.name);
            return Err(Failure::failed(shown, why));
        }
        Ok(())
    }
}

impl Drop for NamedFile {
    fn drop(&mut self) {
        if let Some(unfinished) = self.unfinished.take() {
            drop(Remover { folder: &self.folder, unfinished: Some(unfinished) });
        }
    }
}

/// Removes an unfinished file, unless it is kept.
struct Remover<'a> {
    folder: &'a OwnedFd,
    unfinished: Option<Unfinished>,
}

impl Remover<'_> {
    fn get(&self) -> &Unfinished {
        self.unfinished.as_ref().expect("present until `keep`")
    }

    fn keep(mut self) -> Unfinished {
        self.unfinished.take().expect("present until `keep`")
    }
}

impl Drop for Remover<'_> {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            let folder = unfinished.in_temporary_folder.as_ref().map_or(self.folder, |(folder, _)| folder);
            let _ = unlinkat(folder, unfinished.name.as_str(), AtFlags::empty());
        }
    }
}

impl Unfinished {
    /// In the folder for temporary files.
    fn in_temporary_folder() -> Outcome<Self> {
        let path = std::env::var_os("TMPDIR").filter(|path| path.as_encoded_bytes().starts_with(b"/"));
        let path = path.unwrap_or_else(|| OsString::from("/tmp"));
        let made = open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|folder| create_unfinished(&folder).map(|(name, file)| (folder, name, file)));
        match made {
            Ok((folder, name, file)) => Ok(Self { in_temporary_folder: Some((folder, shown(&path))), name, file }),
            Err(errno) => Err(failed(&shown(&path), errno)),
        }
    }
}

/// The names may be predictable, because an existing file is never opened.
fn create_unfinished(folder: &OwnedFd) -> Result<(String, OwnedFd), Errno> {
    let mut failure = Errno::EXIST;
    for attempt in 0..100 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
        let name = format!(".tckms-seal.{:x}.{now:x}.{attempt:x}", std::process::id());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(folder, name.as_str(), flags, Mode::from_raw_mode(0o600)) {
            Ok(file) => return Ok((name, file)),
            Err(Errno::EXIST) => {}
            Err(errno) => {
                failure = errno;
                break;
            }
        }
    }
    Err(failure)
}

/// The id of the mount of an open file.
fn mount_of(file: &OwnedFd) -> Option<u64> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
}

/// Whether the folder is append-only: names can be created but not renamed or removed.
fn is_append_only(folder: &OwnedFd) -> bool {
    let readable = openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    readable.and_then(ioctl_getflags).is_ok_and(|flags| flags.contains(IFlags::APPEND))
}

/// Makes the name survive a crash. A folder that cannot be synced is not a failure.
fn sync_folder(folder: &OwnedFd) {
    let readable = openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let _ = readable.and_then(|folder| fsync(&folder));
}

/// Allocates the space before the old content is overwritten. If the file system does not support that, the copy may fail.
fn reserve(target: &OwnedFd, len: u64) -> Result<(), Errno> {
    let before = fstat(target)?.st_size as u64;
    if len <= before {
        return Ok(());
    }
    match fallocate(target, FallocateFlags::empty(), before, len - before) {
        Err(errno @ (Errno::NOSPC | Errno::FBIG | Errno::DQUOT)) => {
            // A partial allocation may have extended the file.
            ftruncate(target, before)?;
            Err(errno)
        }
        _ => Ok(()),
    }
}

fn copy(from: &OwnedFd, to: &OwnedFd, len: u64) -> Result<(), Errno> {
    let mut chunk = Zeroizing::new(vec![0; 64 * 1024]);
    seek(from, SeekFrom::Start(0))?;
    loop {
        let read = rustix::io::read(from, &mut chunk[..])?;
        if read == 0 {
            break;
        }
        write_all(to.as_fd(), &chunk[..read])?;
    }
    // The length of a file in /proc or /sys cannot be set.
    if fstat(to)?.st_size as u64 > len {
        ftruncate(to, len)?;
    }
    fsync_if_possible(to)
}
