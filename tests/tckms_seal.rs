//! Tests of the installed tool tckms-seal against its help and its manual page.
//!
//! tests/tckms_seal/sealing.rs has messages, pipes, signals and terminals; tests/tckms_seal/files.rs has links, mounts, full disks
//! and permissions. tests/cli.rs runs both for `tckms seal`, `open` and `info`.

#[path = "tckms_seal/attributes.rs"]
mod attributes;
#[path = "tckms_seal/files.rs"]
mod files;
#[path = "tckms_seal/tool.rs"]
mod harness;
#[path = "tckms_seal/sealing.rs"]
mod sealing;

use std::fs;
use std::process::Command;

use harness::{Program, Tool, text};
use support::{CLANG, GCC, output_of, root};

/// The program under test, for the modules above.
const PROGRAM: Program = Program::TckmsSeal;

#[test]
fn help_lists_all_options() {
    let tool = Tool::new();
    let help = String::from_utf8(tool.run(&["--help"], b"").stdout).unwrap();
    for word in ["-d", "-k KEYID", "-c NAME=VALUE", "-o FILE", "--info", "exit status"] {
        assert!(help.contains(word), "{word}");
    }
    let version = String::from_utf8(tool.run(&["--version"], b"").stdout).unwrap();
    assert_eq!(version, format!("tckms-seal {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn it_compiles_without_a_warning() {
    let sources = fs::read_dir(root().join("examples-c/tckms-seal")).unwrap().map(|entry| entry.unwrap().path());
    let sources: Vec<_> = sources.filter(|file| file.extension().is_some_and(|extension| extension == "c")).collect();
    assert!(sources.len() > 5, "{sources:?}");
    for source in sources {
        for compiler in [GCC, CLANG] {
            compiler.check("c", &source).unwrap();
        }
    }
}

#[test]
fn an_invalid_command_line_is_explained() {
    let tool = Tool::new();
    for (arguments, expected) in [
        (&["-x"][..], "tckms-seal: unknown option: -x\n"),
        (&["-qsx"], "tckms-seal: unknown option: -x\n"),
        (&["--colour"], "tckms-seal: unknown option: --colour\n"),
        (&["--colour=red"], "tckms-seal: unknown option: --colour=red\n"),
        (&["--inf"], "tckms-seal: unknown option: --inf\n"),
        (&["-ü"], "tckms-seal: unknown option: -ü\n"),
        (&["-\u{1b}[31m"], "tckms-seal: unknown option: -\\u{1b}\n"),
        (&["--\u{9b}31m\u{202e}"], "tckms-seal: unknown option: --\\u{9b}31m\\u{202e}\n"),
        (&["--info=yes"], "tckms-seal: this option takes no value: --info=yes\n"),
        (&["-k"], "tckms-seal: this option needs a value: -k\n"),
        (&["-dk"], "tckms-seal: this option needs a value: -k\n"),
        (&["--proxy"], "tckms-seal: this option needs a value: --proxy\n"),
        (&["-k", "a", "x", "y"], "tckms-seal: there is more than one file: y\n"),
        (&["-k", "a", "-c", "a"], "tckms-seal: -c takes NAME=VALUE\n"),
        (&["--info", "-o", "x"], "tckms-seal: --info prints to standard output"),
        (&[], "tckms-seal: no key is given"),
    ] {
        let refused = tool.run(arguments, b"");
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        let said = text(&refused.stderr);
        assert!(
            said.starts_with(expected) && said.ends_with("tckms-seal --help lists the options\n"),
            "{arguments:?}: {said}"
        );
    }
}

/// Every option of tckms-seal in the documents is in its help.
#[test]
fn documents_use_existing_options() {
    let help = output_of(Command::new(Tool::path()).arg("--help"));
    let mut files = vec![root().join("README.md"), root().join("go/README.md"), root().join("examples-c/README.md")];
    files.extend(fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let mut count = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "md")) {
        let document = fs::read_to_string(file).unwrap();
        for line in document.split("tckms-seal ").skip(1).map(|rest| rest.split(['\n', '`']).next().unwrap()) {
            for option in line.split(' ').filter(|word| word.len() > 1 && word.starts_with('-')) {
                assert!(help.contains(&format!("\n  {option} ")), "{}: {option} in {line}", file.display());
                count += 1;
            }
        }
    }
    assert!(count >= 5, "{count} options are used in the documents");
}
