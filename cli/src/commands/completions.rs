//! `tckms completions`, and the generation of manual pages.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::report;

#[derive(Args, Debug)]
pub struct Options {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Args, Debug)]
pub struct ManOptions {
    /// The folder, which must exist
    #[arg(value_name = "FOLDER")]
    folder: OsString,
}

pub fn run(options: &Options, command: &clap::Command) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut visible(command), "tckms", &mut script);
    report::line(String::from_utf8_lossy(&script).trim_end_matches('\n'));
    Ok(Exit::Done)
}

/// The command line without hidden commands, which completions would offer.
fn visible(command: &clap::Command) -> clap::Command {
    clap::Command::new("tckms")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .disable_help_subcommand(true)
        .args(command.get_arguments().cloned())
        .subcommands(command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned())
}

pub fn write_man_pages(options: &ManOptions, mut command: clap::Command) -> Outcome {
    command.build();
    write_pages(&command, Path::new(&options.folder))?;
    Ok(Exit::Done)
}

/// The date in the pages. It is constant, so that builds are reproducible.
const DATE: &str = "2026-11-28";
/// Skipped: man/man1/tckms-seal.1 documents the program tckms-seal and this command.
const SKIPPED: &str = "tckms-seal";

/// Writes a page for each visible command.
fn write_pages(command: &clap::Command, folder: &Path) -> Outcome<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    if name == SKIPPED {
        return Ok(());
    }
    let path: PathBuf = folder.join(format!("{name}.1"));
    let mut page = Vec::new();
    let source = concat!("tckms ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(name.to_uppercase()).date(DATE).source(source).manual("User Commands");
    let failed = |error: std::io::Error| Failure::io(path.to_string_lossy(), &error);
    man.render(&mut page).map_err(failed)?;
    std::fs::write(&path, tidy(&String::from_utf8_lossy(&page))).map_err(failed)?;
    command.get_subcommands().filter(|sub| !sub.is_hide_set()).try_for_each(|sub| write_pages(sub, folder))
}

/// Changes vertical space to the form that mandoc accepts without warnings.
fn tidy(page: &str) -> String {
    page.replace(".br\n\n.br\n", ".sp\n")
}
