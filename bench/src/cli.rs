//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::caller::Spec;

/// The text of `--help`.
pub const HELP: &str = "\
Measures the CPU time of tckms_encrypt() beside a bare reqwest::blocking loop that sends the same request to the same
local server, tckms_sign_digest() beside tckms_encrypt(), verification beside bare aws-lc-rs, queued calls beside blocking
ones, and sealing beside the bare cipher and OpenSSL; prints the ratios, and draws docs/performance/*.svg. It never fails because of a figure.

Usage: tckms-bench [OPTIONS] [encrypt | queue | seal | plot]

  encrypt, queue, seal  Measure only this; signing and verification belong to encrypt
  plot                  Measure nothing; draw from the figures of the last measurement

Options:
      --quick         A look instead of a measurement: fewer and shorter rounds, and no plots
      --allocator     Also build the library without `wipe-on-free`, and measure what the wiping allocator costs
      --library FILE  Measure this libtckms.so; by default it is built first, as an installed one is
  -h, --help          Print this help
";

/// What a process of this program is to do.
pub enum Command {
    Help,
    Measure(Options),
    /// Draw the figures that are there.
    Plot,
    /// Internal: be the server, and leave the certificate of its CA in this file.
    Serve {
        ca_file: PathBuf,
    },
    /// Internal: be a client.
    Work(Spec),
}

/// What to measure.
#[derive(Debug, Default, PartialEq)]
pub enum What {
    #[default]
    All,
    Encrypt,
    Queue,
    Seal,
}

/// How to measure.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    pub what: What,
    pub quick: bool,
    pub allocator: bool,
    pub library: Option<PathBuf>,
}

/// Reads the arguments after the program's name; an error is a message for the user.
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
            Arg::Value(word) if word == "encrypt" => options.what = What::Encrypt,
            Arg::Value(word) if word == "queue" => options.what = What::Queue,
            Arg::Value(word) if word == "seal" => options.what = What::Seal,
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
        let all = Options { what: What::Seal, quick: true, allocator: true, library: Some("x.so".into()) };
        assert_eq!(options(&["--library", "x.so", "--allocator", "--quick", "seal"]).unwrap(), all);
    }

    #[test]
    fn an_unknown_option_is_named() {
        assert!(options(&["--fast"]).unwrap_err().contains("--fast"));
        assert!(options(&["stray"]).unwrap_err().contains("stray"));
    }
}
