//! Calls of a queue in event loops: the examples, and many calls at once through one thread.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use support::{CLANG, Compiler, Emulator, GCC, Library, output_of, root, started, tool};

/// The maximum length of an example.
const LINES_MAX: usize = 100;
const EXAMPLES: [&str; 4] = ["epoll_server.c", "libevent_client.c", "libuv_client.c", "decrypting_proxy.c"];

#[test]
fn the_examples_are_short() {
    for example in EXAMPLES {
        let text = std::fs::read_to_string(root().join("examples-c").join(example)).unwrap();
        assert!(text.lines().count() < LINES_MAX, "{example}");
    }
}

#[test]
fn libevent_takes_the_descriptor() {
    secrets_are_decrypted("examples-c/libevent_client.c", "libevent_core", GCC);
}

#[test]
fn libuv_takes_the_descriptor() {
    secrets_are_decrypted("examples-c/libuv_client.c", "libuv", CLANG);
}

fn secrets_are_decrypted(source: &str, package: &str, compiler: Compiler) {
    let emulator = Emulator::over_https(&["main"]);
    let flags = output_of(tool("pkg-config").args(["--cflags", "--libs", package]));
    // The libraries follow the source that needs them.
    let mut options = vec!["-Wl,--no-as-needed"];
    options.extend(flags.split_whitespace());
    let program = compiler.build_with(&options, source, &Library::Shared);
    let key_id = emulator.key_id("main");
    let finished = program.with(emulator.environment()).arguments(&[key_id]).run();
    assert_eq!(finished.stdout.matches("was decrypted").count(), 10, "{}{}", finished.stdout, finished.stderr);
}

