//! Errors of the configuration.

use std::path::{Path, PathBuf};

/// An error of the configuration, with its file and line.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    location: Option<(PathBuf, usize)>,
    pub(super) message: String,
}

impl ConfigError {
    /// An error on a line of a file. Line 0 means the complete file.
    pub fn at(file: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { location: Some((file.to_owned(), line)), message: message.into() }
    }

    /// An error in a variable or in an argument of the program.
    pub fn new(message: impl Into<String>) -> Self {
        Self { location: None, message: message.into() }
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.location {
            Some((file, 0)) => write!(formatter, "{}: {}", file.display(), self.message),
            Some((file, line)) => write!(formatter, "{}:{line}: {}", file.display(), self.message),
            None => formatter.write_str(&self.message),
        }
    }
}
