//! The part of HTTP/1.1 that a server with constant replies needs.

use std::io::{self, Read};

/// One request as received.
#[derive(Debug, PartialEq)]
pub struct RawRequest {
    /// Request line and headers, with the empty line after them.
    pub head: String,
    pub body: Vec<u8>,
}

impl RawRequest {
    /// The headers in the order of the request.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()))
    }
}

/// Reads requests from one connection.
pub struct Requests<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: Read> Requests<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::with_capacity(16 * 1024) }
    }

    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The next request; `None` if the client closed the connection.
    pub fn next(&mut self) -> io::Result<Option<RawRequest>> {
        let head_len = loop {
            if let Some(position) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break position + 4;
            }
            if !self.fill()? {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_len]).into_owned();
        let mut request = RawRequest { head, body: Vec::new() };
        let end = head_len + content_length(&request);
        while self.buffer.len() < end {
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        request.body.extend_from_slice(&self.buffer[head_len..end]);
        self.buffer.drain(..end);
        Ok(Some(request))
    }

    fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16 * 1024];
        let len = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..len]);
        Ok(len > 0)
    }
}

fn content_length(request: &RawRequest) -> usize {
    let header = request.headers().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    header.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_separated_however_the_bytes_arrive() {
        let bytes = b"POST / HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n";
        for split in 0..bytes.len() {
            let (first, second) = bytes.split_at(split);
            let mut requests = Requests::new(first.chain(second));
            let request = requests.next().unwrap().unwrap();
            assert_eq!(request.body, b"abc");
            assert_eq!(request.headers().collect::<Vec<_>>(), [("Host", "a:1"), ("Content-Length", "3")]);
            assert!(requests.next().unwrap().unwrap().head.starts_with("GET"));
            assert_eq!(requests.next().unwrap(), None);
        }
    }
}
