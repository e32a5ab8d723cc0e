//! Every invalid option, file, key, context and JSON: the message names the problem and the allowed values, the exit status is 2, and
//! nothing is written.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use crate::tool::{Cli, error_text};

const ECC: &str = "ASYMMETRIC_SIGN_VERIFY_ECC";
/// One byte more than a description may have.
const LONG: &str = match std::str::from_utf8(&[b'x'; 1025]) {
    Ok(text) => text,
    Err(_) => unreachable!(),
};

/// One character more than a common name may have.
const LONG_NAME: &str = "CN=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn invalid_input_is_explained_and_nothing_is_written() {
    let cli = Cli::new();
    let key = cli.key();
    fs::write(cli.file("notes"), "no PEM").unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["nonsense"], "unrecognized subcommand 'nonsense'"),
        (&["nonsense"], "[subcommands: encrypt, decrypt"),
        (&["keys", "nonsense"], "[subcommands: list, describe"),
        (&["keys"], "[subcommands: list, describe"),
        (&["branch"], "[subcommands: new, rotate"),
        (&["certificate"], "[subcommands: request, self-signed]"),
        (&["pkcs11"], "[subcommands: sync]"),
        (&["encrypt"], "--key <KEYID>"),
        (&["encrypt", "--colour", "-k", key], "unexpected argument '--colour'"),
        (&["encrypt", "-k", "no key"], "the key id is not 1 to 128"),
        (&["encrypt", "-k", key, "-c", "a"], "NAME=VALUE"),
        (&["encrypt", "-k", key, "-c", "=a"], "NAME=VALUE"),
        (&["encrypt", "-k", key, "-c", "a=1", "-c", "a=2"], "twice"),
        (&["encrypt", "-k", key, "--context-json", "{"], "not a JSON object of strings"),
        (&["encrypt", "-k", key, "--context-json", "{\"a\":1}"], "not a JSON object of strings"),
        (&["encrypt", "-k", key, "absent"], "absent: No such file or directory"),
        (&["encrypt", "-k", key, "."], ".: Is a directory"),
        (&["encrypt", "-k", key, "--base64"], "not base64"),
        (&["encrypt", "-k", key, "-o", "no/folder"], "no/folder: No such file or directory"),
        (&["encrypt", "-k", key, "--region", "Guangzhou"], "region \"Guangzhou\" is not"),
        (&["encrypt", "-k", key, "--endpoint", "ftp://x"], "endpoint"),
        (&["encrypt", "-k", key, "--endpoint", "http://192.0.2.1"], "https"),
        (&["encrypt", "-k", key, "--proxy", "x"], "proxy"),
        (&["encrypt", "-k", key, "--ca-file", "notes"], "holds no certificate"),
        (&["encrypt", "-k", key, "--timeout", "never"], "a time is a number of seconds"),
        (&["decrypt", "/dev/null"], "CiphertextBlob"),
        (&["decrypt", "--base64=x"], "--base64"),
        (&["random", "0"], "a number from 1 to 1024"),
        (&["random", "1025"], "a number from 1 to 1024"),
        (&["random", "--format", "octal"], "[possible values: base64, hex, raw]"),
        (&["data-key", "-k", key, "-b", "0"], "a number from 1 to 1024"),
        (&["seal"], "no key is given"),
        (&["seal", "-e", "a:b"], "NAMESPACE:NAME:FILE"),
        (&["seal", "-e", "a:b:notes"], "notes: "),
        (&["seal", "-k", key, "-t", "0"], "a number from 1 to 256"),
        (&["sign", "-k", key, "-a", "md5"], "possible values: ecdsa-sha256"),
        (&["verify", "--public-key", "notes", "--signature", "notes"], "notes: "),
        (&["verify", "-k", key], "--signature <FILE>"),
        (&["verify", "--signature", "notes"], "--key <KEYID>|--public-key <FILE>"),
        (&["rsa-encrypt"], "--key <KEYID>|--public-key <FILE>"),
        (&["certificate", "request", "-k", key, "--subject", "CN="], "CN has 1 to 64 characters, and here 0"),
        (&["certificate", "request", "-k", key, "--subject", LONG_NAME], "CN has 1 to 64 characters, and here 65"),
        (&["certificate", "request", "-k", key, "--subject", "CN=a,C=DEU"], "C is the two letters of a country"),
        (&["certificate", "request", "-k", key, "--subject", "me"], "RFC 4514"),
        (&["certificate", "request", "-k", key, "--subject", "CN=a", "--dns", "a b"], "a DNS name has the form"),
        (&["certificate", "request", "-k", key, "--subject", "CN=a", "--ip", "1.2.3"], "an IP address has the form"),
        (&["certificate", "self-signed", "-k", key, "--subject", "CN=a", "--days", "0"], "a number from 1 to 36500"),
        (&["keys", "list", "--state", "Asleep"], "possible values: Enabled"),
        (&["keys", "rotate", key, "--every", "6"], "a number from 7 to 365"),
        (&["keys", "schedule-deletion", key, "--days", "31"], "a number from 7 to 30"),
        (&["keys", "import", "-k", key], "16 or 32 are allowed"),
        (&["keys", "create", "a", "--tag", "x"], "NAME=VALUE"),
        (&["keys", "create", "a", "--tag", "x=1", "--tag", "x=2"], "the tag \"x\" is given twice"),
        (&["keys", "create", ""], "an alias has 1 to 60 letters"),
        (&["keys", "create", "a b"], "an alias has 1 to 60 letters"),
        (&["keys", "create", "kms-a"], "an alias has 1 to 60 letters"),
        (
            &["keys", "create", "a", "--description", LONG],
            "a description has at most 1024 bytes, and this one has 1025",
        ),
        (&["data-key", "-k", key, "--plaintext-file", "one", "-o", "one"], "have the same output"),
        (&["data-key", "-k", key, "--plaintext-file", "-"], "have the same output"),
        (&["seal", "-k", key, ""], "\"\": No such file or directory"),
        (&["reseal", "-k", key, "--to", key, "/dev/null"], "neither a regular file nor a folder"),
        (&["branch", "new", "-k", key, "-f", "no/folder", "orders"], "no/folder: No such file or directory"),
        (&["call", "Describe Key"], "action"),
        (&["call", "DescribeKey", "{"], "not JSON"),
        (&["call", "DescribeKey", "[]"], "object"),
        (&["reseal", "-k", key, "--to", key, "absent"], "absent: No such file or directory"),
        (&["reseal", "-k", key, "."], "--to"),
        (&["branch", "new", "-k", key, "-f", "b", "a b"], "letters, digits"),
        (&["branch", "list", "-f", "notes"], "notes"),
        (&["seal", "-e", "a:b:notes", "--branch", "orders"], "a branch key needs a CMK"),
        (&["seal", "-k", key, "--branch-file", "notes"], "name the branch"),
        (&["seal", "-k", key, "--branch", "a/b"], "letters, digits"),
        (&["seal", "-k", key, "--branch", "orders", "--by-reference"], "--branch-file <FILE>"),
        (&["seal", "-k", key, "--branch", "orders", "--branch-file", "notes"], "notes"),
        (&["open", "-k", key, "--branch-file", "absent"], "absent"),
        (&["open", "-e", "a:b:notes", "--branch-file", "notes"], "a branch key needs a CMK"),
        (&["reseal", "-k", key, "--branch-to", "orders", "notes"], "--to <KEYID>"),
        (&["exec", "-k", key, "--", "true"], "no secret is given"),
        (
            &["exec", "-k", key, "--env", "1A=x", "--", "true"],
            "NAME has letters, digits and _ and begins with no digit",
        ),
        (&["credentials", "-k", key, "--allow-uid", "root"], "a number from 0 to 4294967294"),
        (&["exec", "-k", key, "--fd", "2=x", "--", "true"], "N is 3 to 255"),
        (&["exec", "-k", key, "--env", "A=notes", "--", "true"], "neither a sealed message nor a CiphertextBlob"),
        (&["exec", "-k", key, "--env", "A=env:NOT_SET", "--", "true"], "it is not set"),
        (&["credentials", "-k", key], "systemd passed no socket"),
        (&["pkcs11", "sync", "--config", "notes"], "notes:1: "),
        (&["completions", "cmd"], "possible values: bash"),
    ];
    for (arguments, expected) in cases {
        for (json, output) in [("", None), ("", Some("out"))] {
            let takes_output = output.filter(|_| arguments.contains(&"encrypt") && !arguments.contains(&"-o"));
            let more: &[&str] = if takes_output.is_some() { &["-o", "out"] } else { &[] };
            let refused = cli.run(&[arguments, more].concat(), b"x,y");
            let error_text = error_text(&refused);
            assert_eq!(refused.status.code(), Some(2), "{arguments:?}{json}: {error_text}");
            assert!(error_text.starts_with("tckms: ") && error_text.contains(expected), "{arguments:?}: {error_text}");
            assert!(refused.stdout.is_empty(), "{arguments:?}");
            assert_eq!(cli.names(), ["notes"], "{arguments:?}");
        }
    }
}

