use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::release;

/// A running emulator. It is stopped when dropped.
pub struct Emulator {
    process: Child,
    ready: Ready,
}

/// The line that it prints when it accepts calls.
#[derive(Deserialize)]
struct Ready {
    endpoint: String,
    secret_id: String,
    secret_key: String,
    ca_file: Option<PathBuf>,
    keys: BTreeMap<String, String>,
}

impl Emulator {
    /// Starts an emulator over HTTP, with a CMK for each alias.
    pub fn over_http(keys: &[&str]) -> Self {
        Self::start(&[], keys)
    }

    /// Starts an emulator over HTTP, with more options.
    pub fn over_http_with(options: &[&str], keys: &[&str]) -> Self {
        Self::start(options, keys)
    }

    /// Starts an emulator over HTTPS, with a certificate of its own CA.
    pub fn over_https(keys: &[&str]) -> Self {
        Self::start(&["--tls"], keys)
    }

    /// Starts an emulator over HTTP with another command.
    pub fn over_http_by(command: Command, keys: &[&str]) -> Self {
        Self::start_by(command, &[], keys)
    }

    fn start(arguments: &[&str], keys: &[&str]) -> Self {
        Self::start_by(Command::new(release("tckms-emulator")), arguments, keys)
    }

    fn start_by(mut command: Command, arguments: &[&str], keys: &[&str]) -> Self {
        command.args(arguments).args(keys.iter().flat_map(|key| ["--key", *key])).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut line = String::new();
        let mut stdout = BufReader::new(process.stdout.take().expect("its stdout is a pipe"));
        stdout.read_line(&mut line).expect("the emulator prints a line");
        let ready =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("the emulator printed {line:?}: {error}"));
        Self { process, ready }
    }

    pub fn endpoint(&self) -> &str {
        &self.ready.endpoint
    }

    /// The KeyId of the CMK with this alias.
    pub fn key_id(&self, alias: &str) -> &str {
        &self.ready.keys[alias]
    }

    /// Sets the script of faults, a JSON list; "[]" for none. The admin API always uses plain HTTP.
    pub fn set_faults(&self, script: &str) {
        self.admin("PUT", "faults", script);
    }

    fn admin(&self, method: &str, path: &str, body: &str) -> String {
        let (_, address) = self.ready.endpoint.split_once("://").expect("the endpoint is a URL");
        let mut connection = TcpStream::connect(address).expect("the emulator listens");
        let head = format!(
            "{method} /_admin/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length:"
        );
        write!(connection, "{head} {}\r\n\r\n{body}", body.len()).expect("the emulator reads");
        let mut reply = String::new();
        connection.read_to_string(&mut reply).expect("the emulator replies");
        assert!(reply.starts_with("HTTP/1.1 20"), "{body}: {reply}");
        reply.split_once("\r\n\r\n").map_or(String::new(), |(_, content)| content.to_owned())
    }

    /// The actions of all requests so far, in order.
    pub fn actions_seen(&self) -> Vec<String> {
        #[derive(Deserialize)]
        struct Seen {
            requests: Vec<Request>,
        }
        #[derive(Deserialize)]
        struct Request {
            action: Option<String>,
        }
        let log = self.admin("GET", "requests", "");
        let seen: Seen = serde_json::from_str(&log).unwrap_or_else(|error| panic!("{log}: {error}"));
        seen.requests.into_iter().filter_map(|request| request.action).collect()
    }

    pub fn ca_file(&self) -> &str {
        let path = self.ready.ca_file.as_ref().expect("the emulator uses HTTPS");
        path.to_str().expect("its path is UTF-8")
    }

    /// Variables for tckms_client_new_from_env(), and TEST_KEY_<ALIAS> for each CMK.
    pub fn environment(&self) -> Vec<(String, String)> {
        let Ready { endpoint, secret_id, secret_key, .. } = &self.ready;
        let mut variables = vec![
            ("TCKMS_ENDPOINT".to_owned(), endpoint.clone()),
            ("TENCENTCLOUD_SECRET_ID".to_owned(), secret_id.clone()),
            ("TENCENTCLOUD_SECRET_KEY".to_owned(), secret_key.clone()),
            ("TENCENTCLOUD_REGION".to_owned(), "ap-guangzhou".to_owned()),
        ];
        variables.extend(self.ready.ca_file.iter().map(|_| ("TCKMS_CA_FILE".to_owned(), self.ca_file().to_owned())));
        let keys = self.ready.keys.iter();
        variables.extend(keys.map(|(alias, key_id)| (format!("TEST_KEY_{}", alias.to_uppercase()), key_id.clone())));
        variables
    }
}

impl Drop for Emulator {
    /// Sends SIGTERM, so that it removes its files, and SIGKILL if it does not end.
    fn drop(&mut self) {
        let pid = self.process.id() as libc::pid_t;
        // SAFETY: the child has not been waited for, so its process id is still valid.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) {
            if let Ok(Some(_)) = self.process.try_wait() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
