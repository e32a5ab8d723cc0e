//! The libraries that are measured, built as they are shipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::Options;
use crate::error::Result;

/// What a measurement works with.
pub struct Artifacts {
    /// The C library as it is installed, with the wiping allocator.
    pub shipped: PathBuf,
    /// The same without that allocator, if its cost is asked for.
    pub without_wiping: Option<PathBuf>,
    /// The folder for what the measurement leaves behind.
    pub results: PathBuf,
}

/// Builds what is not there or not fresh.
pub fn prepare(options: &Options) -> Result<Artifacts> {
    let target = target_folder()?;
    let shipped = match &options.library {
        Some(library) => library.canonicalize().map_err(|error| format!("{}: {error}", library.display()))?,
        None => build(&target, &["--features", "wipe-on-free"])?,
    };
    // A folder of its own: the two builds would otherwise overwrite each other's library.
    let without_wiping = options.allocator.then(|| build(&target.join("bench-nowipe"), &[])).transpose()?;
    let results = target.join("bench");
    std::fs::create_dir_all(&results)?;
    Ok(Artifacts { shipped, without_wiping, results })
}

/// This program is `<target>/release/tckms-bench`.
pub fn target_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("this program is not where cargo puts it")?;
    Ok(target.to_owned())
}

/// As `make build` does it: cargo's archive, and the shared library that is linked from it.
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
    // The table is on standard output, and nothing else.
    let status = command.current_dir(root).env("CARGO_TARGET_DIR", target).stdout(std::io::stderr()).status()?;
    if status.success() { Ok(()) } else { Err(format!("the library could not be built: {command:?}: {status}").into()) }
}
