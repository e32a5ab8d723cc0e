//! What the library says about its work, to whoever asked.

use std::fmt;

use crate::sanitize::sanitized;

/// How much a log callback wants to hear. A level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    Off = 0,
    /// Calls that failed.
    Error = 1,
    /// Attempts that failed and are tried again, and corrections such as that of the clock.
    Warn = 2,
    /// Every attempt.
    Info = 3,
    /// Also the waits between attempts.
    Debug = 4,
}

impl LogLevel {
    /// The level with this number, if there is one.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Off, Self::Error, Self::Warn, Self::Info, Self::Debug].into_iter().find(|level| *level as i32 == number)
    }
}

/// A function that takes one line of log text, without a line end, without any character that a terminal would act on, and
/// without any secret.
pub type LogCallback = dyn Fn(LogLevel, &str) + Send + Sync;

/// The callback with its level; a message is only written out when somebody hears it.
pub(crate) struct Log {
    level: LogLevel,
    callback: Box<LogCallback>,
}

impl Log {
    pub fn new(level: LogLevel, callback: Box<LogCallback>) -> Self {
        Self { level, callback }
    }

    pub fn write(&self, level: LogLevel, message: fmt::Arguments<'_>) {
        if level <= self.level {
            (self.callback)(level, &sanitized(&message.to_string()));
        }
    }
}
