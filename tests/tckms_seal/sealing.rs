//! Messages, pipes, signals and terminals.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::ptr;

use crate::PROGRAM;
use crate::harness::{Program, Tool, WRONG_INPUT, key_pair, text, wait_until};
use support::{Proxy, output_of};

#[test]
fn pipes_and_files_are_sealed_and_opened() {
    let tool = Tool::new();
    let plaintext: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let sealed = tool.run(&["-k", tool.key(), "-c", "table=用户\"\\", "-c", "tenant=7"], &plaintext);
    assert!(sealed.status.success() && sealed.stderr.is_empty(), "{}", String::from_utf8_lossy(&sealed.stderr));
    let opened = tool.run(&["-d", "-k", tool.key(), "-c", "tenant=7"], &sealed.stdout);
    assert!(opened.status.success() && opened.stdout == plaintext);
    fs::write(tool.file("plain"), &plaintext).unwrap();
    assert_eq!(tool.code(&["-s", "-t", "3", "-k", tool.key(), "-o", "sealed", "plain"], b""), 0);
    assert_eq!(tool.code(&["-d", "-s", "-k", tool.key(), "-o", "again", "sealed"], b""), 0);
    assert!(fs::read(tool.file("again")).unwrap() == plaintext);
    assert_eq!(fs::metadata(tool.file("again")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(tool.names(), ["again", "plain", "sealed"]);
}

/// The highest memory of a running program. What `wait4` returns includes the memory of the test, of which the program is a child.
fn peak_memory(child: &std::process::Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[test]
fn eight_gibibytes_are_sealed_in_bounded_memory() {
    const PART: usize = 1 << 20;
    const PARTS: usize = 8 << 10;
    let tool = Tool::new();
    let start = |arguments: &[&str], input: Stdio| {
        let mut command = Command::new(Tool::path());
        command.args(arguments).env_clear().envs(tool.emulator.environment());
        command.stdin(input).stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut sealing = start(&["-k", tool.key()], Stdio::piped());
    let mut opening = start(&["-d", "-k", tool.key()], sealing.stdout.take().unwrap().into());
    let (mut feed, mut drain) = (sealing.stdin.take().unwrap(), opening.stdout.take().unwrap());
    std::thread::spawn(move || {
        let part = vec![7; PART];
        (0..PARTS).for_each(|_| feed.write_all(&part).unwrap());
    });
    let (mut seen, mut room, mut peaks) = (0, vec![0; PART], [0; 2]);
    loop {
        match std::io::Read::read(&mut drain, &mut room).unwrap() {
            0 => break,
            len => {
                assert!(room[..len].iter().all(|byte| *byte == 7));
                if (seen / PART).is_multiple_of(16) {
                    let current = [&sealing, &opening].map(peak_memory);
                    peaks = [0, 1].map(|place| peaks[place].max(current[place].unwrap_or(0)));
                }
                seen += len;
            }
        }
    }
    assert_eq!(seen, PART * PARTS);
    assert!(sealing.wait().unwrap().success() && opening.wait().unwrap().success());
    for peak in peaks {
        assert!(peak > 1 << 20 && peak < 64 << 20, "{peak} bytes");
    }
}

#[test]
fn exit_statuses_distinguish_failures() {
    let tool = Tool::new();
    let sealed = tool.run(&["-k", tool.key(), "-c", "a=1"], b"hello").stdout;
    for arguments in [
        &[][..],
        &["-k"],
        &["-x"],
        &["-k", "a", "x", "y"],
        &["-k", "a", "-c", "a"],
        &["-e", "a:b"],
        &["-k", "a b"],
        &["-k", "a", "--branch", "a b"],
        &["-k", "a", "--branch", ""],
        &["-k", "a", "--branch", "b", "--by-reference"],
        &["-k", "a", "--branch", "b", "--branch", "c"],
        &["-k", "a"].repeat(9),
    ] {
        assert_eq!(tool.code(arguments, b""), 2, "{arguments:?}");
    }
    for threads in ["0", "257", "-1", "2x", "", "99999999999999999999"] {
        let refused = tool.run(&["-k", "a", "-t", threads], b"");
        assert_eq!(refused.status.code(), Some(2), "-t {threads}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("a number from 1 to 256"), "-t {threads}");
    }
    assert_eq!(tool.code(&["-k", tool.key(), "absent"], b""), WRONG_INPUT);
    assert_eq!(tool.code(&["-k", tool.key(), "-o", "no/folder"], b"x"), WRONG_INPUT);
    assert_eq!(tool.code(&["--info", "."], b""), WRONG_INPUT);
    assert_eq!(tool.code(&["-d", "-e", "a:b:absent.pem"], b""), WRONG_INPUT);
    let open = ["-d", "-k", tool.key(), "-o", "out"];
    assert_eq!(tool.code(&open, &sealed[..sealed.len() - 1]), 3);
    assert_eq!(tool.code(&open, b"nonsense"), 3);
    assert_eq!(tool.code(&["-d", "-k", tool.key(), "-c", "a=2"], &sealed), 3);
    assert_eq!(tool.code(&["-d", "-k", tool.emulator.key_id("other")], &sealed), 3);
    assert_eq!(tool.code(&["-k", "00000000-0000-0000-0000-000000000000"], b"x"), 5);
    assert!(tool.names().is_empty(), "a failure leaves no file: {:?}", tool.names());
}

#[test]
fn a_failure_leaves_the_old_file_unchanged() {
    let tool = Tool::new();
    fs::write(tool.file("out"), "before").unwrap();
    assert_eq!(tool.code(&["-d", "-k", tool.key(), "-o", "out"], b"nonsense"), 3);
    assert_eq!(fs::read(tool.file("out")).unwrap(), b"before");
    assert_eq!(tool.names(), ["out"]);
}

#[test]
fn the_target_of_a_link_is_replaced_and_the_link_stays() {
    let tool = Tool::new();
    fs::write(tool.file("target"), "before").unwrap();
    symlink("target", tool.file("link")).unwrap();
    assert_eq!(tool.code(&["-k", tool.key(), "-o", "link"], b"hello"), 0);
    assert!(fs::symlink_metadata(tool.file("link")).unwrap().is_symlink());
    assert_eq!(tool.run(&["-d", "-k", tool.key(), "target"], b"").stdout, b"hello");
}

#[test]
fn a_failed_write_is_a_failure() {
    let tool = Tool::new();
    let sealed = tool.run(&["-k", tool.key()], b"hello").stdout;
    fs::write(tool.file("sealed"), sealed).unwrap();
    let mut command = Command::new(Tool::path());
    command.args(["--info", "sealed"]).env_clear().current_dir(tool.scratch.path());
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(command.stdout(full).status().unwrap().code(), Some(1));
}

#[test]
fn an_interrupted_run_leaves_no_file() {
    let tool = Tool::new();
    fs::write(tool.file("out"), "before").unwrap();
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let mut command = Command::new(Tool::path());
        command.args(["-k", tool.key(), "-o", "out"]).env_clear().envs(tool.emulator.environment());
        command.current_dir(tool.scratch.path()).stdin(Stdio::piped()).stderr(Stdio::piped());
        // A signal that the caller of the tests ignores, as for a background job of a shell, would stay ignored.
        // SAFETY: signal() is allowed between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::signal(signal, libc::SIG_DFL);
                Ok(())
            });
        }
        let mut child = command.spawn().unwrap();
        // The input does not end, so the tool is still working when its temporary file exists.
        let stdin = child.stdin.take().unwrap();
        wait_until(|| tool.names().len() == 2);
        // SAFETY: a child that was not waited for.
        assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(signal));
        let name = ["SIGINT", "SIGTERM", "SIGHUP"]
            [[libc::SIGINT, libc::SIGTERM].iter().position(|s| *s == signal).unwrap_or(2)];
        assert_eq!(text(&output.stderr), format!("tckms-seal: out: interrupted by {name}\n"));
        drop(stdin);
        assert_eq!(tool.names(), ["out"], "signal {signal}");
        assert_eq!(fs::read(tool.file("out")).unwrap(), b"before");
    }
}

