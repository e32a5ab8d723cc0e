//! Files that a configuration or the environment names.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::descriptor;

/// Flags with which opening neither blocks nor makes a terminal the controlling one.
pub(crate) const OPEN_FLAGS: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;

/// Opens a regular file and nothing else. A pipe could block forever, a device could never end, and a terminal could become
/// the controlling one of a daemon.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(OPEN_FLAGS).open(path)?;
    let file = File::from(descriptor::above_standard(file.into())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}
