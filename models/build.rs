//! A `const` function cannot create loom's atomics, so `const` is removed from the file that is modelled.

use std::path::Path;
use std::{env, fs};

const SOURCE: &str = "../src/sys/per_process.rs";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    let text = fs::read_to_string(SOURCE).expect("the file is in the repository");
    // An included file cannot have inner documentation.
    let code: Vec<_> = text.lines().filter(|line| !line.starts_with("//!")).collect();
    let code = code.join("\n").replace("const fn new(", "fn new(");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("per_process.rs"), code).expect("the folder of the build can be written to");
}
