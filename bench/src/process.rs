//! The processes of a measurement. A request is one line of JSON, and so is its reply.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;

/// Another process of this program. It ends when its standard input is closed, also if this process is killed.
pub struct ChildProcess {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl ChildProcess {
    /// Starts this program with other arguments.
    pub fn start(args: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("the standard output of a process is missing")?);
        Ok(Self { child, input, output })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a value from the other process.
    pub fn receive<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("a process of the measurement ended early".into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// Sends a value to the other process and waits for its reply.
    pub fn request<T: DeserializeOwned>(&mut self, value: &impl Serialize) -> Result<T> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.input.as_mut().ok_or("the standard input of a process is closed")?.write_all(&line)?;
        self.receive()
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

/// Sends a value to the process that started this one.
pub fn send(value: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    output.write_all(&line)?;
    Ok(output.flush()?)
}
