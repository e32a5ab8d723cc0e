//! The manual pages and the HTML reference are generated from the header, complete, and accepted by mandoc.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use support::{CLANG, GCC, Header, Scratch, dist, output_of, release, root, tool};

/// Written by hand.
const PAGES_OF_PROGRAMS: &str = "man/man1";

/// The folder of the reference that `make build` generated.
fn reference() -> PathBuf {
    dist("libtckms.a").ancestors().nth(2).expect("it is in target/dist").join("reference")
}

/// The pages of the header, by their file names.
fn pages() -> BTreeMap<String, String> {
    let files = fs::read_dir(reference().join("man3")).unwrap().map(|entry| entry.unwrap().path());
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        (file.file_name().unwrap().to_str().unwrap().to_owned(), text)
    };
    files.map(read).collect()
}

fn generator() -> Command {
    let mut command = tool("python3");
    command.arg(root().join("scripts/reference.py"));
    command
}

#[test]
fn they_are_generated_from_the_current_header() {
    let folder = Scratch::new();
    output_of(generator().arg("--output").arg(folder.path()));
    // The tool generates its own pages and completions.
    let differences = Command::new("diff")
        .args(["-r", "--exclude=man1", "--exclude=completions"])
        .arg(folder.path())
        .arg(reference())
        .output()
        .unwrap();
    assert!(differences.status.success(), "{}", String::from_utf8_lossy(&differences.stdout));
}

#[test]
fn the_repository_holds_none_of_them() {
    let mut git = tool("git");
    git.current_dir(root()).args(["ls-files", "man/man3", "docs/reference.html", "*.3"]);
    assert_eq!(output_of(&mut git), "");
}

#[test]
fn every_function_has_a_page_with_all_that_its_comment_says() {
    let pages = pages();
    for function in Header::committed().functions() {
        let page = pages.get(&format!("{}.3", function.name)).unwrap_or_else(|| panic!("{} has none", function.name));
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "THREADS", "HISTORY", "SEE ALSO"] {
            assert!(page.contains(&format!("\n.SH {section}\n")), "{}: no {section}", function.name);
        }
        assert_eq!(page.contains("\n.SH RETURN VALUE\n"), function.returns != "void", "{}", function.name);
        for parameter in function.parameters {
            let entry = format!("\n.TP\n\\fI{parameter}\\fP\n");
            assert!(page.contains(&entry), "{}: nothing about {parameter}", function.name);
        }
    }
}

#[test]
fn every_status_is_on_its_page() {
    let page = &pages()["tckms_status.3"];
    for (name, number) in Header::committed().statuses() {
        assert!(page.contains(&format!("\n.TP\n\\fB{name} = {number}\\fP\n")), "nothing about {name}");
    }
}

#[test]
fn mandoc_has_no_complaint() {
    let by_hand = fs::read_dir(root().join("man")).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<_> =
        by_hand.chain([reference().join("man3")]).map(|folder| fs::read_dir(folder).unwrap()).collect();
    assert!(folders.len() > 3);
    for page in folders.into_iter().flatten().map(|entry| entry.unwrap().path()) {
        let output = tool("mandoc").args(["-Tlint", "-Wstyle"]).arg(&page).output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && complaints.is_empty(), "{}:\n{complaints}", page.display());
    }
}

