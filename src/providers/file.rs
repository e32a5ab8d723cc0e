//! Files with secrets in them.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};
use crate::log::{Log, LogLevel};
use crate::sanitize::quoted;
use crate::secret::Secret;
use crate::status::Status;
use crate::sys;

/// The maximum length of a file of credentials or of a token. Real ones have at most about 10 KiB.
const FILE_MAX: u64 = 64 * 1024;

/// Warns once about a file of secrets that every user may read.
pub(super) struct ExposureWarning {
    log: Option<Arc<Log>>,
    given: AtomicBool,
}

impl ExposureWarning {
    pub fn new(log: Option<Arc<Log>>) -> Self {
        Self { log, given: AtomicBool::new(false) }
    }

    fn check(&self, path: &Path, metadata: &Metadata) {
        let exposed = metadata.permissions().mode() & 0o004 != 0 && !is_kept_by_kubelet(path);
        if let (Some(log), true) = (&self.log, exposed)
            && !self.given.swap(true, Ordering::Relaxed)
        {
            log.write(
                LogLevel::Warn,
                format_args!(
                    "file {} contains secrets, and every user may read it; run chmod 600 on it",
                    quoted(&path.to_string_lossy())
                ),
            );
        }
    }
}

/// Whether this is a file that Kubernetes writes and rotates: a symbolic link through `..data`. Kubernetes chooses its mode.
fn is_kept_by_kubelet(path: &Path) -> bool {
    std::fs::read_link(path).is_ok_and(|target| target.starts_with("..data"))
}

/// The text of a file, or `None` if there is no such file. Only regular files are read.
pub(super) fn read(path: &Path, warning: &ExposureWarning) -> Result<Option<Secret>> {
    let mut file = match sys::file::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    warning.check(path, &metadata);
    let mut text = Secret::zeroed(FILE_MAX as usize + 1)?;
    let len = read_whole(&mut file, text.expose_mut()).map_err(|error| unreadable(path, &error))?;
    text.truncate(len);
    match () {
        () if len as u64 > FILE_MAX => Err(invalid(path, &format!("it is longer than {FILE_MAX} bytes"))),
        () if std::str::from_utf8(text.expose()).is_err() => Err(invalid(path, "it is not valid UTF-8")),
        () => Ok(Some(text)),
    }
}

/// The text of a file that [`read`] returned, without a byte order mark.
pub(super) fn as_text(secret: &Secret) -> &str {
    let text = std::str::from_utf8(secret.expose()).unwrap_or_default();
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

pub(super) fn invalid(path: &Path, reason: &str) -> Error {
    Error::new(
        Status::InvalidCredentialsFile,
        format!("file {} cannot be used: {reason}", quoted(&path.to_string_lossy())),
    )
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    invalid(path, &error.to_string()).with_os_errno(error.raw_os_error())
}

fn read_whole(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}
