//! Descriptor numbers.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// The lowest number that a descriptor of the library may have.
const LOWEST: libc::c_int = 3;

/// Moves a descriptor above 0 to 2, which a host uses as standard input, output and error even if it closed them.
pub(crate) fn above_standard(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    if descriptor.as_raw_fd() >= LOWEST {
        return Ok(descriptor);
    }
    // SAFETY: the descriptor is open, and the call touches no memory.
    let moved = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, LOWEST) };
    if moved < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}

/// Runs `open` with 0 to 2 occupied if the host closed them, so that the new descriptors have higher numbers.
///
/// The placeholders can be neither read nor written, as if the descriptors were still closed.
pub(crate) fn with_standard_occupied<T>(open: impl FnOnce() -> T) -> T {
    let mut occupants = Vec::new();
    while let Ok(occupant) = File::options().read(true).custom_flags(OPAQUE).open("/") {
        let is_above = occupant.as_raw_fd() >= LOWEST;
        if is_above {
            break;
        }
        occupants.push(occupant);
    }
    open()
}

#[cfg(target_os = "linux")]
const OPAQUE: libc::c_int = libc::O_PATH;
#[cfg(not(target_os = "linux"))]
const OPAQUE: libc::c_int = libc::O_DIRECTORY;
