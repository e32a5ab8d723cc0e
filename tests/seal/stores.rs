//! The stores of `examples-c` and of `go/branch_example_test.go`, with the servers of the distribution, which are killed and restarted
//! during the tests.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use support::{Emulator, GCC, Library, Prefix, Program, Scratch, output_of, root, tool};

const MESSAGES: u64 = 60;
const ROTATION_MS: u64 = 3000;

/// A server that can be restarted on the same port with the same data.
struct Server {
    command: Box<dyn Fn() -> Command>,
    is_ready: Box<dyn Fn() -> bool>,
    process: Child,
}

impl Server {
    fn start(command: impl Fn() -> Command + 'static, is_ready: impl Fn() -> bool + 'static) -> Self {
        let process = spawn(&mut command());
        let mut server = Self { command: Box::new(command), is_ready: Box::new(is_ready), process };
        server.wait();
        server
    }

    /// Processes of a killed server may delay the start of the next one.
    fn wait(&mut self) {
        let begun = Instant::now();
        while !(self.is_ready)() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the server is not ready");
            if self.process.try_wait().unwrap().is_some() {
                self.process = spawn(&mut (self.command)());
            }
            thread::sleep(Duration::from_millis(100));
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

/// Two processes seal and open while the server is killed and restarted, and a third one starts afterwards.
fn survives(program: impl Fn() -> Command, server: &mut Server, settings: &[(&str, String)]) {
    let emulator = Emulator::over_http(&["one"]);
    let start = |messages: u64| {
        let mut command = program();
        command.args([emulator.key_id("one"), &messages.to_string(), &ROTATION_MS.to_string()]);
        command.env_clear().envs(emulator.environment()).envs(settings.iter().cloned());
        command.env("LD_LIBRARY_PATH", go_prefix().library_folder());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    // The numbers in the program's output, by the words before them.
    let counts = |child: Child| {
        let output = child.wait_with_output().unwrap();
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{out}{error}");
        let count = |words: &str| {
            let part = out.trim().split(", ").find_map(|part| part.strip_prefix(words));
            part.unwrap_or_else(|| panic!("no {words} in {out}")).trim().parse::<u64>().unwrap()
        };
        (count("sealed"), count("opened"), count("with local keys"), count("store failures"), count("keys created"))
    };
    let warm = counts(start(10));
    assert_eq!((warm.0, warm.1, warm.2, warm.3), (10, 10, 0, 0));
    let both = [start(MESSAGES), start(MESSAGES)];
    // A killed writer leaves nothing that others would wait for.
    let mut killed = start(MESSAGES);
    thread::sleep(Duration::from_millis(1500));
    killed.kill().unwrap();
    killed.wait().unwrap();
    server.kill();
    thread::sleep(Duration::from_millis(2500));
    server.start_again();
    for outcome in both.map(counts) {
        assert_eq!((outcome.0, outcome.1), (MESSAGES, MESSAGES), "nothing is lost");
    }
    let after = counts(start(10));
    assert_eq!((after.0, after.1, after.2, after.3), (10, 10, 0, 0), "the store is used again");
}

/// A small fleet starts at once: at the branch's first key and at a rotation, few unused keys are generated. Each process opens its
/// own messages, and all use the store.
fn thirty_two_processes_agree(program: &Program, settings: &[(&str, String)]) {
    const PROCESSES: usize = 32;
    let emulator = Emulator::over_http(&["one"]);
    let run = |processes: usize, messages: u64, rotation_ms: u64| {
        let children: Vec<_> = (0..processes)
            .map(|_| {
                let mut command = Command::new(program.path());
                command.args([emulator.key_id("one"), &messages.to_string(), &rotation_ms.to_string()]);
                command.env_clear().envs(emulator.environment()).envs(settings.iter().cloned());
                command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap()
            })
            .collect();
        let mut made = 0;
        for child in children {
            let output = child.wait_with_output().unwrap();
            let out = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && out.contains("with local keys 0"), "{out}");
            let keys = out.split("keys created ").nth(1).and_then(|rest| rest.split(',').next());
            made += keys.and_then(|keys| keys.parse::<usize>().ok()).unwrap_or_else(|| panic!("{out}"));
        }
        made
    };
    // A slot that is longer than the test, so that the first key is the only one.
    let made = run(PROCESSES, 2, 40 * 24 * 3600 * 1000);
    assert!((1..=3).contains(&made), "{made} keys were made for the first slot");
    // Another rotation period has other slots. One process generates the key of the current slot, unless the first key is of this slot
    // too. The others run from before the slot's end until after the jitter.
    let rotation = 30_000;
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let until_left = |left: u64| (rotation - now() % rotation + rotation - left) % rotation;
    thread::sleep(Duration::from_millis(until_left(15_000)));
    assert!(run(1, 2, rotation) <= 1);
    thread::sleep(Duration::from_millis(until_left(5000)));
    let made = run(PROCESSES, 110, rotation);
    assert!((1..=3).contains(&made), "{made} keys were made at the rotation");
}

fn with_arguments<'a>(program: &'a Path, arguments: &'a [&'a str]) -> impl Fn() -> Command + 'a {
    move || {
        let mut command = Command::new(program);
        command.args(arguments);
        command
    }
}

