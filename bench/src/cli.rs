//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::caller::Spec;

/// The text of `--help`.
pub const HELP: &str = "\
Compares libtckms with minimal baselines, in the same run:

  tckms_encrypt()      with a bare reqwest::blocking loop that sends the same request to the same local server
  tckms_sign_digest()  with tckms_encrypt()
  verification         with bare aws-lc-rs
  queued calls         with blocking calls
  sealing              with the bare cipher and with OpenSSL

Prints the ratios and draws docs/performance/*.svg. A ratio over its target is not a failure.

Usage: tckms-bench [OPTIONS] [encrypt | queue | seal | plot]

  encrypt, queue, seal  Measure only this part; encrypt includes signing and verification
  plot                  Measure nothing; draw the figures of the last measurement

Options:
      --quick         Fewer and shorter rounds, none repeated, for a rough result; draws no plots
      --allocator     Also build the library without `wipe-on-free`, and measure the cost of the wiping allocator
      --library FILE  Measure this libtckms.so; by default the library is built first, as by `make build`
  -h, --help          Print this help
";

/// What this process does.
pub enum Command {
    Help,
    Measure(Options),
    /// Draw the figures of the last measurement.
    Plot,
    /// Internal: run the server, and write the certificate of its CA to this file.
    Serve {
        ca_file: PathBuf,
    },
    /// Internal: run a client.
    Work(Spec),
}

/// The part to measure.
#[derive(Debug, Default, PartialEq)]
pub enum Part {
    #[default]
    All,
    Encrypt,
    Queue,
    Seal,
}

/// How to measure.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    pub part: Part,
    pub quick: bool,
    pub allocator: bool,
    pub library: Option<PathBuf>,
}

/// Parses the arguments after the program's name. The error is the message to print.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    read(Parser::from_args(args)).map_err(|error| error.to_string())
}

fn read(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = Options::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("quick") => options.quick = true,
            Arg::Long("allocator") => options.allocator = true,
            Arg::Long("library") => options.library = Some(parser.value()?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Value(word) if word == "encrypt" => options.part = Part::Encrypt,
            Arg::Value(word) if word == "queue" => options.part = Part::Queue,
            Arg::Value(word) if word == "seal" => options.part = Part::Seal,
            Arg::Value(word) if word == "plot" => return Ok(Command::Plot),
            Arg::Value(word) if word == "serve" => return Ok(Command::Serve { ca_file: parser.value()?.into() }),
            Arg::Value(word) if word == "work" => return Ok(Command::Work(parser.value()?.parse_with(spec)?)),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Measure(options))
}

fn spec(json: &str) -> serde_json::Result<Spec> {
    serde_json::from_str(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Options, String> {
        match parse(args.iter().map(OsString::from))? {
            Command::Measure(options) => Ok(options),
            _ => Err("not a measurement".to_owned()),
        }
    }

    #[test]
    fn options_are_independent_of_each_other() {
        assert_eq!(options(&[]).unwrap(), Options::default());
        let all = Options { part: Part::Seal, quick: true, allocator: true, library: Some("x.so".into()) };
        assert_eq!(options(&["--library", "x.so", "--allocator", "--quick", "seal"]).unwrap(), all);
    }

    #[test]
    fn an_unknown_option_is_named() {
        assert!(options(&["--fast"]).unwrap_err().contains("--fast"));
        assert!(options(&["stray"]).unwrap_err().contains("stray"));
    }
}
