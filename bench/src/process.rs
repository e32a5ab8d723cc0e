//! Talking to the processes of a measurement: one line of JSON each way.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;

/// Another process of this program. It ends when its standard input is closed, so nothing is left running even if this
/// process is killed.
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
        let output = BufReader::new(child.stdout.take().ok_or("a process without output")?);
        Ok(Self { child, input, output })
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a value from the other process.
    pub fn receive<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("a process of the measurement has ended early".into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// Sends a value to the other process and waits for its reply.
    pub fn request<T: DeserializeOwned>(&mut self, question: &impl Serialize) -> Result<T> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        self.input.as_mut().ok_or("a process that was asked to end")?.write_all(&line)?;
        self.receive()
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

/// Says one line to the process that started this one.
pub fn send(value: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    output.write_all(&line)?;
    Ok(output.flush()?)
}
