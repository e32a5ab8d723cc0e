//! The guarantees to compiled programs (docs/abi.md): compares the snapshots in tests/abi with the current interface.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Header, Scratch, dist, output_of, root, soname, tool};

const API: &str = "tests/abi/api.txt";
const DUMP: &str = "tests/abi/tckms.abi";

/// `make abi` is this test with the variable set.
fn updating() -> bool {
    std::env::var_os("TCKMS_UPDATE_ABI").is_some_and(|value| value == "1")
}

/// The header without its comments.
fn code(header: &str) -> String {
    let mut text = String::new();
    for (index, part) in header.split("/*").enumerate() {
        text += if index == 0 { part } else { part.split_once("*/").expect("a comment ends").1 };
    }
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Declarations of functions, as one line each: all of the extern "C" block.
fn functions(code: &str) -> Vec<String> {
    let block = code.split("extern \"C\" {").nth(1).expect("there is an extern \"C\" block");
    let block = block.split("#endif").nth(1).expect("its opening is for C++ only");
    let block = block.split("#ifdef").next().expect("and so is its end");
    let mut found: Vec<_> = block.split(';').map(one_line).filter(|text| !text.is_empty()).collect();
    found.iter_mut().for_each(|text| *text = text.replace("TCKMS_WARN_UNUSED ", ""));
    found
}

/// "name = number" of every enumerator and of every macro that is a number.
fn numbers(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for body in code.split("typedef enum ").skip(1) {
        let body = body.split_once('{').expect("an enum has a body").1.split('}').next().unwrap();
        found.extend(body.split(',').map(one_line).filter(|text| !text.is_empty()));
    }
    for line in code.lines().filter_map(|line| line.strip_prefix("#define ")) {
        if let Some((name, value)) = line.split_once(' ')
            && value.parse::<i64>().is_ok()
            && !name.starts_with("TCKMS_VERSION")
        {
            found.push(format!("{name} = {value}"));
        }
    }
    found
}

/// Types of functions, as one line each.
fn callbacks(code: &str) -> Vec<String> {
    let types = code.split("typedef ").skip(1).map(|text| one_line(text.split(';').next().unwrap()));
    types.filter(|text| text.contains("(*tckms_")).collect()
}

/// The structures with a body, and their fields in order.
fn structures(code: &str) -> Vec<(String, Vec<String>)> {
    let bodies = code.split("typedef struct ").skip(1).filter_map(|text| {
        let (name, rest) = text.split_once([' ', ';'])?;
        let body = rest.strip_prefix('{')?;
        Some((name.to_owned(), body.split('}').next().unwrap().split(';').filter_map(field).collect()))
    });
    bodies.collect()
}

/// The name in `size_t len`, `uint8_t key[32]` and `int (*generate)(void *userdata)`.
fn field(text: &str) -> Option<String> {
    let text = one_line(text);
    let before = match text.split_once("(*") {
        Some((_, pointer)) => pointer.split(')').next().unwrap().to_owned(),
        None => text.split('[').next().unwrap().to_owned(),
    };
    before.rsplit([' ', '*']).next().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// Sizes and offsets, as computed by the compiler.
fn layout(structures: &[(String, Vec<String>)]) -> String {
    let mut program = "#include <stdio.h>\n#include <tckms.h>\nint main(void) {\n".to_owned();
    for (name, fields) in structures {
        writeln!(program, "  printf(\"{name}: %zu bytes\\n\", sizeof({name}));").unwrap();
        for field in fields {
            let size = format!("sizeof((({name} *)0)->{field})");
            writeln!(program, "  printf(\"  {field} at %zu, %zu bytes\\n\", offsetof({name}, {field}), {size});")
                .unwrap();
        }
    }
    program += "  return 0;\n}\n";
    let folder = Scratch::new();
    let (source, binary) = (folder.write("layout.c", &program), folder.path().join("layout"));
    output_of(tool("gcc").arg("-I").arg(root().join("include")).arg(&source).arg("-o").arg(&binary));
    output_of(&mut Command::new(&binary))
}

fn api() -> String {
    let code = code(&Header::committed().text);
    let mut text = "# Written by `make abi` from include/tckms.h; see README.md.\n".to_owned();
    for (title, lines) in
        [("Functions", functions(&code)), ("Callbacks", callbacks(&code)), ("Numbers", numbers(&code))]
    {
        assert!(!lines.is_empty(), "the header has none of these: {title}");
        write!(text, "\n# {title}\n{}\n", lines.join("\n")).unwrap();
    }
    write!(text, "\n# Structures, with 64-bit pointers\n{}", layout(&structures(&code))).unwrap();
    text
}

#[test]
fn signatures_numbers_and_structures_are_those_of_the_snapshot() {
    let (now, file) = (api(), root().join(API));
    if updating() {
        fs::write(&file, &now).unwrap();
    }
    let before = fs::read_to_string(&file).unwrap_or_default();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (was, is) = (lines(&before), lines(&now));
    let gone: Vec<_> = was.difference(&is).map(|line| format!("- {line}")).collect();
    let new: Vec<_> = is.difference(&was).map(|line| format!("+ {line}")).collect();
    assert!(
        before == now,
        "{API} differs from the header.\n{}\n{}\n\nA line with - breaks programs that use it: docs/abi.md says when \
         that may be. For all others run `make abi` and commit the change with that of the header.",
        gone.join("\n"),
        new.join("\n"),
    );
}

/// A library that has the functions of the header and no code. Its debug information describes the ABI in terms of C; that of the
/// real library would describe it in terms of Rust.
fn described_by_the_header(folder: &Scratch) -> PathBuf {
    let mut source = "#include <tckms.h>\n".to_owned();
    for signature in functions(&code(&Header::committed().text)) {
        let nothing = if signature.starts_with("void ") && !signature.starts_with("void *") { "" } else { "return 0;" };
        writeln!(source, "{signature} {{ {nothing} }}").unwrap();
    }
    let (source, library) = (folder.write("tckms.c", &source), folder.path().join(soname()));
    let mut compile = tool("gcc");
    compile.current_dir(folder.path()).args(["-g", "-O0", "-shared", "-fPIC", "-w"]);
    compile.arg(format!("-Wl,-soname,{}", soname()));
    compile.arg(format!("-Wl,--version-script={}", root().join("packaging/tckms.map").display()));
    // The folder of the build is not part of the interface.
    compile.arg(format!("-ffile-prefix-map={}=.", folder.path().display()));
    compile.arg(format!("-ffile-prefix-map={}=.", root().display()));
    output_of(compile.arg("-I").arg(root().join("include")).arg(&source).arg("-o").arg(&library));
    library
}

/// The output of abidiff, which is empty if it finds no difference.
fn abidiff(before: &Path, now: &Path) -> String {
    let output =
        tool("abidiff").args(["--fail-no-debug-info", "--no-show-locs"]).arg(before).arg(now).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { String::new() } else { format!("abidiff ends with {}:\n{text}", output.status) }
}

#[test]
fn abidiff_finds_no_difference_between_the_snapshot_and_the_header() {
    let folder = Scratch::new();
    let library = described_by_the_header(&folder);
    let dump = root().join(DUMP);
    if updating() {
        let text =
            output_of(tool("abidw").args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs"]).arg(&library));
        fs::write(&dump, text).unwrap();
    }
    let found = abidiff(&dump, &library);
    assert!(found.is_empty(), "{found}\nRun `make abi` when docs/abi.md allows the change.");
}

/// Names, versions and SONAME of the shipped library.
#[test]
fn abidiff_finds_the_symbols_of_the_snapshot_in_the_library() {
    let folder = Scratch::new();
    let symbols_only = folder.path().join(soname());
    output_of(tool("strip").arg("-o").arg(&symbols_only).arg(described_by_the_header(&folder)));
    let output = tool("abidiff").arg(&symbols_only).arg(dist(&soname())).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "abidiff ends with {}:\n{text}", output.status);
}

/// The linker script lists the functions of the header.
#[test]
fn the_list_of_symbols_is_that_of_the_header() {
    output_of(Command::new(root().join("scripts/symbols.sh")).arg("check"));
    let list = output_of(Command::new(root().join("scripts/symbols.sh")).arg("list"));
    let declared: BTreeSet<_> = Header::committed().functions().into_iter().map(|function| function.name).collect();
    assert_eq!(list.lines().map(str::to_owned).collect::<BTreeSet<_>>(), declared);
}

#[test]
fn every_version_of_the_changelog_has_an_abi_line() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    for version in changelog.split("\n## ").skip(1) {
        let title = version.lines().next().unwrap();
        assert!(version.contains("\nABI: "), "CHANGELOG.md: {title} has no line \"ABI: …\"");
    }
}
