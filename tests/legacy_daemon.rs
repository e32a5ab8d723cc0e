//! The daemon of the examples, started as by init: it detaches, serves, reloads and ends.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::{CLANG, Compiler, Emulator, GCC, Library, Program, Scratch};

const CONTEXT: &str = r#"{"program":"legacy_daemon"}"#;
const SECRET: &str = "the database's password\nof two lines";

/// A compiled daemon with its folder and its emulator.
struct Site {
    emulator: Emulator,
    program: Program,
    folder: Scratch,
}

impl Site {
    fn new(compiler: Compiler) -> Self {
        let site = Self {
            emulator: Emulator::over_https(&["demo"]),
            program: compiler.build("examples-c/legacy_daemon.c", &Library::Shared),
            folder: Scratch::new(),
        };
        site.configure(&site.key(), CONTEXT);
        site
    }

    fn key(&self) -> String {
        self.value("TENCENTCLOUD_SECRET_KEY")
    }

    fn value(&self, name: &str) -> String {
        let mut variables = self.emulator.environment().into_iter();
        variables.find(|(other, _)| other == name).expect("the emulator printed it").1
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration. The socket is not in the folder, because the path of a socket has to be short.
    fn configure(&self, secret_key: &str, context: &str) {
        let text = format!(
            "# written by a test\nregion = ap-guangzhou\nkey_id = {}\ncontext = {context}\nsecret_id = {}\n\
             secret_key = {secret_key}\nendpoint = {}\nca_file = {}\nsocket = {}\npid_file = {}\n",
            self.emulator.key_id("demo"),
            self.value("TENCENTCLOUD_SECRET_ID"),
            self.value("TCKMS_ENDPOINT"),
            self.emulator.ca_file(),
            self.socket().display(),
            self.path("pid").display(),
        );
        self.folder.write("daemon.conf", &text);
    }

    fn socket(&self) -> PathBuf {
        let socket = self.path("socket");
        assert!(socket.as_os_str().len() < 108, "{} is too long for a socket", socket.display());
        socket
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program.path());
        command.env_clear().arg(self.path("daemon.conf")).stdin(Stdio::null());
        command
    }

    /// Starts the daemon, and returns its pid when the process reports that it is ready.
    fn start(&self) -> Daemon {
        let output = self.command().output().unwrap();
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
        let pid = fs::read_to_string(self.path("pid")).unwrap();
        Daemon { pid: pid.trim().parse().expect("the pid file holds a pid") }
    }

    /// A CiphertextBlob that the daemon can decrypt, from the quickstart.
    fn blob(&self) -> String {
        let quickstart = GCC.build("examples-c/quickstart.c", &Library::Shared);
        let run = quickstart.with(self.emulator.environment());
        let finished = run.arguments(&[self.emulator.key_id("demo"), SECRET, CONTEXT]).run();
        let line = finished.expect_success().lines().next().expect("it prints the ciphertext").to_owned();
        line.strip_prefix("ciphertext: ").expect("it prints the ciphertext").to_owned()
    }

    fn ask(&self, request: &str) -> String {
        let mut connection = UnixStream::connect(self.socket()).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        connection.read_to_string(&mut reply).unwrap();
        reply
    }

