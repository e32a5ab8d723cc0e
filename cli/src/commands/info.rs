//! `tckms info`.

use std::ffi::OsString;
use std::io::{self, Read};

use clap::Args;
use tckms::Status;
use tckms::seal::MessageInfo;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::files::input::Input;
use crate::interrupt;
use crate::report;

/// The largest header that the library reads. Usual headers have less than a kilobyte.
const HEADER_MAX: usize = 512 * 1024;
/// How long input is collected before the header is parsed again.
const PAUSE_MS: i64 = 50;

#[derive(Args, Debug)]
pub struct Options {
    /// The message; "-" or none for standard input
    #[arg(value_name = "FILE")]
    file: Option<OsString>,
}

pub fn run(options: &Options) -> Outcome {
    interrupt::catch();
    let mut input = Input::open(options.file.as_deref())?;
    let info = read_info(&mut input)?;
    let json = info.to_json().map_err(|error| Failure::from(error).about(input.name()))?;
    report::line(&String::from_utf8_lossy(&json));
    Ok(Exit::Done)
}

/// The writer of a pipe may send the header alone or in parts and keep the pipe open, so the header is parsed after each pause and
/// at the end.
pub fn read_info(input: &mut Input) -> Outcome<MessageInfo> {
    let mut beginning = vec![0; HEADER_MAX];
    let mut len = 0;
    loop {
        let read = match input.read(&mut beginning[len..]) {
            Ok(read) => read,
            Err(_) if interrupt::received() => return Err(Failure::failed(input.name(), interrupt::text())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::io(input.name(), &error)),
        };
        len += read;
        let is_end = read == 0 || len == beginning.len();
        if !is_end && !input.is_idle(PAUSE_MS) {
            continue;
        }
        match MessageInfo::read(&beginning[..len]) {
            Err(error) if error.status() == Status::Truncated && !is_end => {}
            outcome => return outcome.map_err(|error| Failure::from(error).about(input.name())),
        }
    }
}