/// Long before the timeouts, with a service that accepts connections and never replies.
#[test]
fn an_interrupt_ends_a_run_that_waits_for_the_service() {
    let tool = Tool::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut command = Command::new(Tool::path());
    command.args(["-k", tool.key(), "-o", "out"]).env_clear().envs(tool.emulator.environment());
    command.env("TCKMS_ENDPOINT", endpoint).current_dir(tool.scratch.path()).stdin(Stdio::null());
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let (mut request, _) = silent.accept().unwrap();
    assert_eq!(request.read(&mut [0; 1]).unwrap(), 1);
    let interrupted = std::time::Instant::now();
    // SAFETY: a child that was not waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGTERM) }, 0);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGTERM));
    assert_eq!(text(&output.stderr), "tckms-seal: out: interrupted by SIGTERM\n");
    assert!(interrupted.elapsed() < std::time::Duration::from_secs(3), "{:?}", interrupted.elapsed());
    assert!(tool.names().is_empty(), "{:?}", tool.names());
}

#[test]
fn a_named_pipe_is_written_to_and_stays() {
    let tool = Tool::new();
    output_of(support::tool("mkfifo").arg(tool.file("pipe")));
    let reader = {
        let pipe = tool.file("pipe");
        std::thread::spawn(move || fs::read(pipe).unwrap())
    };
    assert_eq!(tool.code(&["-k", tool.key(), "-o", "pipe"], b"hello"), 0);
    let opened = tool.run(&["-d", "-k", tool.key()], &reader.join().unwrap());
    assert_eq!(opened.stdout, b"hello");
    assert!(fs::metadata(tool.file("pipe")).unwrap().file_type().is_fifo());
}

