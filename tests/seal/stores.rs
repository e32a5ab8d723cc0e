//! The stores of `examples-c`, against the servers of the distribution, which are killed and started again in the middle.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::{Emulator, GCC, Library, Program, Scratch, output_of, tool};

const MESSAGES: u64 = 60;
const ROTATION_MS: u64 = 3000;

/// A server that is started again on the same port with the same data.
struct Server {
    command: Box<dyn Fn() -> Command>,
    port: u16,
    process: Child,
}

impl Server {
    fn start(port: u16, command: impl Fn() -> Command + 'static) -> Self {
        let process = spawn(&mut command());
        let server = Self { command: Box::new(command), port, process };
        server.wait();
        server
    }

    fn wait(&self) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the server does not listen");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.process = spawn(&mut (self.command)());
        self.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Two processes seal and open while the server is killed and started again, and a third one comes afterwards.
fn survives(program: &Program, server: &mut Server, settings: &[(&str, String)]) {
    let emulator = Emulator::over_http(&["one"]);
    let start = |messages: u64| {
        let mut command = Command::new(program.path());
        command.args([emulator.key_id("one"), &messages.to_string(), &ROTATION_MS.to_string()]);
        command.env_clear().envs(emulator.environment()).envs(settings.iter().cloned());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    // How often each number stands in what the program printed, by its words.
    let counts = |child: Child| {
        let output = child.wait_with_output().unwrap();
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{out}{error}");
        let count = |words: &str| {
            let part = out.trim().split(", ").find_map(|part| part.strip_prefix(words));
            part.unwrap_or_else(|| panic!("no {words} in {out}")).trim().parse::<u64>().unwrap()
        };
        (count("sealed"), count("opened"), count("with own keys"), count("store failures"), count("keys made"))
    };
    let warm = counts(start(10));
    assert_eq!((warm.0, warm.1, warm.2, warm.3), (10, 10, 0, 0));
    let both = [start(MESSAGES), start(MESSAGES)];
    thread::sleep(Duration::from_millis(1500));
    server.kill();
    thread::sleep(Duration::from_millis(2500));
    server.start_again();
    for outcome in both.map(counts) {
        assert_eq!((outcome.0, outcome.1), (MESSAGES, MESSAGES), "nothing is lost");
    }
    let after = counts(start(10));
    assert_eq!((after.0, after.1, after.2, after.3), (10, 10, 0, 0), "the store is used again");
}

fn build(source: &str, library: &str) -> Program {
    let flags = output_of(tool("pkg-config").args(["--cflags", "--libs", library]));
    let options: Vec<_> = std::iter::once("-Wl,--no-as-needed").chain(flags.split_whitespace()).collect();
    GCC.build_with(&options, Path::new("examples-c").join(source), &Library::Shared)
}

#[test]
fn redis_may_be_killed_while_its_branch_keys_are_in_use() {
    let (program, scratch, port) = (build("branch_store_redis.c", "hiredis"), Scratch::new(), free_port());
    let folder = scratch.path().to_owned();
    let redis = move || {
        let mut command = tool("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--appendonly", "yes", "--dir"]).arg(&folder);
        command
    };
    let mut server = Server::start(port, redis);
    survives(&program, &mut server, &[("REDIS_PORT", port.to_string())]);
}

/// The programs of the newest PostgreSQL, which are in a folder of their own.
fn postgres_programs() -> PathBuf {
    let versions =
        fs::read_dir("/usr/lib/postgresql").expect("install the package postgresql, or run `scripts/setup.sh test`");
    let newest = versions
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok()));
    newest.expect("there is a version of PostgreSQL").join("bin")
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    // SAFETY: the call only tells who runs the test.
    if unsafe { libc::geteuid() } != 0 {
        return Command::new(program);
    }
    let mut command = tool("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

#[test]
fn postgres_may_be_killed_while_its_branch_keys_are_in_use() {
    let (program, port) = (build("branch_store_postgres.c", "libpq"), free_port());
    let programs = postgres_programs();
    let scratch = std::env::temp_dir().join(format!("tckms-postgres-{}", std::process::id()));
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir(&scratch).unwrap();
    fs::set_permissions(&scratch, fs::Permissions::from_mode(0o777)).unwrap();
    let data = scratch.join("data");
    let mut make = as_postgres(&programs.join("initdb"));
    output_of(make.args(["-U", "tckms", "-A", "trust", "--no-sync", "-D"]).arg(&data).current_dir(&scratch));
    let (folder, place) = (data.clone(), scratch.clone());
    let postgres = move || {
        // The workers of the one before may still hold the memory that it shared.
        let mut command = as_postgres(&programs.join("postgres"));
        command.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        command.arg("-D").arg(&folder).current_dir(&place);
        command
    };
    let mut server = Server::start(port, postgres);
    let settings = [("PGHOST", "127.0.0.1".to_owned()), ("PGPORT", port.to_string()), ("PGUSER", "tckms".to_owned())];
    let settings = [&settings[..], &[("PGDATABASE", "postgres".to_owned())]].concat();
    // A server that listens may still be starting.
    let begun = Instant::now();
    while !Command::new("psql")
        .arg("-c")
        .arg("SELECT 1")
        .envs(settings.iter().cloned())
        .output()
        .unwrap()
        .status
        .success()
    {
        assert!(begun.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(100));
    }
    survives(&program, &mut server, &settings);
    drop(server);
    let _ = fs::remove_dir_all(&scratch);
}
