//! Checks the documents: every proof exists, every link has a target, every list is complete.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Markdown files that users read.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("emulator/README.md"), root().join("go/README.md")];
    found.extend(
        fs::read_dir(root())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "md")),
    );
    let in_folder = |folder: &str| fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    found.extend(
        in_folder("docs").chain(in_folder("examples-c")).filter(|path| path.extension().is_some_and(|e| e == "md")),
    );
    found
}

/// `<!-- Proof: a/file (a_test, another), b/file -->`, or the same without the comment, as pairs of a file and its tests.
fn proofs(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for claim in text.split("Proof: ").skip(1) {
        // A proof ends with its comment, its paragraph, or its cell of a table.
        let ends = ["-->", "\n\n", "|"];
        let claim = ends.iter().fold(claim, |claim, end| claim.split(end).next().unwrap()).replace('\n', " ");
        let mut rest = claim.trim();
        loop {
            let end = rest.find([' ', ',']).unwrap_or(rest.len());
            let file = rest[..end].trim_end_matches('.').to_owned();
            rest = rest[end..].trim_start();
            let mut tests = Vec::new();
            if let Some(list) = rest.strip_prefix('(') {
                let close = list.find(')').expect("the tests of a proof are in parentheses");
                tests = list[..close].split(',').map(|name| name.trim().to_owned()).collect();
                rest = list[close + 1..].trim_start();
            }
            found.push((file, tests));
            match rest.strip_prefix(',') {
                Some(more) => rest = more.trim_start(),
                None => break,
            }
        }
    }
    found
}

#[test]
fn every_proof_exists() {
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for (file, tests) in proofs(&text) {
            let place = root().join(&file);
            assert!(place.is_file(), "{}: the proof {file:?} is not a file", document.display());
            let proof = fs::read_to_string(&place).unwrap();
            for test in tests {
                assert!(proof.contains(&test), "{}: {file} has no {test:?}", document.display());
                count += 1;
            }
            count += 1;
        }
    }
    assert!(count > 20, "the documents name only {count} proofs");
}

#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        // Code is indented, and some of it looks like a link.
        let prose: String =
            text.lines().filter(|line| !line.starts_with("    ")).map(|line| format!("{line}\n")).collect();
        for target in prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let place = document.parent().unwrap().join(file);
            assert!(place.exists(), "{}: the link to {target:?} leads nowhere", document.display());
        }
    }
}

#[test]
fn every_example_is_listed_and_built() {
    let (list, makefile) = (read("examples-c/README.md"), read("examples-c/Makefile"));
    let words: BTreeSet<&str> = makefile.split_whitespace().map(|word| word.trim_end_matches(':')).collect();
    for entry in fs::read_dir(root().join("examples-c")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(program) = name.strip_suffix(".c") else { continue };
        assert!(list.contains(&format!("\n| [{name}]({name}) |")), "examples-c/README.md does not list {name}");
        assert!(words.contains(program), "examples-c/Makefile does not build {name}");
    }
}

/// The Markdown files that git knows, with their lines and whether each is inside a fence.
fn lines_of_documents() -> Vec<(String, Vec<(bool, String)>)> {
    let listed = Command::new("git").args(["ls-files", "*.md"]).current_dir(root()).output().unwrap();
    let paths = String::from_utf8(listed.stdout).unwrap();
    let with_fences = |path: &str| {
        let mut fenced = false;
        let lines = read(path).lines().map(str::to_owned).collect::<Vec<_>>().into_iter();
        let marked = lines.map(|line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            (fenced || fence, line)
        });
        (path.to_owned(), marked.collect())
    };
    let found: Vec<_> = paths.lines().map(with_fences).collect();
    assert!(found.len() > 30, "git lists only {} documents", found.len());
    found
}

/// A tool that reflows paragraphs joins lines of indented code. Joined commands have two comments on a line, so a line may have only
/// one. In C and C++ this cannot be detected, so they must be in a fence.
#[test]
fn indented_code_keeps_its_lines() {
    for (document, lines) in lines_of_documents() {
        let mut before = String::new();
        let mut in_code = false;
        for (number, (fenced, line)) in lines.iter().enumerate() {
            in_code = !fenced && line.starts_with("    ") && (in_code || before.is_empty());
            before.clone_from(line);
            if !in_code {
                continue;
            }
            let comments = line.match_indices(" # ").count();
            assert!(comments < 2, "{document}:{}: joined lines? {line}", number + 1);
            let c = line.ends_with([';', '{', '}']) || line.contains("::");
            assert!(!c, "{document}:{}: C and C++ must be in a fence: {line}", number + 1);
        }
    }
}