#[test]
fn a_terminal_shows_the_progress() {
    let tool = Tool::new();
    fs::write(tool.file("plain"), vec![7; 3_000_000]).unwrap();
    let seen = |more: &[&str]| {
        let (mut terminal, theirs) = terminal();
        let mut command = Command::new(Tool::path());
        command.args(more).args(["-k", tool.key(), "-o", "sealed", "plain"]).env_clear();
        command.envs(tool.emulator.environment()).current_dir(tool.scratch.path()).stderr(theirs);
        assert!(command.status().unwrap().success());
        drop(command);
        let mut seen = Vec::new();
        // Linux returns EIO when the other end is closed.
        let _ = terminal.read_to_end(&mut seen);
        String::from_utf8(seen).unwrap()
    };
    let bar = seen(&[]);
    assert!(bar.contains(&format!("\r[{}] 100% 3.0 MB", "#".repeat(30))), "{bar:?}");
    assert_eq!(seen(&["-q"]), "");
}

/// A progress bar would overwrite the line that it follows.
#[test]
fn data_on_a_terminal_is_not_overwritten_by_the_progress() {
    let tool = Tool::new();
    assert_eq!(tool.code(&["-k", tool.key(), "-o", "sealed"], b"hello"), 0);
    let (mut terminal, theirs) = terminal();
    let mut command = Command::new(Tool::path());
    command.args(["-d", "-k", tool.key(), "sealed"]).env_clear().envs(tool.emulator.environment());
    command.current_dir(tool.scratch.path()).stdout(theirs.try_clone().unwrap()).stderr(theirs);
    assert!(command.status().unwrap().success());
    drop(command);
    let mut seen = Vec::new();
    // Linux returns EIO when the other end is closed.
    let _ = terminal.read_to_end(&mut seen);
    assert_eq!(String::from_utf8(seen).unwrap(), "hello");
}