    /// Repeats a request until it gets the expected reply, because a reload takes time.
    fn eventually(&self, request: &str, expected: &str) {
        let started = Instant::now();
        loop {
            let reply = self.ask(request);
            if reply == expected {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{reply:?} and not {expected:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A running daemon. It is ended when dropped.
struct Daemon {
    pid: libc::pid_t,
}

impl Daemon {
    fn signal(&self, number: i32) {
        // SAFETY: the pid is from the daemon's own file, which it removes when it ends.
        assert_eq!(unsafe { libc::kill(self.pid, number) }, 0, "the daemon is gone");
    }

    fn is_alive(&self) -> bool {
        Path::new(&format!("/proc/{}/exe", self.pid)).exists()
            && fs::read_link(format!("/proc/{}/exe", self.pid)).is_ok()
    }

    fn wait_for_its_end(&self) {
        let started = Instant::now();
        while self.is_alive() {
            assert!(started.elapsed() < Duration::from_secs(20), "the daemon does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.is_alive() {
            // SAFETY: as above.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
        }
    }
}

fn expected() -> String {
    format!("OK {}\n{SECRET}", SECRET.len())
}

#[test]
fn it_detaches_serves_reloads_and_ends() {
    for compiler in [GCC, Compiler { standard: "c99", ..CLANG }] {
        let site = Site::new(compiler);
        let request = format!("{}\n", site.blob());
        let daemon = site.start();

        // A daemon: not a child of a process here, in a session that it does not lead, in the root
        // directory, with a private socket.
        let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid)).unwrap();
        // state, parent, process group, session, terminal
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        assert!(fields[3] != daemon.pid.to_string() && fields[4] == "0", "{stat}");
        assert_eq!(fs::read_link(format!("/proc/{}/cwd", daemon.pid)).unwrap(), Path::new("/"));
        assert_eq!(fs::metadata(site.socket()).unwrap().permissions().mode() & 0o777, 0o700);

        assert_eq!(site.ask(&request), expected());
        assert_eq!(site.ask("no-blob\n"), "ERR TCKMS_ERR_INVALID_CIPHERTEXT\n");
        assert_eq!(site.ask("\n"), "ERR TCKMS_ERR_MALFORMED_BLOB\n");

        // A client that sends nothing, and one that disconnects, do not affect the others.
        let silent = UnixStream::connect(site.socket()).unwrap();
        drop(UnixStream::connect(site.socket()).unwrap());
        assert_eq!(site.ask(&request), expected());
        drop(silent);

        // A new context.
        site.configure(&site.key(), "{}");
        daemon.signal(libc::SIGHUP);
        site.eventually(&request, "ERR TCKMS_ERR_INVALID_CIPHERTEXT\n");
        // A wrong key is accepted, since only the service can detect it.
        site.configure("wrong", CONTEXT);
        daemon.signal(libc::SIGHUP);
        site.eventually(&request, "ERR TCKMS_ERR_AUTH_SIGNATURE_FAILURE\n");
        // A malformed one is refused: the old configuration stays in use.
        site.configure("with blanks in it", "{}");
        daemon.signal(libc::SIGHUP);
        thread::sleep(Duration::from_millis(200));
        assert_eq!(site.ask(&request), "ERR TCKMS_ERR_AUTH_SIGNATURE_FAILURE\n");
        site.configure(&site.key(), CONTEXT);
        daemon.signal(libc::SIGHUP);
        site.eventually(&request, &expected());

        // A second daemon is refused.
        let second = site.command().output().unwrap();
        assert_eq!(second.status.code(), Some(1), "{second:?}");
        assert_eq!(site.ask(&request), expected());

        daemon.signal(libc::SIGTERM);
        daemon.wait_for_its_end();
        assert!(!site.socket().exists() && !site.path("pid").exists());
    }
}

/// The lines in the comment at the beginning of the source, with the values of this test.
#[test]
fn the_configuration_in_the_documentation_is_valid() {
    let site = Site::new(GCC);
    let source = fs::read_to_string(support::root().join("examples-c/legacy_daemon.c")).unwrap();
    let shown = source.split(" * A configuration:\n *\n").nth(1).unwrap().split("\n *\n").next().unwrap();
    let configured = fs::read_to_string(site.path("daemon.conf")).unwrap();
    let mut text = String::new();
    for line in shown.lines().map(|line| line.strip_prefix(" *     ").unwrap()) {
        let name = line.split(" = ").next().unwrap();
        let own = configured.lines().find(|own| own.starts_with(&format!("{name} = ")));
        text += if ["region", "context"].contains(&name) { line } else { own.unwrap_or(line) };
        text.push('\n');
    }
    assert_eq!(text.matches(" = ").count(), configured.matches(" = ").count(), "{text}");
    site.folder.write("daemon.conf", &text);
    let request = format!("{}\n", site.blob());
    let daemon = site.start();
    assert_eq!(site.ask(&request), expected());
    daemon.signal(libc::SIGTERM);
    daemon.wait_for_its_end();
}

#[test]
fn it_reports_on_the_terminal_why_it_does_not_start() {
    let site = Site::new(GCC);
    for (configuration, reason) in [
        ("region = ap-guangzhou\n", "key_id and absolute paths"),
        ("colour = blue\n", "daemon.conf:1: not a line"),
        ("region = Nowhere\nkey_id = k\nsocket = /x\npid_file = /y\n", "cannot create a client: "),
    ] {
        site.folder.write("daemon.conf", configuration);
        let output = site.command().output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && stderr.contains(reason), "{configuration:?}: {output:?}");
    }
}

/// In the foreground it also logs to the terminal, including the library's log.
#[test]
fn in_the_foreground_it_logs_to_the_terminal() {
    let site = Site::new(GCC);
    let request = format!("{}\n", site.blob());
    site.configure("wrong", CONTEXT);
    let mut command = Command::new(site.program.path());
    command.env_clear().arg("-f").arg(site.path("daemon.conf")).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let started = Instant::now();
    while UnixStream::connect(site.socket()).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "it does not listen");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(site.ask(&request), "ERR TCKMS_ERR_AUTH_SIGNATURE_FAILURE\n");
    // SAFETY: the child has not been waited for.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{output:?}");
    for part in ["serving ", "AuthFailure.SignatureFailure", "ended"] {
        assert!(log.contains(part), "no {part:?} in\n{log}");
    }
    assert!(!log.contains("wrong key") && !log.contains(SECRET), "{log}");
}
