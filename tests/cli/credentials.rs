//! Secrets for programs: `tckms exec`, and `tckms credentials` with the socket protocol of systemd.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::root;

use crate::tool::{Cli, error_text};

const SECRET: &str = "correct horse battery staple";

/// A folder with the secret in a sealed file, in a CiphertextBlob, and in a variable.
fn folder_with_secrets() -> Cli {
    let cli = Cli::new();
    cli.bytes(&["seal", "-k", cli.key(), "-o", "sealed"], SECRET.as_bytes());
    cli.bytes(&["encrypt", "-k", cli.key(), "-o", "blob"], SECRET.as_bytes());
    cli
}

#[test]
fn a_program_gets_secrets_in_its_environment_and_on_descriptors() {
    let cli = folder_with_secrets();
    let script = "test \"$A\" = \"$B\"; printf %s \"$A\"; cat <&7; cat \"$C\"; exit 7";
    let arguments = [
        "exec",
        "-k",
        cli.key(),
        "--env",
        "A=sealed",
        "--env",
        "B=env:ENCRYPTED",
        "--fd",
        "7=sealed",
        "--file",
        "C=blob",
        "--",
        "sh",
        "-ec",
        script,
    ];
    let blob = String::from_utf8(cli.read("blob")).unwrap();
    let output = crate::tool::run(cli.command(&arguments).env("ENCRYPTED", blob.trim_end()), b"");
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stdout.clone()).unwrap()),
        (Some(7), SECRET.repeat(3)),
        "{}",
        error_text(&output)
    );
    assert_eq!(cli.names(), ["blob", "sealed"]);
    for (program, code) in [("no-such-program", 127), ("/etc/passwd", 126)] {
        assert_eq!(
            cli.run(&["exec", "-k", cli.key(), "--env", "A=sealed", "--", program], b"").status.code(),
            Some(code)
        );
    }
    // The program does not run if a secret cannot be opened.
    let missing = cli.run(&["exec", "-k", cli.other(), "--env", "A=sealed", "--", "touch", "ran"], b"");
    assert_eq!((missing.status.code(), cli.names().len()), (Some(3), 2), "{}", error_text(&missing));
    let with_zero = cli.bytes(&["seal", "-k", cli.key()], b"a\0b");
    fs::write(cli.file("zero"), with_zero).unwrap();
    let refused = cli.run(&["exec", "-k", cli.key(), "--env", "A=zero", "--", "true"], b"");
    assert!(refused.status.code() == Some(2) && error_text(&refused).contains("zero byte"), "{}", error_text(&refused));
}

#[test]
fn the_program_inherits_only_its_secrets_and_descriptors() {
    let cli = folder_with_secrets();
    let script = "tr '\\0' '\\n' </proc/self/environ; tr '\\0' '\\n' </proc/self/cmdline; ls -l /proc/self/fd";
    let with_fd = ["exec", "-k", cli.key(), "--fd", "5=sealed", "--without-credentials", "--", "sh", "-c", script];
    let printed = cli.text(&with_fd, b"");
    assert!(!printed.contains(SECRET) && printed.contains("5 -> /memfd:tckms"), "{printed}");
    assert!(!printed.contains("TENCENTCLOUD_SECRET") && !printed.contains("socket:"), "{printed}");
    assert_eq!(printed.matches("memfd").count(), 1, "{printed}");
    // The descriptor of a secret is read-only.
    let write = ["exec", "-k", cli.key(), "--file", "A=sealed", "--", "sh", "-c", "echo x >\"$A\""];
    assert_ne!(cli.run(&write, b"").status.code(), Some(0));
}