/// Both ends of a new pseudo-terminal.
fn terminal() -> (File, File) {
    let (mut ours, mut theirs) = (-1, -1);
    // SAFETY: openpty() fills two local numbers; the descriptors have no other owner.
    unsafe {
        let opened = libc::openpty(&mut ours, &mut theirs, ptr::null_mut(), ptr::null(), ptr::null());
        assert_eq!(opened, 0);
        (File::from_raw_fd(ours), File::from_raw_fd(theirs))
    }
}

#[test]
fn an_outage_differs_from_a_refusal() {
    let tool = Tool::new();
    let mut command = Command::new(Tool::path());
    command.args(["-k", tool.key()]).env_clear().envs(tool.emulator.environment());
    // No server listens on the port of "discard".
    command.env("TCKMS_ENDPOINT", "http://127.0.0.1:9").stdin(Stdio::null());
    assert_eq!(command.output().unwrap().status.code(), Some(4));
}

#[test]
fn an_escrow_key_opens_without_the_service() {
    let tool = Tool::new();
    key_pair(&tool.scratch);
    let sealed = tool.run(&["-k", tool.key(), "-e", "escrow:2026:public.pem"], b"hello").stdout;
    let opened = tool.run(&["-d", "-e", "escrow:2026:private.pem"], &sealed);
    assert_eq!(opened.stdout, b"hello");
    let info: serde_json::Value = serde_json::from_slice(&tool.run(&["--info"], &sealed).stdout).unwrap();
    assert_eq!(info["authenticated"], false);
    assert_eq!(info["wrapped_keys"].as_array().unwrap().len(), 2);
}

#[test]
fn options_may_follow_the_file_and_values_may_be_attached() {
    let tool = Tool::new();
    fs::write(tool.file("plain"), "hello").unwrap();
    fs::write(tool.file("-s"), "hello").unwrap();
    let key = format!("-k{}", tool.key());
    assert_eq!(tool.code(&["plain", &key, "-osealed", "-qt2", "-ca=--info"], b""), 0);
    assert_eq!(tool.run(&["-dqk", tool.key(), "-c", "a=--info", "--", "sealed"], b"").stdout, b"hello");
    assert_eq!(tool.code(&["-k", tool.key(), "-o", "--info", "--", "-s"], b""), 0);
    assert!(tool.names().contains(&"--info".to_owned()));
}

/// The file gets its name only after the signature is verified, so nothing is released early.
#[test]
fn a_signed_message_is_opened_into_a_file_without_an_option() {
    let tool = Tool::new();
    let sealed = tool.run(&["-s", "-k", tool.key()], b"hello").stdout;
    assert_eq!(tool.code(&["-d", "-k", tool.key(), "-o", "out"], &sealed), 0);
    assert_eq!(fs::read(tool.file("out")).unwrap(), b"hello");
    let refused = tool.run(&["-d", "-k", tool.key()], &sealed);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(3), 0));
    let said = text(&refused.stderr);
    assert!(said.contains("use -o FILE") && said.contains("or -s"), "{said}");
    assert_eq!(tool.run(&["-d", "-s", "-k", tool.key()], &sealed).stdout, b"hello");
    // With an invalid signature, the file is unchanged.
    let mut broken = sealed.clone();
    *broken.last_mut().unwrap() ^= 1;
    assert_eq!(tool.code(&["-d", "-k", tool.key(), "-o", "out"], &broken), 3);
    assert_eq!(fs::read(tool.file("out")).unwrap(), b"hello");
    assert_eq!(tool.names(), ["out"]);
}

/// The writer may send the header in parts and keep the pipe open.
#[test]
fn info_is_printed_when_the_header_is_complete() {
    let tool = Tool::new();
    let sealed = tool.run(&["-k", tool.key(), "-c", "a=1"], &vec![7; 100_000]).stdout;
    let whole: serde_json::Value = serde_json::from_slice(&tool.run(&["--info"], &sealed).stdout).unwrap();
    let header_len = whole["header_len"].as_u64().unwrap() as usize;
    for pieces in [vec![header_len], vec![1, 100, header_len - 101], vec![header_len + 1000], vec![60_000]] {
        let mut command = Command::new(Tool::path());
        command.arg("--info").env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut at = 0;
        for len in pieces {
            stdin.write_all(&sealed[at..at + len]).unwrap();
            at += len;
            std::thread::sleep(std::time::Duration::from_millis(120));
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap(), whole);
        drop(stdin);
    }
    let cut = tool.run(&["--info"], &sealed[..header_len - 1]);
    assert_eq!(cut.status.code(), Some(3));
}

