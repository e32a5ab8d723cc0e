//! `tckms`: the command-line tool for Tencent Cloud KMS. See docs/tool.md.
//!
//! `cli` defines the command line, and each command is a file of `commands`. They share `connection`, which creates the client,
//! `files` with the rules for input and output, and `report`, which prints.

#![cfg_attr(not(test), no_main)]
#![deny(unsafe_code)]

mod cli;
mod commands;
mod connection;
mod context;
mod descriptor;
mod dispatch;
mod exit;
mod failure;
mod files;
mod interrupt;
mod memory_file;
mod module_config;
mod progress;
mod prompt;
mod report;
mod secret_input;
#[allow(unsafe_code)]
mod sys;
mod table;
mod text;
mod values;

#[cfg(not(test))]
use std::ffi::{c_char, c_int};

use clap::{CommandFactory, FromArgMatches};

use crate::cli::Cli;
use crate::exit::Exit;

/// Replaces the start-up code of Rust, which opens /dev/null on closed standard descriptors: a missing input would look like an
/// empty one.
#[cfg(not(test))]
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, _: *const *const c_char) -> c_int {
    c_int::from(run())
}

/// The program. Returns its exit status.
#[cfg_attr(test, allow(dead_code))]
fn run() -> u8 {
    std::panic::set_hook(Box::new(report::panicked));
    let exit = match descriptor::reserve_standard() {
        Ok(()) => std::panic::catch_unwind(parse_and_run).unwrap_or(Exit::Failed),
        Err(failure) => report::failure(&failure, false),
    };
    interrupt::end_by_signal();
    exit as u8
}

fn parse_and_run() -> Exit {
    let parsed = Cli::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return report::command_line(&error, Cli::command()),
    };
    report::set_json(cli.global.json);
    match dispatch::run(&cli).and_then(|exit| report::flush().map(|()| exit)) {
        Ok(exit) => exit,
        Err(failure) => report::failure(&failure, cli.global.json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        // Completions and manual pages are generated from it.
        assert!(Cli::command().get_subcommands().all(|command| command.get_about().is_some()));
    }
}
