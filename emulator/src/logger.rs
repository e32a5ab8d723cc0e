//! The log: one line per message on stderr, or in a file.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::sanitize::sanitized;

/// Writes messages to its file, or to stderr without one.
struct Logger {
    file: OnceLock<File>,
}

static LOGGER: Logger = Logger { file: OnceLock::new() };

/// Starts logging the emulator's own messages up to `level`, to stderr or to the end of a file.
pub fn start(level: LevelFilter, path: Option<&Path>) -> Result<(), String> {
    if let Some(path) = path {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        // A new logger has no file yet.
        let _ = LOGGER.file.set(file.map_err(|error| format!("--log-file {}: {error}", path.display()))?);
    }
    // An error means that the logger is installed already.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
    Ok(())
}

/// Writes a message to stderr, independently of the log's level and file.
pub fn write_to_stderr(level: Level, message: &str) {
    // A closed stderr does not stop the emulator.
    let _ = std::io::stderr().write_all(line(level, message).as_bytes());
}

/// One line without control characters, even if the message repeats what a client sent.
fn line(level: Level, message: impl Display) -> String {
    format!("tckms-emulator: {level}: {}\n", sanitized(&message.to_string()))
}

impl Log for Logger {
    /// Messages of libraries are not logged: libraries do not know which of their data is secret.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = line(record.level(), record.args());
        // A closed stderr or a full disk does not stop the emulator serving.
        let _ = match self.file.get() {
            Some(mut file) => file.write_all(line.as_bytes()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_without_control_characters() {
        let line = line(Level::Warn, "a\nb\u{1b}[2J\u{9b}c\u{202e}");
        assert_eq!(line, "tckms-emulator: WARN: a b\\u{1b}[2J\\u{9b}c\\u{202e}\n");
    }
}
