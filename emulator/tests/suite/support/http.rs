//! HTTP/1.1 without a library, so that a test can check every byte.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// One connection.
pub struct Connection {
    pub stream: BufReader<TcpStream>,
}

/// One reply. The names of the headers are in lower case.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Connection {
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the emulator listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        Self { stream: BufReader::new(stream) }
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends a request and reads the reply.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Reply> {
        self.send(request)?;
        read_reply(&mut self.stream)
    }
}

/// Reads one reply with a Content-Length or in chunks.
pub fn read_reply(stream: &mut impl BufRead) -> io::Result<Reply> {
    let status_line = read_line(stream)?;
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("status line {status_line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut reply = Reply { status, headers, body: Vec::new() };
    if reply.header("transfer-encoding") == Some("chunked") {
        while read_chunk(stream, &mut reply.body)? {}
    } else {
        let length: u64 = reply.header("content-length").unwrap_or("0").parse().map_err(io::Error::other)?;
        reply.body.resize(length as usize, 0);
        stream.read_exact(&mut reply.body)?;
    }
    Ok(reply)
}

fn read_chunk(stream: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<bool> {
    let length = u64::from_str_radix(&read_line(stream)?, 16).map_err(io::Error::other)?;
    stream.take(length).read_to_end(body)?;
    read_line(stream)?;
    Ok(length > 0)
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{:?}: {error}", String::from_utf8_lossy(&self.body)))
    }
}
