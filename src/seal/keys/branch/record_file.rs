//! A file of branch records. Writers of messages read it, and a rotation replaces it atomically.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::sanitize::quoted;
use crate::seal::format::branch_record::{BRANCH_RECORDS_MAX, BranchRecord, BranchRecords};
use crate::status::Status;
use crate::sys;

/// The mode of a new file. Its content is not secret, but only the owner may change it.
const MODE: u32 = 0o644;

/// Identifies a state of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The stamp of the file at the path.
    pub fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::of(&metadata))
    }
}

impl BranchRecords {
    /// Reads a file of records. It must be a regular file of at most 1 MiB, must not be writable by every user, and must end with a
    /// newline: without it the file is not complete. It may have no record yet.
    pub fn read_file(path: &Path) -> Result<Self> {
        let file = sys::file::open(path).map_err(|error| unreadable(path, &error))?;
        read_open(path, &file).map(|(records, _)| records)
    }
}

/// Reads a file that must have records, and returns them with its stamp.
pub(super) fn read(path: &Path) -> Result<(BranchRecords, Stamp)> {
    let file = sys::file::open(path).map_err(|error| unreadable(path, &error))?;
    let (records, stamp) = read_open(path, &file)?;
    if records.iter().next().is_none() {
        return Err(unusable(path, "it contains no record"));
    }
    Ok((records, stamp))
}

/// The same for a file that was read before. One that is empty or missing has no records and is not a failure: its owner removed them.
pub(super) fn read_again(path: &Path) -> Result<(BranchRecords, Option<Stamp>)> {
    match sys::file::open(path) {
        Ok(file) => read_open(path, &file).map(|(records, stamp)| (records, Some(stamp))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Default::default()),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn read_open(path: &Path, file: &File) -> Result<(BranchRecords, Stamp)> {
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if metadata.permissions().mode() & 0o002 != 0 {
        return Err(unusable(path, "every user may write to it; run chmod o-w on it"));
    }
    let stamp = Stamp::of(&metadata);
    let mut text = Vec::new();
    let limited = &mut Read::take(file, BRANCH_RECORDS_MAX as u64 + 1);
    limited.read_to_end(&mut text).map_err(|error| unreadable(path, &error))?;
    if text.len() > BRANCH_RECORDS_MAX {
        return Err(unusable(path, &format!("it has more than {BRANCH_RECORDS_MAX} bytes")));
    }
    if file.metadata().map(|now| Stamp::of(&now)).ok() != Some(stamp) {
        return Err(unusable(path, "it changed while it was read"));
    }
    if !text.is_empty() && !text.ends_with(b"\n") {
        return Err(unusable(path, "it does not end with a newline, so it is not complete"));
    }
    let text = std::str::from_utf8(&text).map_err(|_| unusable(path, "it is not UTF-8"))?;
    let records = BranchRecords::parse(text).map_err(|error| {
        Error::new(error.status(), format!("file {} cannot be used: {}", shown(path), error.message()))
    })?;
    Ok((records, stamp))
}

/// Creates a file with one record. An existing file is an error.
pub fn create_branch_file(path: &Path, record: &BranchRecord) -> Result<()> {
    let mut file = File::options().write(true).create_new(true).open(path).map_err(|error| unwritable(path, &error))?;
    let written = write_all(&mut file, &format!("{record}\n"), Permissions::from_mode(MODE));
    written.map_err(|error| {
        // Remove the incomplete file.
        let _ = fs::remove_file(path);
        unwritable(path, &error)
    })
}

/// Changes the records of a file atomically. Other processes that call this function wait while `change` runs.
pub fn update_branch_file(path: &Path, change: impl FnOnce(&mut BranchRecords) -> Result<()>) -> Result<()> {
    // If the path is a link, its target is replaced.
    let path = &fs::canonicalize(path).map_err(|error| unreadable(path, &error))?;
    let file = locked(path)?;
    let (mut records, _) = read_open(path, &file)?;
    let comments = comments(path)?;
    change(&mut records)?;
    let old = file.metadata().map_err(|error| unreadable(path, &error))?;
    let text = format!("{comments}{records}");
    if text.len() > BRANCH_RECORDS_MAX {
        let reason = format!("it would have {} bytes, and {BRANCH_RECORDS_MAX} are allowed", text.len());
        return Err(unusable(path, &format!("{reason}; remove records that no message needs")));
    }
    replace(path, &text, &old).map_err(|error| unwritable(path, &error))
}

/// The comment lines of a file. A change keeps them at the beginning.
fn comments(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    Ok(text.split_inclusive('\n').filter(|line| line.starts_with('#')).collect())
}

/// The file at the path, locked: another process may have replaced it while this one waited for the lock.
fn locked(path: &Path) -> Result<File> {
    loop {
        let file = sys::file::open(path).map_err(|error| unreadable(path, &error))?;
        file.lock().map_err(|error| unreadable(path, &error))?;
        let inode = |metadata: io::Result<Metadata>| metadata.map(|metadata| (metadata.dev(), metadata.ino())).ok();
        if inode(file.metadata()) == inode(fs::metadata(path)) {
            return Ok(file);
        }
    }
}

fn replace(path: &Path, text: &str, old: &Metadata) -> io::Result<()> {
    let new = temporary(path);
    // A temporary file of a process that was killed. No other process uses it, because this one holds the lock.
    let _ = fs::remove_file(&new);
    let mut file = File::options().write(true).create_new(true).open(&new)?;
    // Its readers may be allowed by owner or group. Who may not set them, and could write the file, keeps their own.
    let _ = std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()));
    let written = write_all(&mut file, text, old.permissions()).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_all(file: &mut File, text: &str, permissions: Permissions) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.set_permissions(permissions)?;
    file.sync_all()
}

