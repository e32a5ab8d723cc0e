//! Reads a secret from the terminal without echo.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tckms::Secret;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome, errno_text};
use crate::interrupt;
use crate::text::safe;

/// The terminal without echo. Dropping this restores its mode.
struct WithoutEcho {
    terminal: OwnedFd,
    before: Termios,
}

impl WithoutEcho {
    fn new(terminal: OwnedFd) -> Result<Self, Errno> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for WithoutEcho {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// The longest line that is complete for certain: a terminal drops input beyond 4095 bytes of a line.
const LINE_MAX: usize = 4094;

/// Asks for at most `max` bytes, twice, to detect typing errors.
pub fn ask_secret_twice(question: &str, max: usize) -> Outcome<Secret> {
    let max = max.min(LINE_MAX);
    let first = ask_secret(question, max)?;
    let second = ask_secret("Repeat it: ", max)?;
    if first.expose() == second.expose() { Ok(first) } else { Err(Failure::usage("the two inputs differ")) }
}

fn ask_secret(question: &str, max: usize) -> Outcome<Secret> {
    // Signals are recorded, so that the mode of the terminal is restored before the program ends.
    interrupt::catch();
    let terminal = terminal()?;
    write(&terminal, question)?;
    let silenced = WithoutEcho::new(terminal).map_err(|errno| Failure::failed("the terminal", errno_text(errno)))?;
    read_line(&silenced.terminal, max)
}

/// Asks a question, with echo.
pub fn ask(question: &str) -> Outcome<String> {
    let terminal = terminal()?;
    write(&terminal, question)?;
    let line = read_line(&terminal, 1024)?;
    Ok(String::from_utf8_lossy(line.expose()).into_owned())
}

fn terminal() -> Outcome<OwnedFd> {
    open("/dev/tty", OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty()).map_err(|_| {
        Failure::usage(
            "there is no terminal for the prompt; pass the input in a file or on standard input, or use an option",
        )
    })
}

fn write(terminal: &OwnedFd, text: &str) -> Outcome<()> {
    rustix::io::write(terminal, safe(text).as_bytes())
        .map(|_| ())
        .map_err(|errno| Failure::failed("the terminal", errno_text(errno)))
}

/// Reads a line, without the newline.
fn read_line(terminal: &OwnedFd, max: usize) -> Outcome<Secret> {
    let mut line = Secret::with_capacity(max)?;
    let mut byte = zeroize::Zeroizing::new([0]);
    loop {
        match rustix::io::read(terminal, &mut *byte) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if line.len() == max => {
                let why =
                    format!("the input has more than {max} bytes, the maximum here; a longer one can be in a file");
                return Err(Failure::usage(if max < LINE_MAX {
                    format!("the input has more than {max} bytes, the maximum here")
                } else {
                    why
                }));
            }
            Ok(_) => line.extend_from_slice(&*byte)?,
            Err(Errno::INTR) if interrupt::received() => {
                return Err(Failure::new(Exit::Failed, interrupt::text()));
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Failure::failed("the terminal", errno_text(errno))),
        }
    }
    Ok(line)
}