/// A table begins after an empty line, and its rows have the columns of its heading.
#[test]
fn tables_are_well_formed() {
    let columns = |row: &str| {
        let mut in_code = false;
        let mut before = ' ';
        row.chars()
            .filter(|&c| {
                in_code ^= c == '`';
                let bar = c == '|' && before != '\\' && !in_code;
                before = c;
                bar
            })
            .count()
    };
    for (document, lines) in lines_of_documents() {
        let row = |number: usize| lines.get(number).filter(|(fenced, line)| !fenced && line.starts_with('|'));
        for number in 0..lines.len() {
            let Some((_, line)) = row(number) else { continue };
            let first = number == 0 || row(number - 1).is_none();
            if first {
                let after_space = number == 0 || lines[number - 1].1.is_empty();
                assert!(after_space, "{document}:{}: a table without an empty line before it", number + 1);
                let ruled = row(number + 1).is_some_and(|(_, rule)| rule.starts_with("|-") || rule.starts_with("| -"));
                assert!(ruled, "{document}:{}: a table without a rule below its heading", number + 1);
            } else {
                let heading = (0..number).rev().find(|&n| n == 0 || row(n - 1).is_none()).unwrap();
                let expected = columns(&lines[heading].1);
                assert_eq!(columns(line), expected, "{document}:{}: {line}", number + 1);
            }
        }
    }
}

