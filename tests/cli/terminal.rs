//! The tool at a terminal: prompts without echo, colours, progress bars.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::tool::Cli;

/// Runs a command with a new pseudo-terminal as its controlling terminal, input and output. Answers each of its questions with one of
/// the typed texts. Returns its output and whether it succeeded.
fn at_terminal(mut command: Command, typed: &[&str]) -> (String, bool) {
    let (mut ours, mut theirs) = (-1, -1);
    // SAFETY: openpty() fills two local numbers; the descriptors have no other owner.
    let (mut terminal, side) = unsafe {
        assert_eq!(libc::openpty(&mut ours, &mut theirs, ptr::null_mut(), ptr::null(), ptr::null()), 0);
        (File::from_raw_fd(ours), File::from_raw_fd(theirs))
    };
    let copy = || Stdio::from(side.try_clone().unwrap());
    command.stdin(copy()).stdout(copy()).stderr(copy()).env("TERM", "xterm");
    // SAFETY: both calls are allowed between fork and exec.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let mut child = command.spawn().unwrap();
    drop((command, side));
    let shown = Arc::new(Mutex::new(Vec::new()));
    let reader = {
        let (mut terminal, shown) = (terminal.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            // Linux returns EIO when the other end is closed.
            while let Ok(len @ 1..) = terminal.read(&mut part) {
                shown.lock().unwrap().extend_from_slice(&part[..len]);
            }
        })
    };
    let text = || String::from_utf8_lossy(&shown.lock().unwrap()).into_owned();
    let mut answered = 0;
    for line in typed {
        // What is typed before the echo is off is discarded, so that it is not shown.
        wait_for(10_000, || text().get(answered..).is_some_and(|new| new.ends_with(' ')));
        wait_for(300, || !echoes(&terminal));
        answered = text().len();
        terminal.write_all(line.as_bytes()).unwrap();
    }
    let ended = wait_for(60_000, || child.try_wait().unwrap().is_some());
    if !ended {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    reader.join().unwrap();
    assert!(ended, "the command still waits: {:?}", text());
    (text(), status.success())
}

/// Waits at most so many milliseconds until something is true, and returns whether it is.
fn wait_for(milliseconds: u64, mut is_true: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !is_true() {
        if begun.elapsed() > Duration::from_millis(milliseconds) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Whether the terminal shows what is typed.
fn echoes(terminal: &File) -> bool {
    // SAFETY: tcgetattr() fills a local structure, for which zeros are valid.
    unsafe {
        let mut mode: libc::termios = std::mem::zeroed();
        assert_eq!(libc::tcgetattr(terminal.as_raw_fd(), &raw mut mode), 0);
        mode.c_lflag & libc::ECHO != 0
    }
}

#[test]
fn a_typed_secret_is_not_echoed() {
    let cli = Cli::new();
    let encrypt = cli.command(&["encrypt", "-k", cli.key(), "-o", "blob"]);
    let (shown, done) = at_terminal(encrypt, &["hunter2\n", "hunter2\n"]);
    assert!(done && shown.contains("not shown") && !shown.contains("hunter2"), "{shown:?}");
    assert_eq!(cli.bytes(&["decrypt", "blob"], b""), b"hunter2");
    let (shown, done) =
        at_terminal(cli.command(&["encrypt", "-k", cli.key(), "-o", "no"]), &["hunter2\n", "hunter3\n"]);
    assert!(!done && shown.contains("differ") && !shown.contains("hunter"), "{shown:?}");
    let (shown, done) = at_terminal(cli.command(&["encrypt", "-k", cli.key(), "-o", "no"]), &["\u{3}"]);
    assert!(!done && cli.names() == ["blob"], "{shown:?}");
}

/// A terminal drops what is typed beyond 4095 bytes of a line.
#[test]
fn a_typed_secret_that_may_be_truncated_is_refused() {
    let cli = Cli::new();
    let typed = "x".repeat(5000) + "\n";
    let (shown, done) = at_terminal(cli.command(&["encrypt", "-k", cli.key(), "-o", "blob"]), &[&typed]);
    assert!(!done && shown.contains("more than 4094 bytes") && cli.names().is_empty(), "{shown:?}");
}

#[test]
fn only_terminals_get_colours() {
    let cli = Cli::new();
    for arguments in [&["keys", "list"][..], &["doctor"], &["--help"]] {
        let (shown, done) = at_terminal(cli.command(arguments), &[]);
        assert!(done && shown.contains("\u{1b}["), "{arguments:?}: {shown:?}");
        let mut plain = cli.command(arguments);
        plain.env("NO_COLOR", "1");
        assert!(!at_terminal(plain, &[]).0.contains('\u{1b}'), "{arguments:?}");
        assert!(!cli.text(arguments, b"").contains('\u{1b}'), "{arguments:?}");
    }
}

#[test]
fn binary_data_is_not_written_to_a_terminal() {
    let cli = Cli::new();
    let blob = cli.text(&["encrypt", "-k", cli.key()], b"\x1b[2Jhostile");
    std::fs::write(cli.file("blob"), blob).unwrap();
    let (shown, done) = at_terminal(cli.command(&["decrypt", "blob"]), &[]);
    assert!(!done && shown.contains("not written to a terminal") && !shown.contains("hostile"), "{shown:?}");
    let (shown, done) = at_terminal(cli.command(&["random", "--format", "raw"]), &[]);
    assert!(!done && shown.contains("not written to a terminal"), "{shown:?}");
}

#[test]
fn opened_text_is_shown_at_a_terminal_and_binary_data_is_not() {
    let cli = Cli::new();
    // Characters of three bytes, so that some are in two chunks.
    let text = "密码".repeat(50_000);
    cli.bytes(&["seal", "-k", cli.key(), "-o", "text"], text.as_bytes());
    let (shown, done) = at_terminal(cli.command(&["open", "-k", cli.key(), "text"]), &[]);
    assert!(done && shown == text, "{} of {} bytes", shown.len(), text.len());
    let late = [&b"x".repeat(3_000_000)[..], b"\x1b[2Jhostile"].concat();
    for binary in [&b"\x1b[2Jhostile"[..], b"\xff\x00hostile", &late] {
        cli.bytes(&["seal", "-k", cli.key(), "-o", "binary"], binary);
        let (shown, done) = at_terminal(cli.command(&["open", "-k", cli.key(), "binary"]), &[]);
        assert!(!done && shown.contains("not written to a terminal; use -o FILE"), "{shown:.200}");
        assert!(!shown.contains("hostile") && !shown.contains('\u{1b}'), "{shown:.200}");
        assert_eq!(cli.bytes(&["open", "-k", cli.key(), "binary"], b""), binary);
    }
}

#[test]
fn a_deletion_needs_a_confirmation() {
    let cli = Cli::new();
    let key = cli.other().to_owned();
    cli.bytes(&["keys", "disable", &key], b"");
    let (shown, done) = at_terminal(cli.command(&["keys", "schedule-deletion", &key]), &["yes\n"]);
    assert!(!done && shown.contains("nothing was changed"), "{shown:?}");
    let (shown, done) = at_terminal(cli.command(&["keys", "schedule-deletion", &key]), &[&format!("{key}\n")]);
    assert!(done && shown.contains("will be deleted on"), "{shown:?}");
}
