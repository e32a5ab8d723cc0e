//! A secret in a file that is in memory alone, for another program to read.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{
    MemfdFlags, Mode, OFlags, SealFlags, SeekFrom, fcntl_add_seals, fstatfs, memfd_create, open, seek, unlink,
};
use rustix::io::{Errno, Result};
use tckms::Secret;

/// The kind of file system that /dev/shm is: in memory, without a disk behind it.
const TMPFS: u64 = 0x0102_1994;
/// Names of /dev/shm that are tried.
const NAMES: u32 = 100;

/// A file that can no longer be changed, at its beginning.
pub fn memory_file(name: &str, secret: &Secret) -> Result<OwnedFd> {
    match memfd_create(format!("tckms {name}"), MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING) {
        Ok(file) => seal(file, secret),
        // Linux before 3.17.
        Err(Errno::NOSYS) => without_a_name(secret),
        Err(errno) => Err(errno),
    }
}

fn seal(file: OwnedFd, secret: &Secret) -> Result<OwnedFd> {
    write(&file, secret)?;
    seek(&file, SeekFrom::Start(0))?;
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file)
}

/// A file of /dev/shm that has lost its name before the secret is in it. The descriptor is for reading, and the mode lets only
/// root open another one for writing.
fn without_a_name(secret: &Secret) -> Result<OwnedFd> {
    let (writer, path) = new_file()?;
    unlink(&path)?;
    if fstatfs(&writer)?.f_type as u64 != TMPFS {
        return Err(Errno::OPNOTSUPP);
    }
    let reader =
        open(format!("/proc/self/fd/{}", writer.as_raw_fd()), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    write(&writer, secret)?;
    Ok(reader)
}

fn new_file() -> Result<(OwnedFd, String)> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for number in 0..NAMES {
        let path = format!("/dev/shm/tckms.{}.{number}", std::process::id());
        match open(&path, flags, Mode::RUSR) {
            Err(Errno::EXIST) => {}
            opened => return Ok((opened?, path)),
        }
    }
    Err(Errno::EXIST)
}

fn write(file: &OwnedFd, secret: &Secret) -> Result<()> {
    let mut rest = secret.expose();
    while !rest.is_empty() {
        let written = rustix::io::write(file, rest)?;
        rest = &rest[written..];
    }
    Ok(())
}
