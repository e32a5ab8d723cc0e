//! The failure of a command: the object, the reason, the advice and the exit status.

use std::io;

use rustix::io::Errno;
use tckms::{Category, Status};

use crate::exit::Exit;

/// What a command, or a part of one, comes to.
pub type Outcome<T = Exit> = Result<T, Failure>;

/// A failure, whose texts need not be safe for a terminal: `report` makes them so.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// What it is about, such as the name of a file.
    pub what: Option<String>,
    pub why: String,
    /// What to do.
    pub advice: Option<String>,
    /// The failure of the library, with what the service said.
    pub error: Option<tckms::Error>,
    /// A reader that went away needs no message.
    pub is_broken_pipe: bool,
}

impl Failure {
    pub fn new(exit: Exit, why: impl Into<String>) -> Self {
        Self { exit, what: None, why: why.into(), advice: None, error: None, is_broken_pipe: false }
    }

    /// The command line, or something that it names, is wrong.
    pub fn usage(why: impl Into<String>) -> Self {
        Self::new(Exit::Usage, why)
    }

    /// Something of the system failed.
    pub fn failed(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Exit::Failed, why).about(what)
    }

    /// A file that cannot be what it is named for.
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

/// The exit status that a status of the library leads to.
pub fn exit_of(status: Status) -> Exit {
    // The service's own words for what it does not recognise as its ciphertext.
    if status == Status::InvalidCiphertext {
        return Exit::NotAuthentic;
    }
    match status.category() {
        Category::Argument => Exit::Usage,
        Category::Integrity => Exit::NotAuthentic,
        Category::Transport | Category::Unavailable => Exit::Later,
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

/// The text of the system for an error number.
pub fn errno_text(errno: Errno) -> String {
    os_text(&errno.into())
}

/// The text of the system for an error, without the number that Rust adds.
pub fn os_text(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.rfind(" (os error ")) {
        (Some(_), Some(end)) => text[..end].to_owned(),
        _ => text,
    }
}
