use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::target;

/// A file that `cargo build --release` made.
///
/// The tests use the artifacts of the release profile, whatever their own profile is, and `cargo test` does not build those. If one is
/// missing or older than its sources, the test fails with the command that builds it.
pub fn release(name: &str) -> PathBuf {
    let file = target().join("release").join(name);
    let (dependencies, command) = match name {
        "tckms-emulator" => ("tckms-emulator.d", "cargo build --release --locked -p tckms-emulator"),
        "tckms" => ("tckms.d", "cargo build --release --locked -p tckms-cli --features wipe-on-free"),
        "libtckms_pkcs11.a" => (
            "libtckms_pkcs11.d",
            "cargo rustc --release --locked -p tckms-pkcs11 --lib --crate-type staticlib --features wipe-on-free",
        ),
        _ => {
            ("libtckms.d", "cargo rustc --release --locked --lib --crate-type cdylib,staticlib --features wipe-on-free")
        }
    };
    assert!(file.exists(), "{} is missing; run `{command}` or `make build`", file.display());
    let newer = sources(&file.with_file_name(dependencies)).into_iter().find(|source| changed(source) > changed(&file));
    if let Some(source) = newer {
        panic!("{} is older than {}; run `{command}` or `make build`", file.display(), source.display());
    }
    file
}

/// The sources of an artifact, from cargo's file: "target: source source", with blanks in names escaped.
fn sources(dependencies: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(dependencies).unwrap_or_else(|error| panic!("{}: {error}", dependencies.display()));
    let (_, list) = text.split_once(": ").expect("cargo lists what a target depends on");
    list.replace("\\ ", "\0").split_whitespace().map(|source| source.replace('\0', " ").into()).collect()
}

/// The time of the last change. A source that was removed counts as changed now.
fn changed(file: &Path) -> SystemTime {
    fs::metadata(file).and_then(|metadata| metadata.modified()).unwrap_or_else(|_| SystemTime::now())
}