/// Other users can see the command line while the tool runs.
#[test]
fn no_secret_is_in_the_arguments_of_the_tool() {
    let cli = Cli::new();
    cli.emulator.set_faults(r#"[{"fault":{"kind":"delay","ms":500},"times":10}]"#);
    let mut child =
        cli.command(&["encrypt", "-k", cli.key()]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), SECRET.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    for file in ["cmdline", "environ"] {
        let content = fs::read(format!("/proc/{}/{file}", child.id())).unwrap();
        assert!(!String::from_utf8_lossy(&content).contains(SECRET), "{file}");
    }
    assert!(child.wait().unwrap().success());
}

struct CredentialServer {
    child: Child,
    path: std::path::PathBuf,
}

impl Drop for CredentialServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the tool as systemd does: the socket is descriptor 3, and LISTEN_PID is the process.
fn service(cli: &Cli, more: &[&str]) -> CredentialServer {
    let path = cli.file("credentials.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let arguments = [
        &["credentials", "-k", cli.key(), "-c", "unit={unit}", "-c", "credential={credential}", "--folder", "secrets"],
        more,
    ]
    .concat();
    let mut command = cli.command(&[]);
    let program = command.get_program().to_owned();
    command = {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"", "sh"]).arg(program).args(arguments);
        shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(cli.scratch.path());
        shell
    };
    let socket = listener.as_raw_fd();
    // SAFETY: both calls are allowed between fork and exec; the descriptor is open.
    unsafe {
        command.pre_exec(move || {
            if libc::dup2(socket, 3) != 3 || libc::fcntl(3, libc::F_SETFD, 0) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    CredentialServer { child, path }
}

/// Connects as systemd does, from an abstract address that names unit and credential.
fn request(service: &CredentialServer, name: &str) -> Vec<u8> {
    let socket = socket_with_address(name);
    connect(&socket, &service.path);
    let mut answer = Vec::new();
    (&socket).read_to_end(&mut answer).unwrap();
    answer
}

fn socket_with_address(name: &str) -> UnixStream {
    use std::os::fd::FromRawFd;
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let length = 2 + 1 + name.len();
    let mut raw = [0_u8; 110];
    raw[..2].copy_from_slice(&(libc::AF_UNIX as u16).to_ne_bytes());
    raw[3..3 + name.len()].copy_from_slice(address.as_abstract_name().unwrap());
    // SAFETY: a local address with its length; the new descriptor has no other owner.
    unsafe {
        let socket = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        assert!(socket >= 0 && libc::bind(socket, raw.as_ptr().cast(), length as u32) == 0);
        UnixStream::from_raw_fd(socket)
    }
}

fn connect(socket: &UnixStream, path: &std::path::Path) {
    let path = path.to_str().unwrap();
    let mut raw = [0_u8; 110];
    raw[..2].copy_from_slice(&(libc::AF_UNIX as u16).to_ne_bytes());
    raw[2..2 + path.len()].copy_from_slice(path.as_bytes());
    // SAFETY: a local address with its length.
    let connected = unsafe { libc::connect(socket.as_raw_fd(), raw.as_ptr().cast(), (2 + path.len() + 1) as u32) };
    assert_eq!(connected, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn systemd_gets_only_the_credentials_of_the_unit() {
    let cli = Cli::new();
    let uid =
        fs::metadata("/proc/self").map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata)).unwrap().to_string();
    for folder in ["secrets/web.service", "secrets/worker@.service", "secrets/other.service"] {
        fs::create_dir_all(cli.file(folder)).unwrap();
    }
    let seal = |unit: &str, file: &str| {
        let context = [format!("unit={unit}"), "credential=db".to_owned()];
        cli.bytes(&["seal", "-k", cli.key(), "-c", &context[0], "-c", &context[1], "-o", file], SECRET.as_bytes());
    };
    seal("web.service", "secrets/web.service/db.sealed");
    seal("worker@1.service", "secrets/worker@.service/db");
    // A copy for another unit: its context does not match.
    seal("web.service", "secrets/other.service/db");
    let service = service(&cli, &["--allow-uid", &uid]);
    assert_eq!(request(&service, "4f2a/unit/web.service/db"), SECRET.as_bytes());
    assert_eq!(request(&service, "4f2b/unit/worker@1.service/db"), SECRET.as_bytes());
    for name in [
        "4f2c/unit/other.service/db",
        "4f2d/unit/web.service/missing",
        "4f2e/unit/../db",
        "4f2f/unit/web.service/db/more",
        "4f30",
    ] {
        let answer = request(&service, name);
        // More than 1 MiB, so systemd does not start the unit.
        assert!(answer.len() > 1 << 20 && answer.iter().all(|byte| *byte == 0), "{name}: {} bytes", answer.len());
    }
}

#[test]
fn an_idle_service_exits_and_a_service_without_a_socket_does_not_start() {
    let cli = Cli::new();
    let mut service = service(&cli, &["--idle", "1"]);
    let started = Instant::now();
    assert!(service.child.wait().unwrap().success());
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(cli.run(&["credentials", "-k", cli.key()], b"").status.code(), Some(2));
}

#[test]
fn the_units_are_hardened() {
    let text = fs::read_to_string(root().join("packaging/systemd/tckms-credentials.service.in")).unwrap();
    for line in [
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "SystemCallFilter=@system-service",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
    ] {
        assert!(text.lines().any(|has| has == line), "{line}");
    }
    let cli = Cli::new();
    let unit = cli.scratch.write("tckms-credentials.service", &text.replace("@BINDIR@", "/usr/bin"));
    // scripts/setup.sh installs it for the tests.
    let output = support::tool("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(&unit)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && printed.contains("OK"), "{printed}{}", error_text(&output));
}

/// Whoever starts a setuid tool sets its environment. Its credentials may be those of a machine or of a file.
#[test]
fn a_setuid_tool_takes_no_connection_from_the_environment() {
    const CALLER: u32 = 54321;
    let cli = Cli::new();
    let folder = std::env::temp_dir().join(format!("tckms-setuid-tool-{}", std::process::id()));
    let program = folder.join("tckms");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    fs::copy(support::release("tckms"), &program).unwrap();
    let run = |arguments: &[&str], mode: u32| {
        chown(&program, Some(65534), Some(65534)).expect("this test gives a program privileges: run it as root");
        fs::set_permissions(&program, Permissions::from_mode(mode)).unwrap();
        let mut command = Command::new(&program);
        command.args(arguments).env_clear().envs(cli.emulator.environment()).env("HOME", "/nonexistent");
        command.env("TCKMS_METADATA_ENDPOINT", cli.emulator.endpoint()).current_dir("/").uid(CALLER).gid(CALLER);
        crate::tool::run(&mut command, b"x")
    };
    let encrypt = ["encrypt", "-k", cli.key()];
    assert!(run(&encrypt, 0o755).status.success());
    let seen = cli.emulator.actions_seen().len();
    let output = run(&encrypt, 0o4755);
    assert_eq!(output.status.code(), Some(2));
    assert!(error_text(&output).contains("it reads no environment variable"), "{}", error_text(&output));
    // Nor is the endpoint, where the request would go, or the trust in a CA.
    let output = run(&["--region", "ap-guangzhou", "--timeout", "1s", "encrypt", "-k", cli.key()], 0o4755);
    assert!(
        !output.status.success() && !error_text(&output).contains(cli.emulator.endpoint()),
        "{}",
        error_text(&output)
    );
    assert_eq!(cli.emulator.actions_seen().len(), seen);
    fs::remove_dir_all(&folder).unwrap();
}
