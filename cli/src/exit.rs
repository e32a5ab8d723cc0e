//! Exit statuses.

/// The exit statuses, the same as those of tckms-seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Success.
    Done = 0,
    /// A file could not be read or written, or another failure.
    Failed = 1,
    /// The command line, or a file that it names, is invalid. Nothing was sent or written.
    Usage = 2,
    /// A message, a signature or a context is not authentic, or not the expected one.
    NotAuthentic = 3,
    /// The service cannot be reached, or is not available now.
    Unavailable = 4,
    /// The service refused the request, or there are no credentials.
    Refused = 5,
    /// `tckms exec` could not execute the program. The number is that of env(1).
    ProgramNotExecuted = 126,
    /// `tckms exec` did not find the program.
    ProgramNotFound = 127,
}

pub const HELP: &str = "\
Exit status: 0 success; 1 a file could not be read or written, or another failure; 2 invalid command line, file, key, context or \
JSON; 3 a message, ciphertext or signature is not authentic; 4 the service cannot be reached or is not available; 5 the service \
refused the request, or there are no credentials.";
