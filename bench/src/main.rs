//! `tckms-bench`: what one Encrypt call of libtckms costs beside a bare HTTP loop that sends the same request, what signing
//! costs beside it, what a queued call costs beside a blocking one, and what sealing costs beside the bare cipher.
//!
//! For Encrypt one binary plays all parts, each in a process of its own: the server's CPU is not the clients', and the
//! allocator of one client is not the other's.

#![deny(unsafe_op_in_unsafe_fn)]

mod account;
mod artifact;
mod asymmetric;
mod bare;
mod caller;
mod chart;
mod cli;
mod error;
mod http;
mod libtckms;
mod placement;
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

use crate::cli::{Command, What};
use crate::error::{Result, with_causes};

/// Exit status for a command line that makes no sense.
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
    if matches!(options.what, What::All | What::Encrypt) {
        let measured = rounds::run(&artifacts, options)?;
        print!("{}", report::table(&measured));
        println!("\nAll figures: {}", report::write_json(&artifacts.results, &measured)?.display());
    }
    if matches!(options.what, What::All | What::Queue) {
        let report = queues::run(&artifacts, options)?;
        print!("{}", report.table());
        println!("\nAll figures: {}", report.write_json(&artifacts.results)?.display());
    }
    if matches!(options.what, What::All | What::Seal) {
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
