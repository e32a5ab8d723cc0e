//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

/// The text of `--help`.
pub const HELP: &str = "\
Checks the documented behaviour of KMS, and writes a report: same, different, or not allowed.

Usage: tckms-live-test [OPTIONS]

Credentials, region and endpoint come from the environment, as for tckms_client_new_from_env(). Without --allow-changes
nothing changes in the account, and questions that need a new key are skipped. Those that need only an enabled symmetric
CMK use the one of --key-id. At most 5 requests a second and 300 in all are sent.

Options:
      --key-id ID       A symmetric CMK to encrypt and decrypt with
      --allow-changes   Create CMKs whose alias begins with tckms-live-test-, and schedule them for deletion in 7 days
      --allow-burst     Send 120 requests at once, so that some are throttled; this may also throttle other programs
      --unlimited       No limit of requests per second; for the emulator
      --report FILE     Also write the report to this file, as Markdown
  -h, --help            Print this help

Exit status: 0 when nothing differs, 1 when something does or a question failed, 2 for a wrong command line.
";

/// The command of the command line.
pub enum Command {
    Help,
    Run(Options),
}

/// The options of a run.
#[derive(Debug, Default)]
pub struct Options {
    pub key_id: Option<String>,
    pub allow_changes: bool,
    pub allow_burst: bool,
    pub unlimited: bool,
    pub report: Option<PathBuf>,
}

/// Reads the arguments after the program's name; an error is a message for the user.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    read(Parser::from_args(args)).map_err(|error| error.to_string())
}

fn read(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = Options::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("key-id") => options.key_id = Some(parser.value()?.string()?),
            Arg::Long("allow-changes") => options.allow_changes = true,
            Arg::Long("allow-burst") => options.allow_burst = true,
            Arg::Long("unlimited") => options.unlimited = true,
            Arg::Long("report") => options.report = Some(parser.value()?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Run(options))
}
