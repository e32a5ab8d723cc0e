//! The emulator as a child process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use serde_json::{Value, json};

use super::{Client, Connection};

/// A running emulator, which is killed when this is dropped.
pub struct Emulator {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The line it printed when it was ready.
    pub ready: Value,
}

impl Emulator {
    /// Starts an emulator with a CMK of the alias `main` and with `args`.
    pub fn start(args: &[&str]) -> Self {
        let mut child = Self::command(args).spawn().expect("the emulator starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("stdout is text");
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("not a line of JSON: {line:?}: {error}"));
        Self { child, stdout, ready }
    }

    /// The command to start it, with stdout and stderr piped.
    pub fn command(args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tckms-emulator"));
        command.args(["--key", "main"]).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `host:port` of its endpoint.
    pub fn address(&self) -> &str {
        self.text("endpoint").split_once("://").expect("a URL").1
    }

    /// The KeyId of the CMK with the alias `main`.
    pub fn key_id(&self) -> &str {
        self.ready["keys"]["main"].as_str().expect("a KeyId")
    }

    pub fn text(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_else(|| panic!("{name} in {}", self.ready))
    }

    /// A client with the emulator's own credentials.
    pub fn client(&self) -> Client {
        Client::new(self.address(), self.text("secret_id"), self.text("secret_key"))
    }

    /// Calls the admin API and returns the status and the JSON of the reply, null if it has no body.
    pub fn admin(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} /_admin/{path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n",
            self.address()
        );
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let reply = Connection::open(self.address()).exchange(request.as_bytes()).expect("a reply");
        (reply.status, if reply.body.is_empty() { Value::Null } else { reply.json() })
    }

    /// Sets a script of faults.
    pub fn set_faults(&self, script: Value) {
        let (status, answer) = self.admin("PUT", "faults", script);
        assert_eq!(status, 200, "{answer}");
    }

    /// Sets a script of one fault on one request or connection.
    pub fn set_fault(&self, fault: Value) {
        self.set_faults(json!([{ "fault": fault }]));
    }

    /// The requests since the last reset.
    pub fn requests(&self) -> Vec<Value> {
        self.admin("GET", "requests", Value::Null).1["requests"].as_array().expect("a list").clone()
    }

    /// Sends a signal by name (`TERM`, `KILL`, …).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for the end, and returns the status, the rest of stdout, and all of stderr.
    pub fn wait(mut self) -> (ExitStatus, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).expect("stdout is text");
        self.child.stderr.take().expect("a pipe").read_to_string(&mut err).expect("stderr is text");
        (self.child.wait().expect("a child to wait for"), out, err)
    }

    /// Sends SIGTERM and waits.
    pub fn stop(self) -> (ExitStatus, String, String) {
        self.signal("TERM");
        self.wait()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Both fail if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
