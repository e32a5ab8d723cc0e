//! Input and output files, with the rules of tckms-seal (examples-c/tckms-seal): the input must not change while it is read, and
//! the output is complete or unchanged, also through links, mounts and descriptors.

mod attributes;
pub mod input;
pub mod output;
mod resolve;
pub mod screen;

use rustix::io::Errno;

use crate::failure::{Failure, errno_text};

/// A failure of the operating system while the command reads or writes.
fn failed(name: &str, errno: Errno) -> Failure {
    Failure::io(name, &errno.into())
}

/// A file that cannot be used, which is detected before the command reads or writes.
fn unusable(name: &str, errno: Errno) -> Failure {
    Failure::wrong_file(name, errno_text(errno))
}