/// The options that a text names, such as `-k` and `--tls`.
fn options(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| word.starts_with('-') && !word.trim_matches('-').is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_page_of_a_program_has_the_options_of_its_help() {
    for program in [dist("tckms-seal"), release("tckms-emulator")] {
        let name = program.file_name().unwrap().to_str().unwrap();
        let help = options(&output_of(Command::new(&program).arg("--help")));
        let page = fs::read_to_string(root().join(PAGES_OF_PROGRAMS).join(format!("{name}.1"))).unwrap();
        // A section about a command of another program has other options.
        let page = page.split("\n.SH TCKMS SEAL\n").next().unwrap();
        let page = options(&page.replace("\\-", "-").replace("\\fB", " ").replace("\\fP", " "));
        assert!(help.len() > 5, "{help:?}");
        assert_eq!(&help - &page, BTreeSet::new(), "options of {name} --help that man/man1/{name}.1 lacks");
        assert_eq!(&page - &help, BTreeSet::new(), "options in man/man1/{name}.1 that {name} does not know");
    }
}

/// The output of the generator for a header in which `text` is replaced.
fn with_a_fault(text: &str, replacement: &str) -> Output {
    let folder = Scratch::new();
    let header = Header::committed().text;
    assert!(header.contains(text), "the header has no {text:?}");
    let header = folder.write("tckms.h", &header.replacen(text, replacement, 1));
    generator().arg("--header").arg(header).arg("--output").arg(folder.path()).output().unwrap()
}

#[test]
fn what_has_no_comment_is_named() {
    let header = Header::committed().text;
    let wipe = header.split("/**").find(|part| part.contains("void tckms_wipe(")).unwrap();
    let comment = format!("/**{}*/\n", wipe.split("*/").next().unwrap());
    for (text, replacement, complaint) in [
        (comment.as_str(), "", "tckms_wipe has no comment"),
        ("  /** The call succeeded. */\n", "", "TCKMS_OK has no comment"),
        ("  /** Attempts after the first of a call. */\n", "", "retries has no comment"),
        (
            " * @param memory  The first byte; NULL is harmless.\n",
            "",
            "tckms_wipe has the parameters ['memory', 'len']",
        ),
        (" * @return  Bytes.\n", "", "tckms_plaintext_max does not say what it returns"),
        ("/** An empty tckms_buffer, for its declaration. */\n", "", "TCKMS_BUFFER_INIT has no comment"),
    ] {
        let output = with_a_fault(text, replacement);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && stderr.contains(complaint), "{complaint}: {stderr}");
    }
}

/// The examples of a page, as displayed.
fn examples(page: &str) -> Vec<String> {
    let parts = page.split("\n.EX\n").skip(1).map(|rest| rest.split("\n.EE").next().expect("an example ends"));
    let escapes = [("\\&", ""), ("\\-", "-"), ("\\(ti", "~"), ("\\(ha", "^"), ("\\(ga", "`"), ("\\e", "\\")];
    parts.map(|text| escapes.iter().fold(text.to_owned(), |text, (escape, c)| text.replace(escape, c)) + "\n").collect()
}

#[test]
fn every_example_compiles() {
    let folder = Scratch::new();
    let mut count = 0;
    for (name, page) in pages() {
        for example in examples(&page) {
            // A complete program, or the body of a function.
            let text = if example.contains("int main(") {
                example
            } else {
                let head = "#include <stdio.h>\n#include <tckms.h>\nvoid example(const char *key_id);\n";
                format!("{head}void example(const char *key_id) {{\n{example}}}\n")
            };
            let source = folder.write("example.c", &text);
            for compiler in [GCC, CLANG] {
                let verdict = compiler.check("c", &source);
                assert!(verdict.is_ok(), "{name}: {}\n{text}", verdict.unwrap_err());
            }
            count += 1;
        }
    }
    assert!(count >= 2, "the pages have {count} examples");
}

#[test]
fn the_html_reference_is_complete_and_self_contained() {
    let html = fs::read_to_string(reference().join("reference.html")).unwrap();
    for target in html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let name = target.strip_prefix('#').unwrap_or_else(|| panic!("{target} is elsewhere"));
        assert_eq!(html.matches(&format!(" id=\"{name}\"")).count(), 1, "{target}");
    }
    assert!(!html.contains("src=") && !html.contains("<link") && !html.contains("@import"), "it loads something");
    for function in Header::committed().functions() {
        assert!(html.contains(&format!("<h3 id=\"{0}\">{0}</h3>", function.name)), "{} is not in it", function.name);
    }
}
