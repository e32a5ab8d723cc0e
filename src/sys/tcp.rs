//! The kernel's state of a TCP connection.

use std::os::fd::{AsRawFd, BorrowedFd};

/// The number of written bytes that the peer has acknowledged; `None` if the system does not report it.
#[cfg(target_os = "linux")]
pub(crate) fn bytes_acknowledged(socket: BorrowedFd<'_>) -> Option<u64> {
    /// The offset of `tcpi_bytes_acked` in `struct tcp_info` (linux/tcp.h, since Linux 4.1).
    const OFFSET: usize = 120;
    const END: usize = OFFSET + size_of::<u64>();
    let mut info = [0_u8; END];
    let mut len = END as libc::socklen_t;
    // SAFETY: the call writes at most `len` bytes to `info`, which has as many.
    let failed = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &mut len)
    };
    if failed != 0 || (len as usize) < END {
        return None;
    }
    // The SYN counts as a byte.
    info[OFFSET..].try_into().ok().map(|bytes| u64::from_ne_bytes(bytes).saturating_sub(1))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn bytes_acknowledged(_: BorrowedFd<'_>) -> Option<u64> {
    None
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_was_read_on_the_other_side_is_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut there, _) = listener.accept().unwrap();
        assert_eq!(bytes_acknowledged(here.as_fd()), Some(0));
        here.write_all(b"12345").unwrap();
        there.read_exact(&mut [0; 5]).unwrap();
        // The answer brings the acknowledgement along.
        there.write_all(b"1").unwrap();
        here.read_exact(&mut [0; 1]).unwrap();
        assert_eq!(bytes_acknowledged(here.as_fd()), Some(5));
    }
}