fn go_prefix() -> &'static Prefix {
    static PREFIX: OnceLock<Prefix> = OnceLock::new();
    PREFIX.get_or_init(|| Prefix::named("go-stores", &Library::Shared))
}

/// The unchanged stores of Go's examples, with the program that uses them. The drivers are those of the distribution, found by
/// GOPATH.
fn build_go(scratch: &Scratch) -> PathBuf {
    let (folder, package) = (scratch.path().join("src/stores"), scratch.path().join("src/tckms.invalid"));
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(&package).unwrap();
    symlink(root().join("go"), package.join("go")).unwrap();
    fs::copy(root().join("tests/go/stores/main.go"), folder.join("main.go")).unwrap();
    let examples = fs::read_to_string(root().join("go/branch_example_test.go")).unwrap();
    fs::write(folder.join("stores.go"), examples.replacen("package tckms_test", "package main", 1)).unwrap();
    let program = folder.join("stores");
    let mut go = go_prefix().go(&["build", "-o"]);
    let path = format!("{}:/usr/share/gocode", scratch.path().display());
    output_of(go.arg(&program).current_dir(&folder).env("GO111MODULE", "off").env("GOPATH", path));
    program
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
    let mut server = Server::start(redis, move || TcpStream::connect(("127.0.0.1", port)).is_ok());
    thirty_two_processes_agree(&program, &[("REDIS_PORT", port.to_string())]);
    survives(|| Command::new(program.path()), &mut server, &[("REDIS_PORT", port.to_string())]);
    let (go_scratch, address) = (Scratch::new(), format!("127.0.0.1:{port}"));
    survives(with_arguments(&build_go(&go_scratch), &["redis", &address]), &mut server, &[]);
}

/// The folder with the programs of the newest PostgreSQL.
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
    // SAFETY: the call only returns the user id.
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
        // Workers of the previous server may still use its shared memory.
        let mut command = as_postgres(&programs.join("postgres"));
        command.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        command.arg("-D").arg(&folder).current_dir(&place);
        command
    };
    let settings = [("PGHOST", "127.0.0.1".to_owned()), ("PGPORT", port.to_string()), ("PGUSER", "tckms".to_owned())];
    let settings = [&settings[..], &[("PGDATABASE", "postgres".to_owned())]].concat();
    // A server that listens may still be recovering.
    let known = settings.clone();
    let is_ready = move || {
        let asked = Command::new("psql").args(["-c", "SELECT 1"]).envs(known.iter().cloned()).output();
        asked.unwrap().status.success()
    };
    let mut server = Server::start(postgres, is_ready);
    thirty_two_processes_agree(&program, &settings);
    survives(|| Command::new(program.path()), &mut server, &settings);
    let go_scratch = Scratch::new();
    survives(with_arguments(&build_go(&go_scratch), &["sql", "sslmode=disable"]), &mut server, &settings);
    drop(server);
    let _ = fs::remove_dir_all(&scratch);
}
