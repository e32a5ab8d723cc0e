//! Generates the C header.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The files that declare what the header shows, in the order in which it shows their functions, with the title of their
/// part. What a program calls first comes first.
const SOURCES: &[(&str, &str)] = &[
    ("src/ffi/client.rs", "Clients and core calls"),
    ("src/ffi/asymmetric.rs", "Asymmetric keys"),
    ("src/ffi/keys.rs", "Key management"),
    ("src/ffi/buffer.rs", "Buffers and memory"),
    ("src/ffi/seal.rs", "Sealing in memory"),
    ("src/ffi/stream.rs", "Sealing streams"),
    ("src/ffi/descriptor.rs", "Sealing between descriptors"),
    ("src/ffi/keyring.rs", "Keyrings"),
    ("src/ffi/branch.rs", "Branch keys"),
    ("src/ffi/branch_store.rs", "Stores of branch records"),
    ("src/ffi/custom_key.rs", "Keys of the program's own"),
    ("src/ffi/callback_error.rs", "Errors of callbacks"),
    ("src/ffi/context.rs", "Contexts"),
    ("src/ffi/message_info.rs", "Looking into messages"),
    ("src/ffi/queue.rs", "Queues"),
    ("src/ffi/config.rs", "Configuration"),
    ("src/ffi/userdata.rs", "Userdata"),
    ("src/ffi/credentials.rs", "Credentials"),
    ("src/ffi/log.rs", "Logging"),
    ("src/ffi/stats.rs", "Counters"),
    ("src/ffi/last_error.rs", "Errors"),
    ("src/ffi/error.rs", "Errors"),
    ("src/ffi/status.rs", "Statuses"),
    ("src/ffi/limits.rs", "Limits"),
    ("src/ffi/version.rs", "Versions"),
    ("src/status.rs", "Statuses"),
];
/// As `line_length` of cbindgen.toml.
const LINE_MAX: usize = 100;
const MANUAL: &str = "src/ffi/manual.h";

fn main() {
    let sources = SOURCES.iter().map(|(path, _)| path);
    for input in sources.chain(&[MANUAL, "cbindgen.toml", "build.rs"]) {
        println!("cargo:rerun-if-changed={input}");
    }
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo names the package's folder"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo names the output folder"));
    let header = out.join("tckms.h");
    fs::write(&header, generate(&root)).expect("the output folder can be written");
    println!("cargo:rustc-env=TCKMS_GENERATED_HEADER={}", header.display());
}

/// The header, always into OUT_DIR: source trees are read-only for packagers. A test compares it with the committed
/// copy. `with_src` keeps cbindgen from starting a cargo of its own, which would want to write `Cargo.lock`.
fn generate(root: &Path) -> String {
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let manual = fs::read_to_string(root.join(MANUAL)).expect("the header's manual can be read");
    let mut builder = cbindgen::Builder::new()
        .with_config(config)
        .with_header("/* SPDX-License-Identifier: Apache-2.0 OR MIT */")
        .with_after_include(with_version(&manual));
    for (source, _) in SOURCES {
        builder = builder.with_src(root.join(source));
    }
    let mut text = Vec::new();
    builder.generate().expect("the header can be generated").write(&mut text);
    let header = String::from_utf8(text).expect("the header is UTF-8");
    let header = only_what_c90_knows(&use_typedef_names(&shorten_status_names(&header)));
    with_titles(root, short_comments_on_one_line(&header))
}

fn with_version(manual: &str) -> String {
    ["VERSION", "MAJOR", "MINOR", "PATCH"].iter().fold(manual.to_owned(), |text, part| {
        let suffix = if *part == "VERSION" { String::new() } else { format!("_{part}") };
        let value = env::var(format!("CARGO_PKG_VERSION{suffix}")).expect("cargo names the version");
        text.replace(&format!("@{part}@"), &value)
    })
}

/// A comment of one line takes one line, not three.
fn short_comments_on_one_line(header: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in header.lines() {
        lines.push(line.to_owned());
        let [.., begin, text, end] = lines.as_slice() else { continue };
        let Some(comment) = text.trim_start().strip_prefix("* ") else { continue };
        if begin.trim() == "/**" && end.trim() == "*/" {
            let whole = format!("{} {comment} */", begin.trim_end());
            if whole.len() <= LINE_MAX {
                lines.truncate(lines.len() - 3);
                lines.push(whole);
            }
        }
    }
    lines.join("\n") + "\n"
}

/// A title before the first function of each source.
fn with_titles(root: &Path, mut header: String) -> String {
    for (source, title) in SOURCES {
        let text = fs::read_to_string(root.join(source)).expect("a source can be read");
        let Some(rest) = text.split("extern \"C\" fn tckms_").nth(1) else { continue };
        let name = format!("tckms_{}(", rest.split('(').next().unwrap_or_default());
        // The first place where the name is not within a comment is its declaration.
        let mut from = 0;
        let declaration = header.split_inclusive('\n').find_map(|line| {
            let at = from;
            from += line.len();
            let declares = !line.starts_with([' ', '/', '#']) && line.contains(&name);
            declares.then_some(at)
        });
        let Some(comment) = declaration.and_then(|at| header[..at].rfind("\n/**")) else { continue };
        let dashes = "-".repeat(LINE_MAX - "/* ----  */".len() - title.len() - 1);
        header.insert_str(comment + 1, &format!("/* ---- {title} {dashes} */\n\n"));
    }
    header
}

/// cbindgen can only put the type's name before a variant's: TCKMS_STATUS_OK is to be TCKMS_OK, and every other status
/// TCKMS_ERR_something.
fn shorten_status_names(header: &str) -> String {
    header
        .replace("TCKMS_STATUS_FORCE_INT", "TCKMS@FORCE_INT")
        .replace("TCKMS_STATUS_OK", "TCKMS_OK")
        .replace("TCKMS_STATUS_", "TCKMS_ERR_")
        .replace("TCKMS@FORCE_INT", "TCKMS_STATUS_FORCE_INT")
}

/// Declarations say `tckms_client *`, as programs do, not `struct tckms_client *`; the tags stay in the typedefs.
fn use_typedef_names(header: &str) -> String {
    let mut shift = 0;
    let lines = header.lines().map(|line| {
        let continued = shift > 0 && line.starts_with(' ');
        let line = if continued { &line[shift..] } else { line };
        if line.starts_with("typedef ") || line.starts_with(" *") || line.starts_with("  ") && !continued {
            return line.to_owned();
        }
        let plain = line.replace("struct tckms_", "tckms_").replace("enum tckms_", "tckms_");
        if !continued {
            let before_arguments = |text: &str| text.find('(').unwrap_or(0);
            shift = before_arguments(line) - before_arguments(&plain);
        }
        plain
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// C90 and C++98 have neither line comments nor a comma after the last enumerator.
fn only_what_c90_knows(header: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in header.lines() {
        if line.starts_with('}')
            && let Some(last) = lines.last_mut()
            && last.ends_with(',')
        {
            last.pop();
        }
        // cbindgen writes them after #endif and the end of extern "C" only.
        lines.push(match line.split_once("// ") {
            Some((code, comment)) if code.starts_with(['#', '}']) => format!("{code}/* {comment} */"),
            _ => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
}
