//! A tunnel through an HTTP proxy: `CONNECT` and its reply (RFC 9110, 9.3.6).

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

use crate::http::proxy::Proxy;
use crate::http::stream::FirstHop;

/// Longest answer to `CONNECT` that is read.
const ANSWER_MAX: usize = 64 * 1024;

/// Why there is no tunnel.
pub(crate) enum Failure {
    /// The proxy answered with this HTTP status.
    Refused(u16),
    /// The answer is not one of HTTP, for this reason.
    NotHttp(&'static str),
    Io(io::Error),
}

/// Requests a tunnel to `target`, a host with a port, from the proxy.
pub(crate) async fn open(stream: &mut FirstHop, target: &str, proxy: &Proxy) -> Result<(), Failure> {
    let request = request(target, proxy);
    stream.write_all(&request).await.map_err(Failure::Io)?;
    stream.flush().await.map_err(Failure::Io)?;
    match read_status(stream).await? {
        200..=299 => Ok(()),
        status => Err(Failure::Refused(status)),
    }
}

fn request(target: &str, proxy: &Proxy) -> Zeroizing<Vec<u8>> {
    let mut request = Zeroizing::new(Vec::with_capacity(1024));
    request.extend_from_slice(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").as_bytes());
    if let Some(authorization) = proxy.authorization() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// The status of the final answer; interim ones (1xx) are passed over.
async fn read_status(stream: &mut FirstHop) -> Result<u16, Failure> {
    let mut answer = Vec::new();
    let mut start = 0;
    loop {
        while let Some(len) = head_len(&answer[start..]) {
            let status = status_of(&answer[start..])?;
            start += len;
            // 101 would be another protocol than that of a tunnel.
            if !(100..=199).contains(&status) || status == 101 {
                // The other side of a tunnel sends nothing before the first request.
                let is_tunnel = (200..=299).contains(&status);
                let is_complete = answer.len() == start;
                return if is_tunnel && !is_complete { Err(Failure::NotHttp("has a body")) } else { Ok(status) };
            }
        }
        // Found out at the first line, also where no head ever ends.
        if answer.len() - start >= 12 {
            status_of(&answer[start..])?;
        }
        if answer.len() >= ANSWER_MAX {
            return Err(Failure::NotHttp("has no end"));
        }
        if stream.read_buf(&mut answer).await.map_err(Failure::Io)? == 0 {
            let ended = if answer.is_empty() { "the connection was closed" } else { "the answer is truncated" };
            return Err(Failure::Io(io::Error::new(io::ErrorKind::UnexpectedEof, ended)));
        }
    }
}

fn head_len(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|end| end + 4)
}

/// The status in a line such as `HTTP/1.1 200 Connection established`.
fn status_of(head: &[u8]) -> Result<u16, Failure> {
    let digits = match head {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', digits @ ..] => digits,
        _ => return Err(Failure::NotHttp("is not HTTP")),
    };
    let status = digits.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit));
    let ends = digits.get(3).is_none_or(|byte| matches!(byte, b' ' | b'\r'));
    match status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()) {
        Some(status @ 100..=599) if ends => Ok(status),
        _ => Err(Failure::NotHttp("has no HTTP status")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(line: &str) -> Option<u16> {
        status_of(line.as_bytes()).ok()
    }

    #[test]
    fn a_status_line_is_one_of_http_1() {
        assert_eq!(status("HTTP/1.1 200 Connection established\r\n\r\n"), Some(200));
        assert_eq!(status("HTTP/1.0 407\r\n\r\n"), Some(407));
        for line in
            ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/2 200\r\n", "HTTP/1.1 20\r\n", "HTTP/1.1 2000\r\n", "HTTP/1.1 999 x"]
        {
            assert_eq!(status(line), None, "{line}");
        }
    }

    #[test]
    fn the_request_names_the_target_and_the_user() {
        let anonymous = request("kms.example:443", &Proxy::parse("http://proxy.example:3128").unwrap());
        assert_eq!(*anonymous, b"CONNECT kms.example:443 HTTP/1.1\r\nHost: kms.example:443\r\n\r\n");
        let known = request("[::1]:443", &Proxy::parse("http://u:p@proxy.example:3128").unwrap());
        assert!(known.ends_with(b"\r\nProxy-Authorization: Basic dTpw\r\n\r\n"));
    }
}
