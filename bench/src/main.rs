//! `tckms-bench` compares libtckms with minimal baselines:
//!
//! * an Encrypt call with a bare HTTP loop that sends the same request,
//! * a signature with an Encrypt call,
//! * a queued call with a blocking one,
//! * sealing with the bare cipher.
//!
//! This program is also the server and each client of the calls, in separate processes. So the CPU time of a client does not
//! include the server's, and each client has its own allocator.

#![deny(unsafe_op_in_unsafe_fn)]

mod account;
mod affinity;
mod artifact;
mod asymmetric;
mod bare;
mod c_abi;
mod caller;
mod chart;
mod cli;
mod error;
mod http;
mod libtckms;
mod plan;
mod plots;
mod process;
mod queues;
mod quiet;
mod record;
mod report;
mod rounds;
mod sealing;
mod server;
mod signing;
mod worker;

use std::path::Path;
use std::process::ExitCode;

use crate::cli::{Command, Part};
use crate::error::{Result, with_causes};

/// The exit status for an invalid command line.
const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(message) => {
            eprintln!("tckms-bench: {message}\nTry `tckms-bench --help`.");
            return USAGE_ERROR.into();
        }
    };
    let outcome = match command {
        Command::Help => {
            print!("{}", cli::HELP);
            Ok(())
        }
        Command::Measure(options) => measure(&options),
        Command::Plot => plot(),
        Command::Serve { ca_file } => server::run(&ca_file),
        Command::Work(spec) => worker::run(&spec),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tckms-bench: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &cli::Options) -> Result<()> {
    let artifacts = artifact::prepare(options)?;
    if options.quick {
        quiet::keep_disturbed_rounds();
    }
    if matches!(options.part, Part::All | Part::Encrypt) {
        let measured = rounds::run(&artifacts, options)?;
        print!("{}", report::table(&measured));
        println!("\nAll figures: {}", report::write_json(&artifacts.results, &measured)?.display());
    }
    if matches!(options.part, Part::All | Part::Queue) {
        let report = queues::run(&artifacts, options)?;
        print!("{}", report.table());
        println!("\nAll figures: {}", report.write_json(&artifacts.results)?.display());
    }
    if matches!(options.part, Part::All | Part::Seal) {
        let report = sealing::run(&artifacts.shipped, options.quick)?;
        print!("{}", report.table());
        println!("\nAll figures: {}", report.write_json(&artifacts.results)?.display());
    }
    println!("\n{}", quiet::verdict());
    if options.quick { Ok(()) } else { draw(&artifacts.results) }
}

fn plot() -> Result<()> {
    draw(&artifact::target_folder()?.join("bench"))
}

fn draw(results: &Path) -> Result<()> {
    for file in plots::draw(results)? {
        println!("Plot: {}", file.display());
    }
    Ok(())
}
