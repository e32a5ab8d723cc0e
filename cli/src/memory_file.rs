//! Memory files that contain a secret for another program.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{
    MemfdFlags, Mode, OFlags, SealFlags, SeekFrom, fcntl_add_seals, fstatfs, memfd_create, open, seek, unlink,
};
use rustix::io::{Errno, Result};
use tckms::Secret;

/// The type of the file system of /dev/shm, which is in memory only.
const TMPFS: u64 = 0x0102_1994;
/// The maximal number of names to try in /dev/shm.
const NAMES: u32 = 100;

/// A sealed memory file, positioned at its start.
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

/// A file in /dev/shm that is unlinked before the secret is written to it. The descriptor is read-only, and the mode allows only
/// root to open the file for writing.
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
