//! The failure of a command: the object, the reason, the advice and the exit status.

use std::io;

use rustix::io::Errno;
use tckms::{Category, Status};

use crate::exit::Exit;

/// The result of a command or of a part of it.
pub type Outcome<T = Exit> = Result<T, Failure>;

/// A failure. `report` escapes its texts for terminals.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// The object, such as the name of a file.
    pub what: Option<String>,
    pub why: String,
    /// The advice.
    pub advice: Option<String>,
    /// The error of the library, with the details of the reply.
    pub error: Option<tckms::Error>,
    /// Whether the output was closed by its reader, which needs no message.
    pub is_broken_pipe: bool,
}

impl Failure {
    pub fn new(exit: Exit, why: impl Into<String>) -> Self {
        Self { exit, what: None, why: why.into(), advice: None, error: None, is_broken_pipe: false }
    }

    /// The command line, or a file that it names, is invalid.
    pub fn usage(why: impl Into<String>) -> Self {
        Self::new(Exit::Usage, why)
    }

    /// A failure of the operating system.
    pub fn failed(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Exit::Failed, why).about(what)
    }

    /// A file with invalid content.
    pub fn wrong_file(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::usage(why).about(what)
    }

    pub fn io(what: impl Into<String>, error: &io::Error) -> Self {
        let mut failure = Self::failed(what, os_text(error));
        failure.is_broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        failure
    }

    pub fn about(mut self, what: impl Into<String>) -> Self {
        self.what = Some(what.into());
        self
    }

    pub fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl From<tckms::Error> for Failure {
    fn from(error: tckms::Error) -> Self {
        let mut failure = Self::new(exit_of(error.status()), error.message());
        failure.is_broken_pipe = error.os_errno() == Some(libc::EPIPE) && error.status() == Status::DescriptorFailed;
        failure.advice = advice(error.status());
        failure.error = Some(error);
        failure
    }
}

/// The exit status for a status of the library.
pub fn exit_of(status: Status) -> Exit {
    // The service refuses a ciphertext that it does not recognise as a wrong parameter.
    if status == Status::InvalidCiphertext {
        return Exit::NotAuthentic;
    }
    match status.category() {
        Category::Argument => Exit::Usage,
        Category::Integrity => Exit::NotAuthentic,
        Category::Transport | Category::Unavailable => Exit::Unavailable,
        Category::Credentials | Category::Identity | Category::Request => Exit::Refused,
        _ => Exit::Failed,
    }
}

fn advice(status: Status) -> Option<String> {
    match status.category() {
        Category::Credentials | Category::Identity | Category::Transport => {
            Some("run `tckms doctor` to find the cause".to_owned())
        }
        _ => None,
    }
}

/// The operating system's text for an error number.
pub fn errno_text(errno: Errno) -> String {
    os_text(&errno.into())
}

/// The operating system's text for an error, without the number that Rust appends.
pub fn os_text(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.rfind(" (os error ")) {
        (Some(_), Some(end)) => text[..end].to_owned(),
        _ => text,
    }
}
