//! The installed shared library and archive: their exports, their dependencies, and the crates in them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use support::{CLANG, Emulator, GCC, Header, Library, Scratch, dist, output_of, root, soname, tool};

/// Everything that is loaded with the library, including the dynamic loader.
const NEEDED: [&str; 3] = ["libc.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"];

/// The shared library without its symbol table, in bytes.
const SIZE_MAX: u64 = 6_000_000;

fn readelf(option: &str) -> String {
    output_of(tool("readelf").arg("--wide").arg(option).arg(dist("libtckms.so")))
}

/// The values of a tag of the dynamic section, without brackets.
fn dynamic(tag: &str) -> Vec<String> {
    let section = readelf("--dynamic");
    let lines = section.lines().filter(|line| line.contains(&format!("({tag})")));
    let value = |line: &str| match line.split_once('[') {
        Some((_, rest)) => rest.trim_end_matches(']').to_owned(),
        None => line.split(')').nth(1).unwrap_or_default().trim().to_owned(),
    };
    lines.map(value).collect()
}

/// A line of the program headers.
fn segment(name: &str) -> Option<String> {
    readelf("--segments").lines().find(|line| line.trim_start().starts_with(name)).map(str::to_owned)
}

#[test]
fn the_library_exports_the_functions_of_the_header_and_nothing_else() {
    let symbols = output_of(tool("nm").args(["--dynamic", "--defined-only"]).arg(dist("libtckms.so")));
    // "address T name@@version"; the versions themselves are absolute symbols.
    let functions = symbols.lines().filter_map(|line| line.split_once(' ')).filter(|(_, rest)| !rest.starts_with("A "));
    let name = |symbol: &str| symbol.split("@@").next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let exported: BTreeSet<_> = functions.map(|(_, symbol)| name(symbol)).collect();
    let declared: BTreeSet<_> = Header::committed().functions().into_iter().map(|function| function.name).collect();
    assert_eq!(exported, declared, "left: exported, right: declared");
}

#[test]
fn it_needs_nothing_but_the_c_library() {
    let needed = dynamic("NEEDED");
    assert!(!needed.is_empty());
    for library in needed {
        assert!(NEEDED.contains(&library.as_str()), "libtckms.so needs {library}");
    }
    assert_eq!(dynamic("RUNPATH"), [""; 0]);
    assert_eq!(dynamic("RPATH"), [""; 0]);
}

/// `secure_getenv` finds nothing in a program that has privileges which its caller does not have.
#[test]
fn no_crate_that_is_linked_in_reads_the_environment_of_a_privileged_program() {
    let files = [("libtckms.so", "--dynamic"), ("libtckms-pkcs11.so", "--dynamic"), ("libtckms.a", "--no-sort")];
    for (file, kind) in files {
        let symbols = output_of(tool("nm").args(["--undefined-only", kind]).arg(dist(file)));
        let names = symbols.lines().filter_map(|line| line.split_whitespace().last()?.split('@').next());
        let symbols: BTreeSet<_> = names.collect();
        assert!(symbols.contains("secure_getenv") && !symbols.contains("getenv"), "{file}: {symbols:?}");
    }
}

#[test]
fn its_name_carries_the_abi_version() {
    assert_eq!(dynamic("SONAME"), [soname()]);
}

#[test]
fn it_stays_mapped_after_dlclose_and_its_relocations_become_read_only() {
    let [flags_1] = &dynamic("FLAGS_1")[..] else { panic!("there is no FLAGS_1") };
    for flag in ["NODELETE", "NOW"] {
        assert!(flags_1.split_whitespace().any(|word| word == flag), "FLAGS_1 has no {flag}: {flags_1}");
    }
    assert_eq!(dynamic("FLAGS"), ["BIND_NOW"]);
    assert!(segment("GNU_RELRO").is_some(), "there is no GNU_RELRO segment");
}

#[test]
fn its_stack_is_not_executable_and_its_code_is_not_writable() {
    let stack = segment("GNU_STACK").expect("there is a GNU_STACK segment");
    assert!(stack.contains(" RW ") && !stack.contains("RWE"), "{stack}");
    assert_eq!(dynamic("TEXTREL"), [""; 0]);
    assert!(!readelf("--segments").contains(" RWE "), "a segment is writable and executable");
}

#[test]
fn it_is_small() {
    let folder = Scratch::new();
    let stripped = folder.path().join("libtckms.so");
    output_of(tool("strip").arg("-o").arg(&stripped).arg(dist("libtckms.so")));
    let size = fs::metadata(&stripped).unwrap().len();
    assert!(size <= SIZE_MAX, "libtckms.so has {size} bytes when stripped, more than {SIZE_MAX}");
}

#[test]
fn the_archive_makes_a_program_that_needs_no_shared_library_of_ours() {
    let emulator = Emulator::over_https(&["demo"]);
    for compiler in [GCC, CLANG] {
        let program = compiler.build("examples-c/quickstart.c", &Library::Static);
        let needed = output_of(tool("readelf").args(["--wide", "--dynamic"]).arg(program.path()));
        assert!(!needed.contains("libtckms"), "{needed}");
        let finished = program.with(emulator.environment()).arguments(&[emulator.key_id("demo")]).run();
        assert!(finished.expect_success().ends_with("equals the original.\n"), "{finished}");
    }
}

/// The crates that the library is built from on this machine, without those of its build script, its tests, or the emulator.
fn crates() -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["tree", "--locked", "--offline", "--package", "tckms", "--edges", "normal"]);
    let tree = output_of(cargo.args(["--features", "wipe-on-free", "--prefix", "none", "--format", "{p}"]));
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn there_is_one_crypto_backend() {
    let crates = crates();
    assert!(crates.contains("aws-lc-rs") && crates.contains("rustls"), "{crates:?}");
    for other in [
        "aws-lc-fips-sys",
        "boring",
        "boring-sys",
        "mbedtls",
        "native-tls",
        "openssl",
        "openssl-sys",
        "ring",
        "rustls-openssl",
        "schannel",
        "security-framework-sys",
        "wolfssl-sys",
    ] {
        assert!(!crates.contains(other), "{other} is in the library");
    }
}

/// A figure of the README's table, without its unit.
fn figure(row: &str, unit: &str) -> f64 {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let line = readme.lines().find_map(|line| line.strip_prefix(&format!("| {row} | ")));
    let value = line.and_then(|line| line.strip_suffix(&format!("{unit} |")));
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("README.md has no line \"| {row} | …{unit} |\""))
}

#[test]
fn the_figures_in_the_readme_are_true() {
    for (row, file) in
        [("`libtckms.so`", "libtckms.so"), ("`libtckms.a`", "libtckms.a"), ("`tckms-seal`", "tckms-seal")]
    {
        let megabytes = fs::metadata(dist(file)).unwrap().len() as f64 / 1e6;
        assert!((megabytes - figure(row, " MB")).abs() < 0.1 * megabytes, "{file} has {megabytes:.1} MB");
    }
    assert_eq!(figure("crates linked into it", "") as usize, crates().len() - 1, "the library itself is not counted");
}
