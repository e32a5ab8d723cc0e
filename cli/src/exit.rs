//! Exit statuses.

/// How the program ends. The same numbers as those of tckms-seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// A file could not be read or written, or anything else.
    Failed = 1,
    /// The command line, or something that it names, is wrong. Nothing was sent and nothing was written.
    Usage = 2,
    /// A message, a signature or a context is not authentic, or not the expected one.
    NotAuthentic = 3,
    /// The service cannot be reached, or is not available now.
    Later = 4,
    /// The service refused the request, or there are no credentials.
    Refused = 5,
    /// `tckms exec` could not execute the program, as other tools of this kind say it.
    ProgramNotExecuted = 126,
    /// `tckms exec` did not find the program.
    ProgramNotFound = 127,
}

pub const HELP: &str = "\
Exit status: 0 done, 1 files and anything else, 2 a wrong command line, file, key, context or JSON, 3 not authentic: a message, \
a ciphertext or a signature, 4 the service cannot be reached or is unable now, 5 the service refuses, or there are no credentials.";
