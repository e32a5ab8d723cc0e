//! `tckms-live-test` checks the statements of docs/kms-service.md against KMS, and reports which hold and which differ.
//!
//! The same suite runs against the emulator in `make test`, and against the real service with `make live-test`.

#![forbid(unsafe_code)]

mod cases;
mod cli;
mod pss;
mod report;
mod session;

use std::process::ExitCode;

use crate::cli::{Command, Options};
use crate::report::{Report, Verdict};
use crate::session::Session;

/// Exit status for an invalid command line.
const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let options = match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => {
            print!("{}", cli::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Command::Run(options)) => options,
        Err(message) => {
            eprintln!("tckms-live-test: {message}\nTry `tckms-live-test --help`.");
            return USAGE_ERROR.into();
        }
    };
    match run(&options) {
        Ok(report) if report.has(Verdict::Different) || report.has(Verdict::Failed) => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tckms-live-test: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<Report, Box<dyn std::error::Error>> {
    let mut session = Session::new(options)?;
    let mut report = Report::default();
    for case in cases::ALL {
        let verdict = report.add(case, session.run(case));
        eprintln!("{verdict:>11}  {}", case.name);
    }
    session.clean_up();
    report.write(options, &session)?;
    Ok(report)
}