#[test]
fn terminal_control_characters_in_names_are_escaped() {
    let tool = Tool::new();
    let hostile = "\u{1b}[2J\u{7f}\u{9b}31m\u{202e}\u{2028}\u{2066}\u{feff}\u{200b}\n";
    let context = format!("{hostile}={hostile}");
    let sealed = tool.run(&["-k", tool.key(), "-c", &context], b"hello").stdout;
    let info = tool.run(&["--info"], &sealed).stdout;
    let value: serde_json::Value = serde_json::from_slice(&info).unwrap();
    assert_eq!(value["context"][hostile], hostile);
    let missing = tool.run(&["-d", "-k", tool.key(), hostile], b"");
    let unopened = tool.run(&["-d", "-k", tool.key(), "-c", "other=1"], &sealed);
    let key = tool.run(&["-k", hostile], b"");
    let folder = tool.run(&["-k", tool.key(), "-o", &format!("no{hostile}/x")], b"");
    let escrow = tool.run(&["-e", &format!("a:b:{hostile}")], b"");
    for said in [&info, &missing.stderr, &unopened.stderr, &key.stderr, &folder.stderr, &escrow.stderr] {
        let said = text(said);
        let line = said.trim_end_matches('\n');
        assert!(!line.is_empty());
        let unsafe_one =
            line.chars().find(|c| c.is_control() && *c != '\n' || hostile[5..].contains(*c) && !c.is_ascii());
        assert_eq!(unsafe_one, None, "{said:?}");
    }
    // Bytes that are not UTF-8: a terminal may interpret one as a C1 control character.
    use std::os::unix::ffi::OsStrExt;
    let mut command = Command::new(Tool::path());
    command.args(["--info"]).arg(std::ffi::OsStr::from_bytes(b"a\x9bb\xc3"));
    assert_eq!(text(&command.output().unwrap().stderr), "tckms-seal: a\\x9bb\\xc3: No such file or directory\n");
}

#[test]
fn a_proxy_comes_from_an_option_or_the_environment() {
    let tool = Tool::new();
    let proxy = Proxy::start();
    let url = proxy.url_for(Proxy::USER);
    let service = format!("CONNECT {} HTTP/1.1", tool.emulator.endpoint().strip_prefix("http://").unwrap());
    let with_password = [&["--proxy", &url][..], &[&format!("--proxy={url}")]]
        .map(|option| tool.run(&[option, &["-k", tool.key()]].concat(), b"hello"));
    let asked = match PROGRAM {
        Program::TckmsSeal => {
            assert!(with_password.iter().all(|output| output.status.success()));
            assert_eq!(proxy.requests(), [&service[..], &service]);
            2
        }
        // It takes no password from its command line, which other users can read.
        Program::Tckms => {
            for refused in with_password {
                let said = text(&refused.stderr);
                assert!(refused.status.code() == Some(2) && said.contains("TCKMS_PROXY"), "{said}");
                assert!(!said.contains("p%40"), "{said}");
            }
            0
        }
    };
    let mut command = Command::new(Tool::path());
    command.args(["-k", tool.key()]).env_clear().envs(tool.emulator.environment()).env("TCKMS_PROXY", &url);
    assert!(command.stdin(Stdio::null()).output().unwrap().status.success());
    assert_eq!(proxy.requests().len(), asked + 1);
    // The option takes precedence over the variable.
    command.args(["--proxy", "http://127.0.0.1:9"]);
    assert_eq!(command.output().unwrap().status.code(), Some(4));
    let wrong = tool.run(&["--proxy", "not a url", "-k", tool.key()], b"hello");
    assert_eq!(wrong.status.code(), Some(WRONG_INPUT), "{}", text(&wrong.stderr));
    let refused = tool.run(&["--proxy", &proxy.url_for("user:wrong"), "-k", tool.key()], b"hello");
    assert!(text(&refused.stderr).contains("proxy"), "{}", text(&refused.stderr));
    assert!(!text(&refused.stderr).contains("wrong"), "{}", text(&refused.stderr));
}