/// The C and C++ code in the documents compiles inside a frame.
#[test]
fn code_in_the_documents_compiles() {
    const C: &str = "#include <stdio.h>\n#include <tckms.h>\n\
        void send_reply(void *request, tckms_status status, const tckms_buffer *output);\n\
        void enclose(tckms_client *client, tckms_keyring *keyring, const char *key_id, const void *data, size_t len,\n\
        const void *message, size_t message_len, tckms_status status, void *request, tckms_buffer blob) {{\n";
    const CPP: &str = "#include <fstream>\n#include <tckms.hpp>\n\
        void enclose(tckms::client &client, tckms::keyring &keyring, const char *key_id, const char *context) {{\n";
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pieces");
    fs::create_dir_all(&folder).unwrap();
    let mut count = 0;
    for (document, _) in lines_of_documents() {
        let text = read(&document);
        for (language, compiler, standard, frame) in [("c", "gcc", "-std=gnu11", C), ("cpp", "g++", "-std=c++20", CPP)]
        {
            for piece in text.split(&format!("```{language}\n")).skip(1).map(|rest| rest.split("\n```").next().unwrap())
            {
                let complete = piece.starts_with("#include") || piece.starts_with("static");
                let source = match complete {
                    true if language == "c" => format!("{}{piece}\n", C.split("void enclose").next().unwrap()),
                    true => piece.to_owned(),
                    false => format!("{frame}{piece}\n}}}}\n"),
                };
                let path = folder.join(format!("piece.{language}"));
                fs::write(&path, source).unwrap();
                let output = Command::new(compiler)
                    .args([standard, "-fsyntax-only", "-w", "-I"])
                    .arg(root().join("include"))
                    .arg(&path)
                    .output()
                    .unwrap();
                let complaint = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{document}: {piece}\n{complaint}");
                count += 1;
            }
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    assert!(count >= 12, "only {count} pieces of code were found");
}

#[test]
fn every_status_is_explained() {
    let explained = read("docs/errors.md");
    for line in read("include/tckms.h").lines().filter(|line| line.starts_with("  TCKMS_ERR_")) {
        let (name, number) = line.trim().trim_end_matches(',').split_once(" = ").unwrap();
        let row = format!("| {number} | `{name}` |");
        assert!(explained.contains(&row), "docs/errors.md has no row {row:?}");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let of_member = |path: &str| read(path).replace("\ntckms = ", "\n#");
    let manifests = read("Cargo.toml") + &of_member("pkcs11/Cargo.toml") + &of_member("cli/Cargo.toml");
    let sections = manifests.split("\n[dependencies]").skip(1).map(|rest| rest.split("\n[").next().unwrap());
    let needed: BTreeSet<&str> = sections
        .flat_map(str::lines)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .collect();
    let document = read("docs/dependencies.md");
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    let explained: BTreeSet<&str> =
        rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    assert_eq!(explained, needed);
}

#[test]
fn every_setter_is_in_a_chapter() {
    let chapter = read("docs/configuration.md") + &read("docs/credentials.md");
    let header = read("include/tckms.h");
    for setter in header.split("tckms_status ").filter(|rest| rest.starts_with("tckms_config_set_")) {
        let name = setter.split('(').next().unwrap();
        assert!(chapter.contains(&format!("`{name}`")), "neither chapter mentions {name}");
    }
}

fn set_home(root: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(root.join("scripts/set-home.sh")).args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn one_file_defines_the_home_of_the_project() {
    let (same, complaint) = set_home(root(), &["--check"]);
    assert!(same, "{complaint}");
}

#[test]
fn a_new_home_is_written_everywhere() {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir_all(&copy).unwrap();
    let parts = ["Cargo.toml", "SECURITY.md", "README.md", "packaging", "scripts", "go", "tests", "docs", "examples-c"];
    let copied = Command::new("cp").arg("-a").args(parts.map(|part| root().join(part))).arg(&copy).status().unwrap();
    assert!(copied.success());
    let home = "homepage = \"https://example.org/tckms\"\nrepository = \"https://example.org/git/tckms\"\n\
                go_module = \"example.org/tckms.invalid/go\"\ncontact = \"who@example.org\"\n";
    fs::write(copy.join("packaging/home.toml"), home).unwrap();
    assert!(!set_home(&copy, &["--check"]).0, "a home that differs is noticed");
    assert_eq!(set_home(&copy, &[]), (true, String::new()));
    // The second run changes nothing, even if the new path contains the old one.
    assert_eq!(set_home(&copy, &["--check"]), (true, String::new()));
    for (file, line) in [
        ("Cargo.toml", "homepage = \"https://example.org/tckms\""),
        ("Cargo.toml", "repository = \"https://example.org/git/tckms\""),
        ("packaging/debian/control", "Homepage: https://example.org/tckms"),
        ("packaging/debian/copyright", "Source: https://example.org/git/tckms"),
        ("packaging/tckms.pc.in", "URL: https://example.org/tckms"),
        ("go/go.mod", "module example.org/tckms.invalid/go"),
        ("go/example_test.go", "\ttckms \"example.org/tckms.invalid/go\""),
        ("go/README.md", "\ttckms \"example.org/tckms.invalid/go\""),
    ] {
        let text = fs::read_to_string(copy.join(file)).unwrap();
        assert!(text.lines().any(|found| found == line), "{file} has no line {line:?}");
    }
    assert!(fs::read_to_string(copy.join("SECURITY.md")).unwrap().contains(">who@example.org<"));

    fs::write(copy.join("packaging/home.toml"), home.replace("example.org/tckms.invalid/go", "nodot/go")).unwrap();
    assert!(!set_home(&copy, &[]).0, "Go wants a dot in the first element");
    fs::write(copy.join("packaging/home.toml"), home.replace("who@", "who|x@")).unwrap();
    assert!(!set_home(&copy, &[]).0, "a value is never a command of sed");
    fs::remove_dir_all(&copy).unwrap();
}

/// Messages contain no debug text: the debug text of another crate's error may repeat its input, which may be a private key.
#[test]
fn no_message_has_debug_text() {
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            // Tests are at the end of a file, and may print anything.
            let product = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            for (number, line) in product.lines().enumerate() {
                let debug = [":?}", ":#?}", "{:?", "dbg!"].iter().any(|form| line.contains(form));
                assert!(!debug, "{}:{}: {line}", path.display(), number + 1);
            }
        }
    }
}

/// A test that is renamed must not start to run on a system that cannot run it.
#[test]
fn tests_that_a_system_leaves_out_exist() {
    let pattern = "fn [a-z]|mod [a-z]|^ +[a-z0-9_]+([:(]|$)";
    let mut grep = Command::new("git");
    grep.args(["grep", "-h", "-E", pattern, "--", "tests/*.rs", "pkcs11/tests/module.rs"]);
    let found = grep.current_dir(root()).output().unwrap();
    let sources = String::from_utf8_lossy(&found.stdout);
    let script = read("scripts/artefact-tests.sh");
    let skipped = script.split("skip=(").skip(1).chain(script.split("skip+=(").skip(1));
    let skipped = skipped.filter_map(|rest| rest.split_once(')')).flat_map(|(words, _)| words.split_whitespace());
    let document = read("docs/portability.md");
    let listed = document.split("These tests do not run for ARM64").nth(1).expect("docs/portability.md has the list");
    let listed = listed.split("\n\n").next().unwrap().split('`').skip(1).step_by(2);
    let listed = listed.filter(|name| !name.starts_with('_') && !name.starts_with("qemu"));
    let names: BTreeSet<&str> = skipped.chain(listed).collect();
    assert!(names.len() > 30, "only {names:?}");
    for part in names.iter().flat_map(|name| name.split("::")) {
        assert!(sources.contains(part), "no test has {part:?} in its name");
    }
}

/// The documents name files by their paths, and files move.
#[test]
fn every_path_in_the_documents_exists() {
    for paper in ["ARCHITECTURE.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md"] {
        let text = read(paper);
        for path in
            text.split('`').skip(1).step_by(2).filter(|code| code.contains('/') && !code.contains([' ', '<', ':']))
        {
            if path.contains("NAME") || path.starts_with("target/") || path.starts_with("go/v") {
                continue;
            }
            assert!(root().join(path).exists(), "{paper} names {path}, which does not exist");
        }
    }
}
