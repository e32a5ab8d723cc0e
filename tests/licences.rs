//! What packaging/ says of the components of other authors is what cargo compiles in.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use support::{output_of, root};

/// "name version" of every crate that is compiled into a package on this machine, our own left out.
fn crates(package: &str, features: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["tree", "--locked", "--offline", "--package", package]).args(features);
    cargo.args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]);
    let tree = output_of(&mut cargo);
    let crates = tree.lines().filter(|line| !line.starts_with("tckms")).map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a crate has a name");
        format!("{name} {}", words.next().expect("a crate has a version").trim_start_matches('v'))
    });
    crates.collect()
}

fn packaged(file: &str) -> String {
    fs::read_to_string(root().join("packaging").join(file)).unwrap_or_else(|error| panic!("packaging/{file}: {error}"))
}

fn expect_licences(file: &str, package: &str, features: &[&str]) {
    let text = packaged(file);
    let named: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let missing: Vec<_> = crates(package, features).into_iter().filter(|name| !named.contains(name)).collect();
    assert!(missing.is_empty(), "packaging/{file} lacks {missing:?}; run `make licences`");
}

#[test]
fn the_licences_of_the_library_are_complete() {
    expect_licences("THIRD-PARTY-LICENSES.txt", "tckms", &["--features", "wipe-on-free"]);
}

#[test]
fn the_licences_of_the_emulator_are_complete() {
    expect_licences("THIRD-PARTY-LICENSES-emulator.txt", "tckms-emulator", &[]);
}

#[test]
fn the_bill_of_materials_is_complete() {
    let bill: serde_json::Value = serde_json::from_str(&packaged("tckms.cdx.json")).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let components = bill["components"].as_array().unwrap().iter();
    let listed: BTreeSet<_> =
        components.map(|component| format!("{} {}", text(&component["name"]), text(&component["version"]))).collect();
    let missing: Vec<_> =
        crates("tckms", &["--features", "wipe-on-free"]).into_iter().filter(|name| !listed.contains(name)).collect();
    assert!(missing.is_empty(), "packaging/tckms.cdx.json lacks {missing:?}; run `make licences`");
    assert_eq!(text(&bill["metadata"]["component"]["version"]), env!("CARGO_PKG_VERSION"));
}
