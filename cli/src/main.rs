//! `tckms`: keys of Tencent Cloud KMS at the command line. See docs/tool.md.
//!
//! The command line is in `cli`, each command in a file of `commands`, and what they share beside them: `connection` makes the
//! client, `files` holds the rules for input and output, `report` prints.

#![cfg_attr(not(test), no_main)]
#![deny(unsafe_code)]

mod cli;
mod commands;
mod connection;
mod context;
mod exit;
mod failure;
mod files;
mod interrupt;
mod progress;
mod prompt;
mod report;
mod secret_input;
#[allow(unsafe_code)]
mod sys;
mod table;
mod text;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Failure;

/// The program. Returns its exit status.
fn run() -> u8 {
    std::panic::set_hook(Box::new(report::panicked));
    let exit = match files::descriptor::reserve_standard() {
        Ok(()) => std::panic::catch_unwind(parse_and_run).unwrap_or(Exit::Failed),
        Err(failure) => report::failure(&failure, false),
    };
    interrupt::pass_on();
    exit as u8
}

fn parse_and_run() -> Exit {
    let parsed = Cli::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return report::command_line(&error),
    };
    report::set_json(cli.global.json);
    match commands::run(&cli).and_then(|exit| report::flush().map(|()| exit)) {
        Ok(exit) => exit,
        Err(failure) => report::failure(&failure, cli.global.json),
    }
}

type Outcome<T = Exit> = Result<T, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        // The completions and the manual pages are made of it.
        assert!(Cli::command().get_subcommands().all(|command| command.get_about().is_some()));
    }
}
