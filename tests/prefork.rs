//! The prefork server of the examples: one client, made before the fork, serves in every worker.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use support::{Emulator, GCC, Library, Scratch};

/// Connects as soon as the server listens.
fn connect(socket: &Path) -> UnixStream {
    let started = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return stream,
            Err(error) if started.elapsed() > Duration::from_secs(20) => panic!("{}: {error}", socket.display()),
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// The worker that answered, and its answer.
fn ask(socket: &Path, text: &str) -> (u32, String) {
    let mut stream = connect(socket);
    writeln!(stream, "{text}").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    let (pid, answer) = line.trim_end().split_once(' ').unwrap_or_else(|| panic!("the server said {line:?}"));
    (pid.parse().unwrap(), answer.to_owned())
}

fn terminate(mut server: Child) {
    assert!(Command::new("kill").arg(server.id().to_string()).status().unwrap().success());
    assert!(server.wait().unwrap().success());
}

#[test]
fn every_worker_serves_with_the_client_of_the_parent() {
    let emulator = Emulator::over_https(&["demo"]);
    let folder = Scratch::new();
    let socket = folder.path().join("server.sock");
    let program = GCC.build("examples-c/prefork_server.c", &Library::Shared);
    let server = Command::new(program.path())
        .arg(emulator.key_id("demo"))
        .arg(&socket)
        .arg("3")
        .env_clear()
        .envs(emulator.environment())
        .spawn()
        .unwrap();

    let mut workers = BTreeSet::new();
    let started = Instant::now();
    while workers.len() < 3 {
        assert!(started.elapsed() < Duration::from_secs(60), "only {workers:?} answered");
        // At once, so that one worker cannot take them all.
        let answers: Vec<_> = thread::scope(|scope| {
            let asking: Vec<_> = (0..9).map(|_| scope.spawn(|| ask(&socket, "a small secret"))).collect();
            asking.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (worker, answer) in answers {
            assert_eq!(answer.split("-k-").count(), 3, "{answer}");
            workers.insert(worker);
        }
    }
    terminate(server);
    assert!(!socket.exists());
}