#[test]
fn the_message_names_the_maximum_of_an_input() {
    let cli = Cli::new();
    for size in [4097, 4098, 4099, 1_000_000] {
        let refused = cli.run(&["encrypt", "-k", cli.key()], &vec![b'x'; size]);
        let error_text = error_text(&refused);
        assert_eq!(refused.status.code(), Some(2), "{size}: {error_text}");
        assert!(error_text.contains("standard input: it has more than 4096 bytes"), "{size}: {error_text}");
    }
}

#[test]
fn a_signer_id_is_for_sm2_only() {
    let cli = Cli::new();
    let key = cli.new_key(ECC);
    cli.bytes(&["sign", "-k", &key, "-o", "signature"], b"x");
    for arguments in [&["sign", "-k", &key][..], &["verify", "-k", &key, "--signature", "signature"]] {
        let refused = cli.run(&[arguments, &["--sm2-user-id", "me"]].concat(), b"x");
        let error_text = error_text(&refused);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {error_text}");
        assert!(error_text.contains("--sm2-user-id is for SM2 keys, and this key is P-256"), "{error_text}");
        assert!(refused.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn failures_are_json_with_the_option() {
    let cli = Cli::new();
    let refused = cli.run(&["--json", "keys", "describe", "00000000-0000-0000-0000-000000000000"], b"");
    let failure: serde_json::Value = serde_json::from_slice(&refused.stderr).unwrap();
    assert_eq!((failure["exit_status"].as_i64(), refused.status.code()), (Some(5), Some(5)));
    assert_eq!(failure["action"], "DescribeKey");
    assert!(
        failure["service_code"].as_str().unwrap().contains("Cmk") && failure["request_id"].is_string(),
        "{failure}"
    );
}

/// Even if the command line is invalid, so that clap parses no option.
#[test]
fn an_invalid_command_line_is_json_with_the_option() {
    let cli = Cli::new();
    for arguments in [
        &["--json", "nonsense\u{1b}[m"][..],
        &["encrypt", "--json"],
        &["random", "--json", "0"],
        &["keys", "--json"],
        &["--json"],
        &["seal", "--json"],
        &["seal", "--json", "-k", cli.key(), "--colour"],
    ] {
        let refused = cli.run(arguments, b"");
        let failure: serde_json::Value = serde_json::from_slice(&refused.stderr)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", error_text(&refused)));
        assert_eq!((failure["exit_status"].as_i64(), refused.status.code()), (Some(2), Some(2)), "{arguments:?}");
        let error = failure["error"].as_str().unwrap();
        assert!(
            error.len() > 10 && !error.starts_with("error") && !error_text(&refused).contains('\u{1b}'),
            "{error:?}"
        );
        assert!(refused.stdout.is_empty(), "{arguments:?}");
    }
    // An argument after -- is not an option.
    let refused = cli.run(&["exec", "--", "--json"], b"");
    assert!(error_text(&refused).starts_with("tckms: "), "{}", error_text(&refused));
}

#[test]
fn unlimited_input_is_refused() {
    let cli = Cli::new();
    for arguments in [
        &["encrypt", "-k", cli.key()][..],
        &["decrypt"],
        &["call", "Encrypt", "-"],
        &["rsa-decrypt", "-k", cli.key()],
        &["keys", "import", "-k", cli.key()],
    ] {
        let mut command = cli.command(arguments);
        let endless = File::open("/dev/zero").unwrap();
        let output = command.stdin(endless).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_failed_write_of_the_result_is_a_failure() {
    let cli = Cli::new();
    let key = cli.key().to_owned();
    for arguments in [
        &["encrypt", "-k", &key][..],
        &["random"],
        &["keys", "list"],
        &["call", "GetRegions"],
        &["completions", "bash"],
        &["doctor"],
        &["--help"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut child =
            cli.command(arguments).stdin(Stdio::piped()).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"x").ok();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", error_text(&output));
        assert!(error_text(&output).contains("No space left on device"), "{arguments:?}: {}", error_text(&output));
    }
}

/// The program that passes a descriptor may have set that it does not block.
#[test]
fn descriptors_that_do_not_block_are_waited_for() {
    let cli = Cli::new();
    let not_blocking = |end: &dyn AsRawFd| {
        // SAFETY: fcntl() sets a flag of a descriptor of this test.
        assert_eq!(unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }, 0);
    };
    let (mut reader, writer) = std::io::pipe().unwrap();
    not_blocking(&writer);
    let mut child = cli.command(&["completions", "zsh"]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    // More than a pipe holds, so the tool has to wait.
    std::thread::sleep(Duration::from_millis(300));
    let mut script = Vec::new();
    reader.read_to_end(&mut script).unwrap();
    assert!(child.wait().unwrap().success() && script.len() > 70_000, "{}", script.len());
    let key = cli.new_key(ECC);
    for arguments in [&["encrypt", "-k", cli.key()][..], &["seal", "-k", cli.key()], &["sign", "-k", &key]] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        not_blocking(&reader);
        let child = cli.command(arguments).stdin(reader).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        writer.write_all(b"late").unwrap();
        drop(writer);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{arguments:?}: {}", error_text(&output));
    }
}

/// The default behaviour of programs that write to a pipe without a reader.
#[test]
fn a_pipe_without_a_reader_ends_the_tool_with_sigpipe() {
    let cli = Cli::new();
    for arguments in [&["completions", "zsh"][..], &["keys", "list"]] {
        let mut child = cli.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGPIPE), "{arguments:?}: {}", error_text(&output));
        assert_eq!(error_text(&output), "");
    }
}

#[test]
fn terminal_control_characters_are_escaped() {
    let cli = Cli::new();
    let hostile = "\u{1b}[2J\u{9b}31m\u{202e}\u{200b}";
    let outputs = [
        cli.run(&["encrypt", "-k", cli.key(), hostile], b""),
        cli.run(&["encrypt", "-k", hostile], b"x"),
        cli.run(&[hostile], b""),
        cli.run(&["random", hostile], b""),
        cli.run(&["seal", "-k", cli.key(), "-c", hostile], b""),
        cli.run(&["call", hostile], b""),
        cli.run(&["call", "DescribeKey", &format!("{{\"KeyId\":\"{hostile}\"}}")], b""),
        cli.run(&["keys", "list", "--search", hostile], b""),
        cli.run(&["exec", "-k", cli.key(), "--env", &format!("A={hostile}"), "--", hostile], b""),
        cli.run(&["--json", "encrypt", "-k", cli.key(), hostile], b""),
    ];
    for output in outputs {
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!printed.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{200b}']), "{printed:?}");
    }
}

/// Without network. One of many starts has to be in time, since other processes of the machine can only make it slower.
#[test]
fn it_starts_within_ten_milliseconds() {
    let cli = Cli::new();
    cli.bytes(&["seal", "-k", cli.key(), "-o", "sealed"], b"x");
    cli.bytes(&["branch", "new", "-k", cli.key(), "-f", "branches", "orders"], b"");
    for arguments in [&["--version"][..], &["--help"], &["info", "sealed"], &["branch", "list", "-f", "branches"]] {
        let starts_in_time = |_| {
            let started = std::time::Instant::now();
            assert!(cli.command(arguments).stdout(Stdio::null()).status().unwrap().success());
            started.elapsed() < std::time::Duration::from_millis(10)
        };
        assert!((0..300).any(starts_in_time), "{arguments:?} never started within 10 ms");
    }
}
