//! Help pages, manual pages and completions.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use support::{release, root};

use crate::tool::Cli;

/// Every command and subcommand, as the words after `tckms`.
fn commands(cli: &Cli) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut open = vec![Vec::<String>::new()];
    while let Some(command) = open.pop() {
        let arguments: Vec<_> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = cli.text(&arguments, b"");
        let Some((_, list)) = help.split_once("\nCommands:\n") else { continue };
        for line in list.lines().take_while(|line| !line.is_empty()) {
            let name = line.trim_start().split(' ').next().unwrap();
            if line.starts_with("  ") && !line.starts_with("   ") {
                let inner = [command.clone(), vec![name.to_owned()]].concat();
                all.push(inner.clone());
                open.push(inner);
            }
        }
    }
    all.sort();
    all
}

/// `TCKMS_UPDATE_HELP=1 cargo test --test cli help_pages` updates the file.
#[test]
fn help_pages_match_the_committed_file() {
    let cli = Cli::new();
    let all = commands(&cli);
    assert!(all.len() > 35, "{all:?}");
    let pages = all.iter().map(|command| {
        let arguments: Vec<_> = command.iter().map(String::as_str).chain(["--help"]).collect();
        format!("$ tckms {}\n{}\n", arguments.join(" "), cli.text(&arguments, b""))
    });
    let pages: String = pages.collect::<Vec<_>>().join("\n");
    let golden = root().join("tests/cli/help.txt");
    if std::env::var_os("TCKMS_UPDATE_HELP").is_some() {
        fs::write(&golden, &pages).unwrap();
    }
    assert!(
        fs::read_to_string(golden).unwrap() == pages,
        "the help pages have changed: TCKMS_UPDATE_HELP=1 updates the file"
    );
    assert!(pages.lines().all(|line| line.chars().count() <= 100), "a line is too long");
}

#[test]
fn completions_load_in_each_shell() {
    let cli = Cli::new();
    for (shell, check) in [
        ("bash", "source \"$1\" && complete -p tckms"),
        (
            "zsh",
            "autoload -U compinit && compinit -u -D && source \"$1\" && [[ -n ${_comps[tckms]:-$functions[_tckms]} ]]",
        ),
        ("fish", "source $argv[1]; complete -C 'tckms ke' | string match -q 'keys*'"),
    ] {
        let text = cli.text(&["completions", shell], b"");
        assert!(text.contains("reencrypt") && !text.contains("man-pages"), "{shell} offers a hidden command");
        let script = cli.scratch.write(&format!("completion.{shell}"), &text);
        let mut command = support::tool(shell);
        command.args(["-c", check]);
        if shell != "fish" {
            command.arg(shell);
        }
        let output = command.arg(&script).env("HOME", cli.scratch.path()).output().unwrap();
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The page tckms-seal(1) documents two programs.
#[test]
fn the_page_of_tckms_seal_has_the_options_of_the_command() {
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        words.filter(|word| word.starts_with('-') && word.len() > 1).map(str::to_owned).collect()
    };
    let page = fs::read_to_string(root().join("man/man1/tckms-seal.1")).unwrap();
    let section = page.split_once("\n.SH TCKMS SEAL\n").unwrap().1.split("\n.SH ").next().unwrap();
    let section = section.replace("\\-", "-").replace("\\fB", " ").replace("\\fP", " ");
    let help = Cli::new().text(&["seal", "--help"], b"");
    assert_eq!(words(&section), words(help.split_once("\nOptions:").unwrap().1));
}

#[test]
fn manual_pages_are_clean() {
    let cli = Cli::new();
    fs::create_dir(cli.file("man")).unwrap();
    let status = Command::new(release("tckms")).args(["man-pages"]).arg(cli.file("man")).status().unwrap();
    assert!(status.success());
    let made = crate::harness::names_in(&cli.file("man"));
    let by_hand = crate::harness::names_in(&root().join("man/man1"));
    assert!(made.iter().all(|page| !by_hand.contains(page)), "two files have one name: {made:?}, {by_hand:?}");
    let pages: Vec<_> = made.iter().chain(&by_hand).collect();
    for command in commands(&cli) {
        let page = format!("{}.1", [&["tckms".to_owned()], &command[..]].concat().join("-"));
        assert!(pages.contains(&&page), "man does not find {page}");
    }
    for page in made {
        let lint = support::tool("mandoc")
            .args(["-T", "lint", "-W", "warning"])
            .arg(cli.file("man").join(&page))
            .output()
            .unwrap();
        assert!(lint.stdout.is_empty(), "{}", String::from_utf8_lossy(&lint.stdout));
    }
}
