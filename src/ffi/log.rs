//! The log callback and its events.

use std::ffi::{CString, c_char, c_int, c_void};

use super::arguments::{c_text, handle_mut};
use super::config::tckms_config;
use super::guard::guard;
use super::userdata::{Userdata, tckms_destructor};
use crate::error::{Error, Result};
use crate::log::{LogEvent, LogLevel};
use crate::status::Status;

/// Log level: nothing.
pub const TCKMS_LOG_OFF: c_int = 0;
/// Log level: calls that failed.
pub const TCKMS_LOG_ERROR: c_int = 1;
/// Log level: also attempts that failed, and corrections such as that of the clock.
pub const TCKMS_LOG_WARN: c_int = 2;
/// Log level: also every attempt that succeeded.
pub const TCKMS_LOG_INFO: c_int = 3;
/// Log level: also the waits between attempts.
pub const TCKMS_LOG_DEBUG: c_int = 4;

/// One event of the log. It is valid only during the callback, and so are the strings that its
/// functions return.
pub struct tckms_log_event {
    level: LogLevel,
    message: CString,
    action: CString,
    status: Status,
    attempt: c_int,
    elapsed_ms: i64,
    request_id: CString,
}

/// A function that receives the events of the log.
///
/// @param userdata  The pointer given to tckms_config_set_log().
/// @param event     The event, for the functions tckms_log_event_...().
///
/// It runs on the thread that made the call, possibly on several threads at once, and may call this
/// library. It must return: do not leave it by longjmp() or a C++ exception.
pub type tckms_log_callback = Option<unsafe extern "C" fn(userdata: *mut c_void, event: *const tckms_log_event)>;

/// Installs a log callback. Logging is off by default.
///
/// @param config              The configuration.
/// @param level               TCKMS_LOG_OFF to TCKMS_LOG_DEBUG.
/// @param callback_or_null    The function; NULL for none.
/// @param userdata            Passed to the function unchanged. It must be safe to use from all
///                            threads that call the library.
/// @param destructor_or_null  Frees `userdata`; see tckms_destructor.
/// @return                    TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
///
/// Clients made from the configuration, keyrings and signers with such clients, and streams of such
/// keyrings call the function.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_log(
    config: *mut tckms_config,
    level: c_int,
    callback_or_null: tckms_log_callback,
    userdata: *mut c_void,
    destructor_or_null: tckms_destructor,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        let config = unsafe { handle_mut(config, "config")? };
        let level = checked_level(level)?;
        let userdata = Userdata::new(userdata, destructor_or_null);
        match callback_or_null {
            None => config.0.set_log(LogLevel::Off, Box::new(|_| {})),
            Some(callback) => config.0.set_log(level, Box::new(move |event| deliver(callback, &userdata, event))),
        }
        Ok(())
    })
}

fn checked_level(level: c_int) -> Result<LogLevel> {
    LogLevel::from_number(level).ok_or_else(|| {
        let message = format!("the log level is {level}, {TCKMS_LOG_OFF} to {TCKMS_LOG_DEBUG} are allowed");
        Error::new(Status::OutOfRange, message)
    })
}

type LogFunction = unsafe extern "C" fn(*mut c_void, *const tckms_log_event);

fn deliver(callback: LogFunction, userdata: &Userdata, event: &LogEvent<'_>) {
    let event = tckms_log_event::from(event);
    // SAFETY: the callback and its userdata live as long as the client and may be used from every
    // thread (tckms_config_set_log in the header); the event outlives the call.
    unsafe { callback(userdata.pointer(), &raw const event) };
}

impl From<&LogEvent<'_>> for tckms_log_event {
    fn from(event: &LogEvent<'_>) -> Self {
        let context = event.context;
        Self {
            level: event.level,
            message: c_text(event.message),
            action: c_text(context.action.unwrap_or_default()),
            status: context.status.unwrap_or(Status::Ok),
            attempt: context.attempt.map_or(0, |attempt| c_int::try_from(attempt).unwrap_or(c_int::MAX)),
            elapsed_ms: context.elapsed.map_or(-1, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
            request_id: c_text(context.request_id.unwrap_or_default()),
        }
    }
}

/// Reads a part of an event, or returns `none` for NULL.
///
/// # Safety
///
/// `event` is NULL or the argument of a running callback ("Callbacks" in the header).
unsafe fn read<T>(event: *const tckms_log_event, none: T, part: impl FnOnce(&tckms_log_event) -> T) -> T {
    // SAFETY: the caller's promise.
    unsafe { event.as_ref() }.map_or(none, part)
}

/// The level of an event.
///
/// @param event  The event.
/// @return       TCKMS_LOG_ERROR to TCKMS_LOG_DEBUG.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_log_event_level(event: *const tckms_log_event) -> c_int {
    // SAFETY: "Callbacks" in the header.
    unsafe { read(event, TCKMS_LOG_OFF, |event| event.level as c_int) }
}

/// The text of an event. Texts may change in any version: read the other parts with their functions.
///
/// @param event  The event.
/// @return       One line without a newline. It never contains a secret, a plaintext or an
///               Authorization header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_log_event_message(event: *const tckms_log_event) -> *const c_char {
    // SAFETY: "Callbacks" in the header.
    unsafe { read(event, c"".as_ptr(), |event| event.message.as_ptr()) }
}

/// The action of an event, such as "Encrypt".
///
/// @param event  The event.
/// @return       The action; "" when the event does not concern a request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_log_event_action(event: *const tckms_log_event) -> *const c_char {
    // SAFETY: "Callbacks" in the header.
    unsafe { read(event, c"".as_ptr(), |event| event.action.as_ptr()) }
}

/// The result of the attempt or call that an event reports.
///
/// @param event  The event.
/// @return       The status; TCKMS_OK also when the event reports neither.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_log_event_status(event: *const tckms_log_event) -> Status {
    // SAFETY: "Callbacks" in the header.
    unsafe { read(event, Status::Ok, |event| event.status) }
}

/// The number of the attempt that an event reports.
///
/// @param event  The event.
/// @return       The number, from 1; for a failed call, the number of its attempts; else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_log_event_attempt(event: *const tckms_log_event) -> c_int {
    // SAFETY: "Callbacks" in the header.
    unsafe { read(event, 0, |event| event.attempt) }
}

/// How long the attempt or the call took, or how long the library waits before the next attempt.
///
/// @param event  The event.
/// @return       Milliseconds; -1 when the event has no duration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_log_event_ms(event: *const tckms_log_event) -> i64 {
    // SAFETY: "Callbacks" in the header.
    unsafe { read(event, -1, |event| event.elapsed_ms) }
}

/// The service's id of the request that an event reports.
///
/// @param event  The event.
/// @return       The id; "" when the service did not reply.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_log_event_request_id(event: *const tckms_log_event) -> *const c_char {
    // SAFETY: "Callbacks" in the header.
    unsafe { read(event, c"".as_ptr(), |event| event.request_id.as_ptr()) }
}
