//! `tckms exec`: runs a program with secrets in its environment or on its descriptors. Nothing is written to a disk.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use rustix::io::{Errno, FdFlags, dup2, fcntl_dupfd_cloexec, fcntl_setfd};
use tckms::Secret;

use super::stored_secret::{Opener, SecretOptions, Source};
use crate::connection::Global;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, errno_text, os_text};
use crate::memory_file::memory_file;
use crate::secret_input::without_line_end;
use crate::text::shown;

/// The lowest number for descriptors that are passed by path, above those that programs choose themselves.
const LOWEST: RawFd = 10;
/// The variables that contain credentials.
pub const CREDENTIALS: [&str; 4] =
    ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_SESSION_TOKEN", "TENCENTCLOUD_TOKEN"];

const HELP: &str = "\
SOURCE is a file, or env:NAME for a variable. It contains a sealed message (raw or as base64) or a CiphertextBlob as printed by \
`tckms encrypt`. The secrets are only in the memory of the program. Processes with the same user id can read its environment and \
its descriptors in /proc.

The program replaces tckms, so the exit status is that of the program, or 127 if it is not found, 126 if it cannot be executed.";

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct Options {
    /// Set the variable NAME to the secret
    #[arg(long, value_name = "NAME=SOURCE", value_parser = parse_named)]
    env: Vec<Named>,
    /// Provide the secret on descriptor N, where it can be read once
    #[arg(long, value_name = "N=SOURCE", value_parser = parse_numbered)]
    fd: Vec<Numbered>,
    /// Provide the secret on a descriptor, and set the variable NAME to the path that opens it
    #[arg(long, value_name = "NAME=SOURCE", value_parser = parse_named)]
    file: Vec<Named>,
    /// Remove one newline at the end of each secret
    #[arg(short = 'n', long)]
    no_line_end: bool,
    /// Remove the variables with credentials from the environment of the program
    #[arg(long)]
    without_credentials: bool,
    #[command(flatten)]
    secrets: SecretOptions,
    /// The program and its arguments
    #[arg(value_name = "PROGRAM", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

#[derive(Clone, Debug)]
struct Named {
    name: String,
    source: Source,
}

#[derive(Clone, Debug)]
struct Numbered {
    number: RawFd,
    source: Source,
}

fn parse_named(text: &str) -> Result<Named, String> {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match text.split_once('=') {
        Some((name, source)) if is_name(name) && !source.is_empty() => {
            Ok(Named { name: name.to_owned(), source: Source::parse(source) })
        }
        _ => {
            Err("NAME has letters, digits and _ and begins with no digit, and SOURCE is a file or env:NAME".to_owned())
        }
    }
}

fn parse_numbered(text: &str) -> Result<Numbered, String> {
    let parts = text.split_once('=').and_then(|(number, source)| Some((number.parse().ok()?, source)));
    match parts {
        Some((number @ 3..=255, source)) if !source.is_empty() => {
            Ok(Numbered { number, source: Source::parse(source) })
        }
        _ => Err("N is 3 to 255, and SOURCE is a file or env:NAME".to_owned()),
    }
}

pub fn run(options: &Options, global: &Global) -> Outcome {
    check_distinct(options)?;
    options.secrets.check()?;
    // Before anything else, because the numbers must still be free.
    let mut reserved = options.fd.iter().map(reserve).collect::<Outcome<Vec<_>>>()?;
    let mut command = Command::new(&options.program[0]);
    command.args(&options.program[1..]);
    let opener = options.secrets.opener(global)?;
    if options.without_credentials {
        for name in CREDENTIALS {
            command.env_remove(name);
        }
    }
    for Named { name, source } in &options.env {
        command.env(name, variable(&options.open(&opener, source)?, source)?);
    }
    let mut kept = Vec::new();
    for Named { name, source } in &options.file {
        let file = memory_file(name, &options.open(&opener, source)?).map_err(failed)?;
        let file = fcntl_dupfd_cloexec(&file, LOWEST).map_err(failed)?;
        command.env(name, format!("/proc/self/fd/{}", file.as_raw_fd()));
        kept.push(file);
    }
    for (Numbered { number, source }, target) in options.fd.iter().zip(&mut reserved) {
        let file = memory_file(&format!("fd {number}"), &options.open(&opener, source)?).map_err(failed)?;
        dup2(&file, target).map_err(failed)?;
    }
    for file in kept.iter().chain(&reserved) {
        fcntl_setfd(file, FdFlags::empty()).map_err(failed)?;
    }
    drop(opener);
    Err(not_executed(&options.program[0], &command.exec()))
}

fn check_distinct(options: &Options) -> Outcome<()> {
    let mut names: Vec<_> = options.env.iter().chain(&options.file).map(|named| named.name.clone()).collect();
    names.extend(options.fd.iter().map(|numbered| numbered.number.to_string()));
    if names.is_empty() {
        return Err(Failure::usage("no secret is given; use --env, --file or --fd"));
    }
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Failure::usage(format!("{} is given twice", pair[0]))),
        None => Ok(()),
    }
}

/// Reserves the number.
fn reserve(numbered: &Numbered) -> Outcome<OwnedFd> {
    let number = numbered.number;
    let placeholder = std::fs::File::open("/dev/null").map_err(|error| Failure::io("/dev/null", &error))?;
    match fcntl_dupfd_cloexec(&placeholder, number) {
        Ok(reserved) if reserved.as_raw_fd() == number => Ok(reserved),
        // The placeholder itself may have this number.
        Ok(_) if placeholder.as_raw_fd() == number => Ok(placeholder.into()),
        Ok(_) => Err(Failure::usage(format!("descriptor {number} is already open; choose another one"))),
        Err(errno) => Err(failed(errno)),
    }
}

impl Options {
    fn open(&self, opener: &Opener, source: &Source) -> Outcome<Secret> {
        let (expected, json) = (self.secrets.context.for_message()?, self.secrets.context.json()?);
        let secret = opener.open(source, &expected, json.as_deref())?;
        if self.no_line_end { without_line_end(secret) } else { Ok(secret) }
    }
}

fn variable(secret: &Secret, source: &Source) -> Outcome<OsString> {
    if secret.expose().contains(&0) {
        let why = "the secret contains a zero byte, which a variable cannot hold; use --file or --fd";
        return Err(Failure::usage(why).about(source.name()));
    }
    Ok(OsStr::from_bytes(secret.expose()).to_owned())
}

fn failed(errno: Errno) -> Failure {
    Failure::failed("a descriptor for a secret", errno_text(errno))
}

fn not_executed(program: &OsStr, error: &std::io::Error) -> Failure {
    let exit = if error.kind() == ErrorKind::NotFound { Exit::ProgramNotFound } else { Exit::ProgramNotExecuted };
    Failure::new(exit, os_text(error)).about(shown(program))
}