/// The temporary file, in the same folder so that it can be renamed.
fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn shown(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn unusable(path: &Path, reason: &str) -> Error {
    Error::new(Status::BranchFileFailed, format!("file {} cannot be used: {reason}", shown(path)))
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    unusable(path, &error.to_string()).with_os_errno(error.raw_os_error())
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    let message = format!("file {} cannot be written: {error}", shown(path));
    Error::new(Status::BranchFileFailed, message).with_os_errno(error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "tbk1 ap-guangzhou/k orders 83eec007-5659-4554-bf11-699b90f41ac6 2026-11-28T18:00:00Z blob";

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tckms-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn write(&self, text: &str) -> PathBuf {
            let path = self.0.join("orders.tbk");
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn refused(path: &Path) -> String {
        let error = read(path).err().unwrap();
        assert!(matches!(error.status(), Status::BranchFileFailed | Status::InvalidBranchRecord), "{error}");
        error.message().to_owned()
    }

    #[test]
    fn only_a_complete_regular_file_that_others_cannot_write_is_read() {
        let folder = Folder::new("read");
        let path = folder.write(&format!("{LINE}\n"));
        assert_eq!(BranchRecords::read_file(&path).unwrap().iter().next().unwrap().to_string(), LINE);
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert!(refused(&path).contains("chmod"));
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        for (text, reason) in [
            (LINE.to_owned(), "newline"),
            (String::new(), "no record"),
            ("\n".to_owned(), "no record"),
            (format!("{LINE}\n{}\n", &LINE[..70]), "line 2"),
            ("#".repeat(BRANCH_RECORDS_MAX) + "\n", "more than"),
        ] {
            folder.write(&text);
            assert!(refused(&path).contains(reason), "{}", refused(&path));
        }
        fs::write(&path, b"\xff\n").unwrap();
        assert!(refused(&path).contains("UTF-8"));
        assert!(refused(&folder.0).contains("regular file"));
        assert!(refused(Path::new("/dev/null")).contains("regular file"));
        assert!(refused(&folder.0.join("missing")).contains("No such file"));
    }

    #[test]
    fn a_file_is_created_once_and_changed_atomically() {
        let folder = Folder::new("write");
        let path = folder.0.join("orders.tbk");
        let record = BranchRecord::parse(LINE).unwrap();
        create_branch_file(&path, &record).unwrap();
        assert_eq!(create_branch_file(&path, &record).err().unwrap().status(), Status::BranchFileFailed);
        fs::write(&path, format!("# kept\n{LINE}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let second = BranchRecord::parse(&LINE.replace("83eec007", "00000000")).unwrap();
        update_branch_file(&path, |records| records.add(second.clone())).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("# kept\n{LINE}\n{second}\n"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        // Only root may set another owner.
        let other = std::os::unix::fs::chown(&path, Some(65534), Some(65534)).is_ok();
        update_branch_file(&path, |_| Ok(())).unwrap();
        let owner = fs::metadata(&path).unwrap();
        assert!(!other || (owner.uid(), owner.gid(), owner.mode() & 0o777) == (65534, 65534, 0o640));
        let failed = update_branch_file(&path, |_| Err(unusable(&path, "on purpose")));
        assert!(failed.is_err());
        assert_eq!(BranchRecords::read_file(&path).unwrap().iter().count(), 2);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    }

    #[test]
    fn a_change_that_would_make_a_file_too_large_changes_nothing() {
        let folder = Folder::new("full");
        let version = |number: usize| LINE.replace("83eec007", &format!("{number:08x}")) + "\n";
        let full: String = (0..BRANCH_RECORDS_MAX / (LINE.len() + 1)).map(version).collect();
        let path = folder.write(&full);
        let another = BranchRecord::parse(LINE).unwrap();
        let error = update_branch_file(&path, |records| records.add(another)).err().unwrap();
        assert!(error.message().contains("1048576 are allowed"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), full);
    }

    #[test]
    fn the_first_record_can_be_added_to_a_file_that_has_only_comments() {
        let folder = Folder::new("comments");
        let record = BranchRecord::parse(LINE).unwrap();
        for before in ["", "# orders\n"] {
            let path = folder.write(before);
            assert_eq!(BranchRecords::read_file(&path).unwrap().iter().count(), 0);
            update_branch_file(&path, |records| records.add(record.clone())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{before}{LINE}\n"));
        }
    }
}