#[test]
fn a_branch_key_seals_and_opens() {
    let tool = Tool::new();
    let sealed = tool.run(&["-k", tool.key(), "--branch", "orders", "-c", "row=1"], b"hello");
    assert!(sealed.status.success(), "{}", String::from_utf8_lossy(&sealed.stderr));
    let sealed = sealed.stdout;
    let info: serde_json::Value = serde_json::from_slice(&tool.run(&["--info"], &sealed).stdout).unwrap();
    assert_eq!(info["wrapped_keys"][0]["branch"]["id"], "orders");
    assert_eq!(tool.run(&["-d", "-k", tool.key()], &sealed).stdout, b"hello");
    assert_eq!(tool.run(&["-d", "-k", tool.key(), "--branch=orders"], &sealed).stdout, b"hello");
    let refused = tool.run(&["-d", "-k", tool.key(), "--branch", "other"], &sealed);
    assert!(refused.status.code() == Some(3) && refused.stdout.is_empty(), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("branch orders"));
    let refused = tool.run(&["-d", "-k", tool.emulator.key_id("other"), "--branch", "orders"], &sealed);
    assert!(refused.status.code() == Some(3) && refused.stdout.is_empty(), "{refused:?}");
    fs::write(tool.file("junk.tbk"), "junk\n").unwrap();
    let unusable = tool.run(&["-k", tool.key(), "--branch", "orders", "--branch-file", "junk.tbk"], b"hello");
    assert!(!unusable.status.success() && unusable.stdout.is_empty());
    assert!(String::from_utf8_lossy(&unusable.stderr).contains("junk.tbk"));
    for usage in
        [&["--branch", "orders"][..], &["-k", tool.key(), "--branch-file", "x"], &["-k", tool.key(), "--by-reference"]]
    {
        assert_eq!(tool.code(usage, b""), 2, "{usage:?}");
    }
}

#[test]
fn a_message_by_reference_opens_only_with_the_records() {
    let tool = Tool::new();
    let made = Command::new(support::release("tckms"))
        .args(["branch", "new", "-k", tool.key(), "-f", "orders.tbk", "orders"])
        .env_clear()
        .envs(tool.emulator.environment())
        .current_dir(tool.scratch.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let version = String::from_utf8(made.stdout).unwrap().trim_end().rsplit(' ').next().unwrap().to_owned();
    let with_file = ["-k", tool.key(), "--branch", "orders", "--branch-file", "orders.tbk"];
    let sealed = tool.run(&with_file, b"hello").stdout;
    let by_reference = tool.run(&[&with_file[..], &["--by-reference"]].concat(), b"hello").stdout;
    for (message, embedded) in [(&sealed, true), (&by_reference, false)] {
        let info: serde_json::Value = serde_json::from_slice(&tool.run(&["--info"], message).stdout).unwrap();
        let branch = &info["wrapped_keys"][0]["branch"];
        assert_eq!(*branch, serde_json::json!({"id": "orders", "version": version, "embedded": embedded}));
        let opened = tool.run(&["-d", "-k", tool.key(), "--branch-file", "orders.tbk"], message);
        assert_eq!(opened.stdout, b"hello", "{}", text(&opened.stderr));
        let without = tool.run(&["-d", "-k", tool.key()], message);
        assert_eq!(without.status.success(), embedded, "{}", text(&without.stderr));
    }
}
