//! The rules for files, which are those of tckms-seal (examples-c/tckms-seal): an input that is known to be unchanged, and an
//! output that has the result whole or not at all, wherever links, mounts and descriptors lead.

mod attributes;
pub mod input;
pub mod output;
mod place;

use rustix::io::Errno;

use crate::failure::{Failure, errno_text};

/// A failure of the system while the work is done.
fn failed(name: &str, errno: Errno) -> Failure {
    Failure::io(name, &errno.into())
}

/// A file that cannot be used, found before the work.
fn unusable(name: &str, errno: Errno) -> Failure {
    Failure::wrong_file(name, errno_text(errno))
}
