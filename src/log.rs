//! The log: events of calls, for the callback that a configuration installs.

use std::cell::RefCell;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::status::Status;

/// How much a log callback receives. A level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    Off = 0,
    /// Calls that failed.
    Error = 1,
    /// Failed attempts that are retried, and corrections such as that of the clock.
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
    /// The number of the attempt, from 1; for a failed call, the number of its attempts.
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
    /// One line of text, without a newline and without any secret.
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

    pub fn write(self: &Arc<Self>, level: LogLevel, message: fmt::Arguments<'_>) {
        self.write_about(level, LogContext::default(), message);
    }

    pub fn write_about(self: &Arc<Self>, level: LogLevel, context: LogContext<'_>, message: fmt::Arguments<'_>) {
        if level > self.level {
            return;
        }
        let message = message.to_string();
        let is_deferred = DEFERRED.with_borrow_mut(|deferred| match deferred {
            Some(events) => {
                events.push(DeferredEvent::new(Arc::clone(self), level, &message, context));
                true
            }
            None => false,
        });
        if !is_deferred {
            (self.callback)(&LogEvent { level, message: &message, context });
        }
    }
}

thread_local! {
    /// The deferred events of a queued call, while it runs on a thread of the library.
    static DEFERRED: RefCell<Option<Vec<DeferredEvent>>> = const { RefCell::new(None) };
}

/// Exchanges the place for deferred events. Without one, the callback is called at once.
pub(crate) fn swap_deferred(events: &mut Option<Vec<DeferredEvent>>) {
    DEFERRED.with_borrow_mut(|deferred| mem::swap(deferred, events));
}

/// Whether this thread runs a queued call.
pub(crate) fn is_deferred() -> bool {
    DEFERRED.with_borrow(Option::is_some)
}

/// Adds events that another thread of the library deferred for the same call.
pub(crate) fn append_deferred(events: &mut Vec<DeferredEvent>) {
    DEFERRED.with_borrow_mut(|deferred| {
        if let Some(own) = deferred {
            own.append(events);
        }
    });
}

/// An event that waits for a thread of the program to call the callback.
pub(crate) struct DeferredEvent {
    log: Arc<Log>,
    level: LogLevel,
    message: String,
    action: Option<String>,
    status: Option<Status>,
    attempt: Option<u32>,
    elapsed: Option<Duration>,
    request_id: Option<String>,
}

impl DeferredEvent {
    fn new(log: Arc<Log>, level: LogLevel, message: &str, context: LogContext<'_>) -> Self {
        Self {
            log,
            level,
            message: message.to_owned(),
            action: context.action.map(str::to_owned),
            status: context.status,
            attempt: context.attempt,
            elapsed: context.elapsed,
            request_id: context.request_id.map(str::to_owned),
        }
    }

    /// Calls the callback.
    pub fn deliver(&self) {
        let context = LogContext {
            action: self.action.as_deref(),
            status: self.status,
            attempt: self.attempt,
            elapsed: self.elapsed,
            request_id: self.request_id.as_deref(),
        };
        (self.log.callback)(&LogEvent { level: self.level, message: &self.message, context });
    }
}
