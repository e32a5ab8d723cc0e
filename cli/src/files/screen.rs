//! A terminal as the output of opened data: it shows text, and no control characters and no binary data.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use zeroize::Zeroizing;

use super::failed;
use crate::descriptor;
use crate::failure::Outcome;
use crate::text::is_showable;

const CHUNK: usize = 64 * 1024;

/// A pipe, and a thread that writes its content to the terminal. The thread reads the pipe to its end in any case, so a write
/// to the pipe never fails.
pub struct Screen {
    pipe: OwnedFd,
    has_stopped: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), Errno>>,
}

impl Screen {
    pub fn new(terminal: BorrowedFd<'static>, name: &str) -> Outcome<Self> {
        let (from, pipe) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed(name, errno))?;
        let has_stopped = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&has_stopped);
        let thread = std::thread::Builder::new().spawn(move || show(&from, terminal, &stopped));
        let thread = thread.map_err(|error| crate::failure::Failure::io(name, &error))?;
        Ok(Self { pipe, has_stopped, thread })
    }

    /// The descriptor to write to.
    pub fn number(&self) -> RawFd {
        self.pipe.as_raw_fd()
    }

    /// Whether the data contained something that is not shown, or the terminal failed.
    pub fn has_stopped(&self) -> bool {
        self.has_stopped.load(Ordering::Relaxed)
    }

    /// Waits until everything is shown. Returns whether all of it was text.
    pub fn finish(self, name: &str) -> Outcome<bool> {
        drop(self.pipe);
        match self.thread.join() {
            Ok(Ok(())) => Ok(!self.has_stopped.load(Ordering::Relaxed)),
            Ok(Err(errno)) => Err(failed(name, errno)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn show(from: &OwnedFd, terminal: BorrowedFd<'_>, has_stopped: &AtomicBool) -> Result<(), Errno> {
    let mut chunk = Zeroizing::new(vec![0; CHUNK]);
    let (mut kept, mut outcome) = (0, Ok(()));
    loop {
        let read = match descriptor::read(from.as_fd(), &mut chunk[kept..]) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        let len = kept + read;
        let end = if read == 0 { len } else { whole_characters(&chunk[..len]) };
        if !has_stopped.load(Ordering::Relaxed) {
            if is_showable(&chunk[..end]) {
                outcome = descriptor::write_all(terminal, &chunk[..end]);
            }
            if outcome.is_err() || !is_showable(&chunk[..end]) {
                has_stopped.store(true, Ordering::Relaxed);
            }
        }
        if read == 0 {
            return outcome;
        }
        chunk.copy_within(end..len, 0);
        kept = len - end;
    }
}

/// The length without the beginning of a character whose end is in the next chunk.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_in_two_chunks_is_kept() {
        for (bytes, len) in [(&b"abc"[..], 3), (b"ab\xc3", 2), (b"ab\xe5\xaf", 2), (b"a\xffb\xc3", 4), (b"\xc3\xa9", 2)]
        {
            assert_eq!(whole_characters(bytes), len, "{bytes:?}");
        }
    }
}
