//! Builds the libraries that are measured, as `make build` does.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::Options;
use crate::error::Result;

/// The files that a measurement uses.
pub struct Artifacts {
    /// The C library as it is installed, with the wiping allocator.
    pub shipped: PathBuf,
    /// The same library without that allocator, if its cost is to be measured.
    pub without_wiping: Option<PathBuf>,
    /// The folder for the figures and the server's certificate.
    pub results: PathBuf,
}

/// Builds the libraries that are missing or out of date.
pub fn prepare(options: &Options) -> Result<Artifacts> {
    let target = target_folder()?;
    let shipped = match &options.library {
        Some(library) => library.canonicalize().map_err(|error| format!("{}: {error}", library.display()))?,
        None => build(&target, &["--features", "wipe-on-free"])?,
    };
    // A separate target folder, so that the two builds do not overwrite each other's library.
    let without_wiping = options.allocator.then(|| build(&target.join("bench-nowipe"), &[])).transpose()?;
    let results = target.join("bench");
    std::fs::create_dir_all(&results)?;
    Ok(Artifacts { shipped, without_wiping, results })
}

/// This program is `<target>/release/tckms-bench`.
pub fn target_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("the benchmark is not in cargo's target folder")?;
    Ok(target.to_owned())
}

/// Runs the commands of `make build`: cargo makes the archive, and dist.sh links the shared library from it.
fn build(target: &Path, features: &[&str]) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let library = ["rustc", "--release", "--locked", "--lib", "--crate-type", "cdylib,staticlib"];
    run(Command::new(cargo).args(library).args(features), target)?;
    run(&mut Command::new("scripts/dist.sh"), target)?;
    let extension = if cfg!(target_os = "macos") { "dylib" } else { "so" };
    Ok(target.join("dist").join(format!("libtckms.{extension}")))
}

fn run(command: &mut Command, target: &Path) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("this package has no workspace")?;
    // Standard output is for the tables alone.
    let status = command.current_dir(root).env("CARGO_TARGET_DIR", target).stdout(std::io::stderr()).status()?;
    if status.success() { Ok(()) } else { Err(format!("building the library failed: {command:?}: {status}").into()) }
}
