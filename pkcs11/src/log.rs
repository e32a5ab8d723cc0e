//! The module's log: syslog, a file, or stderr. The module never writes to stdout, and writes to stderr only if the configuration
//! says so.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::UNIX_EPOCH;
use std::{fmt, mem};

use tckms::host::PerProcess;
use tckms::{LogLevel, rfc3339};

use crate::advice::program_name;

/// The socket of syslog.
const SYSLOG_SOCKET: &str = "/dev/log";
/// The facility "daemon" (RFC 5424, 6.2.1), times eight.
const SYSLOG_DAEMON: u8 = 3 << 3;
/// Readable by its owner only: a log shows which keys a program uses.
const FILE_MODE: u32 = 0o600;

/// Where log lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The syslog of this machine.
    Syslog,
    /// The standard error of the program.
    Stderr,
    /// A file. Lines are appended.
    File(PathBuf),
    /// Nowhere.
    None,
}

/// The log that the configuration describes.
struct Log {
    level: LogLevel,
    sink: Sink,
}

enum Sink {
    Syslog,
    Stderr,
    File(LogFile),
    None,
}

/// One per process, so that a forked child never waits for a lock of its parent.
static LOG: PerProcess<RwLock<Arc<Log>>> = PerProcess::new();

fn cell() -> &'static RwLock<Arc<Log>> {
    LOG.get_or_inherit(|parent| {
        let inherited = parent.and_then(|parent| parent.try_read().ok().map(|log| Arc::clone(&log)));
        RwLock::new(inherited.unwrap_or_else(|| Arc::new(Log { level: LogLevel::Warn, sink: Sink::Syslog })))
    })
}

fn current() -> Arc<Log> {
    Arc::clone(&cell().read().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// Writes lines up to `level` to `destination` from now on. Fails if a file cannot be opened.
pub fn set(destination: &Destination, level: LogLevel) -> std::io::Result<()> {
    let sink = match destination {
        Destination::Syslog => Sink::Syslog,
        Destination::Stderr => Sink::Stderr,
        Destination::File(path) => Sink::File(LogFile::open(path)?),
        Destination::None => Sink::None,
    };
    *cell().write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(Log { level, sink });
    Ok(())
}

/// The level of the log.
pub fn level() -> LogLevel {
    current().level
}

/// Logs a failure.
pub fn error(message: fmt::Arguments<'_>) {
    write(LogLevel::Error, message);
}

/// Logs a warning.
pub fn warn(message: fmt::Arguments<'_>) {
    write(LogLevel::Warn, message);
}

/// Logs an event.
pub fn info(message: fmt::Arguments<'_>) {
    write(LogLevel::Info, message);
}

/// Writes a line. Failures are ignored.
pub fn write(level: LogLevel, message: fmt::Arguments<'_>) {
    let log = current();
    if level > log.level {
        return;
    }
    match &log.sink {
        Sink::Syslog => to_syslog(level, message),
        Sink::Stderr => {
            let _ = std::io::stderr().write_all(line(level, message).as_bytes());
        }
        Sink::File(file) => file.append(&line(level, message)),
        Sink::None => {}
    }
}

fn name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warning",
        LogLevel::Info => "info",
        _ => "debug",
    }
}

fn line(level: LogLevel, message: fmt::Arguments<'_>) -> String {
    let (program, pid) = (program_name(), std::process::id());
    let time = UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs() as i64);
    format!("{} {program}[{pid}]: tckms-pkcs11: {}: {message}\n", rfc3339(time), name(level))
}

/// Sends over a socket of the module: syslog() of the C library takes a lock, which another thread may hold during a fork.
fn to_syslog(level: LogLevel, message: fmt::Arguments<'_>) {
    let severity = match level {
        LogLevel::Error => 3,
        LogLevel::Warn => 4,
        LogLevel::Info => 6,
        _ => 7,
    };
    let (program, pid) = (program_name(), std::process::id());
    let text = format!("<{}>{program}[{pid}]: tckms-pkcs11: {}: {message}", SYSLOG_DAEMON | severity, name(level));
    if let Ok(socket) = UnixDatagram::unbound()
        && socket.set_nonblocking(true).is_ok()
    {
        let _ = socket.send_to(text.as_bytes(), SYSLOG_SOCKET);
    }
}

/// An open log file with its device and inode: a daemon may close the descriptor and reuse its number for another file.
struct LogFile {
    path: PathBuf,
    file: Option<File>,
    identity: (u64, u64),
}

impl LogFile {
    fn open(path: &Path) -> std::io::Result<Self> {
        let file = append_to(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("it is not a regular file"));
        }
        Ok(Self { path: path.to_owned(), file: Some(file), identity: (metadata.dev(), metadata.ino()) })
    }

    fn append(&self, line: &str) {
        if let Some(file) = &self.file
            && self.is_ours(file)
        {
            let _ = (&mut &*file).write_all(line.as_bytes());
        } else if let Ok(mut file) = append_to(&self.path) {
            let _ = file.write_all(line.as_bytes());
        }
    }

    fn is_ours(&self, file: &File) -> bool {
        file.metadata().is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity)
    }
}

impl Drop for LogFile {
    /// Does not close a descriptor that now belongs to another file.
    fn drop(&mut self) {
        if let Some(file) = self.file.take()
            && !self.is_ours(&file)
        {
            mem::forget(file);
        }
    }
}

fn append_to(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(FILE_MODE).custom_flags(tckms::host::OPEN_FLAGS).open(path)
}
