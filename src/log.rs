//! The log: events of calls, for the callback that a configuration installs.

use std::fmt;
use std::time::Duration;

use crate::status::Status;

/// How much a log callback receives. A level includes those before it.
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

/// What an event is about. All parts are optional.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogContext<'a> {
    /// The action, such as `Encrypt`.
    pub action: Option<&'a str>,
    /// How an attempt or a call ended.
    pub status: Option<Status>,
    /// The number of the attempt, from 1; of a call that failed, how many there were.
    pub attempt: Option<u32>,
    /// How long the attempt or the call took, or how long the library waits before the next attempt.
    pub elapsed: Option<Duration>,
    /// The service's id of the request.
    pub request_id: Option<&'a str>,
}

/// One event of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogEvent<'a> {
    /// The level, which is never [`LogLevel::Off`].
    pub level: LogLevel,
    /// One line of text, without a line end and without any secret.
    pub message: &'a str,
    /// What it is about.
    pub context: LogContext<'a>,
}

/// A function that receives the events of the log.
pub type LogCallback = dyn Fn(&LogEvent<'_>) + Send + Sync;

/// The callback with its level. A message is formatted only when the callback receives it.
pub(crate) struct Log {
    level: LogLevel,
    callback: Box<LogCallback>,
}

impl Log {
    pub fn new(level: LogLevel, callback: Box<LogCallback>) -> Self {
        Self { level, callback }
    }

    pub fn write(&self, level: LogLevel, message: fmt::Arguments<'_>) {
        self.write_about(level, LogContext::default(), message);
    }

    pub fn write_about(&self, level: LogLevel, context: LogContext<'_>, message: fmt::Arguments<'_>) {
        if level <= self.level {
            (self.callback)(&LogEvent { level, message: &message.to_string(), context });
        }
    }
}