/// A server of the examples. It is ended when dropped.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(source: &str, emulator: &Emulator) -> (Self, support::Program) {
        let program = GCC.build(source, &Library::Shared);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = started(program.path())
            .args([emulator.key_id("main"), &port.to_string()])
            .env_clear()
            .envs(emulator.environment())
            .spawn()
            .unwrap();
        (Self { process, port }, program)
    }

    fn connect(&self) -> TcpStream {
        let started = Instant::now();
        loop {
            match TcpStream::connect(("127.0.0.1", self.port)) {
                Ok(stream) => return stream,
                Err(error) if started.elapsed() > Duration::from_secs(20) => panic!("{error}"),
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn servers_with_one_thread_serve_many_peers() {
    let emulator = Emulator::over_http(&["main"]);
    let (encrypting, _program) = Server::start("examples-c/epoll_server.c", &emulator);
    let (decrypting, _other) = Server::start("examples-c/decrypting_proxy.c", &emulator);
    thread::scope(|scope| {
        for number in 0..20 {
            let (encrypting, decrypting) = (&encrypting, &decrypting);
            scope.spawn(move || {
                let secret = format!("secret {number}");
                let blob = encrypt(encrypting, &secret);
                assert_eq!(fetch(decrypting, &blob), ("200".to_owned(), secret));
                assert_eq!(fetch(decrypting, "nothing").0, "502");
            });
        }
    });
}

/// A CiphertextBlob of the server that encrypts.
fn encrypt(server: &Server, secret: &str) -> String {
    let mut stream = server.connect();
    stream.write_all(secret.as_bytes()).unwrap();
    let mut blob = vec![0; 10_000];
    let len = stream.read(&mut blob).unwrap();
    String::from_utf8(blob[..len].to_vec()).unwrap().trim_end().to_owned()
}

/// The wait of an event loop returns EINTR when its process continues.
#[test]
fn servers_continue_after_they_were_stopped() {
    let emulator = Emulator::over_http(&["main"]);
    let (encrypting, _program) = Server::start("examples-c/epoll_server.c", &emulator);
    let (decrypting, _other) = Server::start("examples-c/decrypting_proxy.c", &emulator);
    assert_eq!(fetch(&decrypting, &encrypt(&encrypting, "before")).1, "before");
    for server in [&encrypting, &decrypting] {
        for signal in [libc::SIGSTOP, libc::SIGCONT] {
            // SAFETY: the child has not been waited for, so its process id is still valid.
            assert_eq!(unsafe { libc::kill(server.process.id() as libc::pid_t, signal) }, 0);
            thread::sleep(Duration::from_millis(100));
        }
    }
    assert_eq!(fetch(&decrypting, &encrypt(&encrypting, "after")).1, "after");
}

/// More connections than a server has descriptors, or places, and then one that sends a request.
#[test]
fn idle_peers_do_not_block_a_server() {
    let emulator = Emulator::over_http(&["main"]);
    let (encrypting, _program) = Server::start("examples-c/epoll_server.c", &emulator);
    let (decrypting, _other) = Server::start("examples-c/decrypting_proxy.c", &emulator);
    let blob = encrypt(&encrypting, "a secret");
    let idle: Vec<_> = (0..300).map(|_| decrypting.connect()).collect();
    assert_eq!(fetch(&decrypting, &blob), ("200".to_owned(), "a secret".to_owned()));
    drop(idle);

    let limit = libc::rlimit { rlim_cur: 40, rlim_max: 40 };
    let process = encrypting.process.id() as libc::pid_t;
    // SAFETY: the structure is valid during the call, and the previous limit is not wanted.
    let changed = unsafe { libc::prlimit(process, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut()) };
    assert_eq!(changed, 0);
    let idle: Vec<_> = (0..60).map(|_| encrypting.connect()).collect();
    thread::sleep(Duration::from_millis(200));
    drop(idle);
    assert_eq!(fetch(&decrypting, &encrypt(&encrypting, "another")).1, "another");
}

#[test]
fn the_proxy_refuses_requests_without_a_length() {
    let emulator = Emulator::over_http(&["main"]);
    let (decrypting, _program) = Server::start("examples-c/decrypting_proxy.c", &emulator);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "411"),
        ("POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", "413"),
        ("POST / HTTP/1.1\r\ncontent-length: 7\r\n\r\nnothing", "502"),
    ] {
        assert_eq!(send(&decrypting, request).0, status, "{request:?}");
    }
}

#[test]
fn a_server_reports_why_it_cannot_listen() {
    let emulator = Emulator::over_http(&["main"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for source in ["examples-c/epoll_server.c", "examples-c/decrypting_proxy.c"] {
        let program = GCC.build(source, &Library::Shared);
        let mut command = started(program.path());
        let output = command.args([emulator.key_id("main"), &port]).env_clear().envs(emulator.environment()).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("in use"), "{source}: {said}");
    }
}

/// The status and the body of a reply.
fn fetch(server: &Server, body: &str) -> (String, String) {
    send(server, &format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

fn send(server: &Server, request: &str) -> (String, String) {
    let mut stream = server.connect();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_else(|| panic!("the server said {reply:?}"));
    (head.split(' ').nth(1).unwrap_or_default().to_owned(), body.to_owned())
}

#[test]
fn one_thread_has_500_calls_outstanding() {
    let emulator = Emulator::over_http(&["main"]);
    let program = GCC.build("tests/c/queue_load.c", &Library::Shared);
    let run = program.with(emulator.environment()).arguments(&["throughput"]).run();
    run.expect_nothing_but_passed_checks();
}

#[test]
fn a_thread_with_real_time_priority_does_not_spin() {
    // SAFETY: it only tells a number.
    if unsafe { libc::geteuid() } != 0 {
        // Past the test runner, which keeps to itself what a test that passes says.
        let text = "NOT TESTED: a queue in a thread with a real-time priority; only root may have one.\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        return;
    }
    let emulator = Emulator::over_http(&["main"]);
    let program = GCC.build("tests/c/queue_real_time.c", &Library::Shared);
    program.with(emulator.environment()).run().expect_nothing_but_passed_checks();
}

#[test]
fn calls_that_never_end_leave_nothing_behind() {
    let emulator = Emulator::over_http(&["main", "other"]);
    let program = GCC.build("tests/c/queue_abandoned.c", &Library::Shared);
    program.with(emulator.environment()).run().expect_nothing_but_passed_checks();
}

#[test]
fn every_call_is_done_exactly_once() {
    let emulator = Emulator::over_http(&["main"]);
    let program = GCC.build("tests/c/queue_load.c", &Library::Shared);
    let mut run = program.with(emulator.environment()).arguments(&["faults"]);
    // `make soak` sets a larger number.
    if let Ok(calls) = std::env::var("TCKMS_QUEUE_CALLS") {
        run = run.variable("TEST_CALLS", &calls);
    }
    run.run().expect_nothing_but_passed_checks();
}
