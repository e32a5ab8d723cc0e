//! The bytes of one connection: TCP, perhaps under TLS to a proxy, perhaps under TLS to the service.
//!
//! It enforces two limits. A stream delivers no more bytes than its [`Meter`] allows, so that no
//! server can make the library read forever. And a socket that is always readable yields after
//! some work, so that it does not starve the other connections.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::sys::fd_sentinel::check_descriptors;
use crate::sys::tcp;

/// The number of bytes that are read from a socket, at once or in a row, before other connections are
/// served. A server chooses what they cost: 64 KiB of small heads take milliseconds to parse. A read of
/// fewer bytes counts as [`READ_COST`], since every read costs a system call.
const READ_BUDGET: usize = 8 * 1024;
const READ_COST: usize = 2 * 1024;

/// The number of bytes that a connection may still deliver, and its first bytes.
#[derive(Default)]
pub(crate) struct Meter {
    left: AtomicUsize,
    /// The first seven bytes that the server sent, after a byte that is 1.
    beginning: AtomicU64,
    /// What was written to the socket, and how much of that before the request under way.
    written: AtomicU64,
    written_before: AtomicU64,
    /// The connection ended, and the server had acknowledged nothing of the request under way.
    ended_unacknowledged: AtomicBool,
}

impl Meter {
    /// Allows `bytes` more bytes, whatever was allowed before.
    pub fn allow(&self, bytes: usize) {
        self.left.store(bytes, Ordering::Relaxed);
    }

    /// A request begins, and `bytes` are allowed for the head of its reply.
    pub fn begin_request(&self, bytes: usize) {
        self.written_before.store(self.written.load(Ordering::Relaxed), Ordering::Relaxed);
        self.allow(bytes);
    }

    /// Whether the connection ended before the server had received anything of the request under way:
    /// the close or reset is then not a reaction to that request. False if the system does not report
    /// it.
    pub fn ended_before_request(&self) -> bool {
        self.ended_unacknowledged.load(Ordering::Relaxed)
    }

    fn note_end(&self, acknowledged: Option<u64>) {
        let nothing_since = |acknowledged| acknowledged <= self.written_before.load(Ordering::Relaxed);
        self.ended_unacknowledged.fetch_or(acknowledged.is_some_and(nothing_since), Ordering::Relaxed);
    }

    /// How many bytes are still allowed.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Whether the server speaks TLS: it began with a TLS handshake or alert record.
    pub fn began_with_tls(&self) -> bool {
        matches!(self.beginning()[..], [0x15 | 0x16, 0x03, ..])
    }

    /// Whether the server speaks HTTP without TLS.
    pub fn began_with_http(&self) -> bool {
        self.beginning().starts_with(b"HTTP/")
    }

    fn beginning(&self) -> Vec<u8> {
        let bytes = self.beginning.load(Ordering::Relaxed).to_be_bytes();
        match bytes.iter().position(|byte| *byte != 0) {
            Some(marker) => bytes[marker + 1..].to_vec(),
            None => Vec::new(),
        }
    }

    fn note_beginning(&self, bytes: &[u8]) {
        let mut beginning = self.beginning.load(Ordering::Relaxed).max(1);
        for byte in bytes {
            if beginning >> 56 != 0 {
                break;
            }
            beginning = beginning << 8 | u64::from(*byte);
        }
        self.beginning.store(beginning, Ordering::Relaxed);
    }
}

/// A server sent more than its [`Meter`] allows.
#[derive(Debug)]
pub(crate) struct AllowanceExceeded;

impl fmt::Display for AllowanceExceeded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the server sent more bytes than are read")
    }
}

impl Error for AllowanceExceeded {}

/// A TCP connection that yields to others when it is always readable. A busy thread may never sleep, so it checks its descriptors
/// before each use of the socket.
pub(crate) struct Tcp {
    stream: Take<TcpStream>,
    meter: Arc<Meter>,
    /// The bytes read since the socket last had nothing to read.
    read_since_pause: usize,
}

impl Tcp {
    pub fn new(stream: TcpStream, meter: Arc<Meter>) -> Self {
        Self { stream: stream.take(0), meter, read_since_pause: 0 }
    }

    fn note_write(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &outcome {
            Poll::Pending => {}
            Poll::Ready(Ok(len)) => drop(self.meter.written.fetch_add(*len as u64, Ordering::Relaxed)),
            Poll::Ready(Err(_)) => self.meter.note_end(tcp::bytes_acknowledged(self.stream.get_ref().as_fd())),
        }
        outcome
    }
}

impl Drop for Tcp {
    /// The socket is closed next.
    fn drop(&mut self) {
        check_descriptors();
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_since_pause >= READ_BUDGET {
            self.read_since_pause = 0;
            // The waker is called after the runtime has looked for events of the other connections.
            let _ = pin!(tokio::task::yield_now()).poll(context);
            return Poll::Pending;
        }
        if self.stream.get_ref().poll_read_ready(context).is_pending() {
            self.read_since_pause = 0;
            return Poll::Pending;
        }
        check_descriptors();
        let before = buffer.filled().len();
        self.stream.set_limit(READ_BUDGET as u64);
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => {
                self.read_since_pause = 0;
                Poll::Pending
            }
            Poll::Ready(outcome) => {
                let bytes = &buffer.filled()[before..];
                self.read_since_pause += bytes.len().max(READ_COST);
                self.meter.note_beginning(bytes);
                if bytes.is_empty() {
                    self.meter.note_end(tcp::bytes_acknowledged(self.stream.get_ref().as_fd()));
                }
                Poll::Ready(outcome)
            }
        }
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        check_descriptors();
        let outcome = Pin::new(self.stream.get_mut()).poll_write(context, bytes);
        self.note_write(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        check_descriptors();
        let outcome = Pin::new(self.stream.get_mut()).poll_write_vectored(context, slices);
        self.note_write(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        check_descriptors();
        Pin::new(self.stream.get_mut()).poll_shutdown(context)
    }
}

/// Writes are those of the inner stream.
macro_rules! forward_writes {
    ($type:ty, $self:ident => $inner:expr) => {
        impl AsyncWrite for $type {
            fn poll_write(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                let $self = &mut *self;
                Pin::new($inner).poll_write(context, bytes)
            }

            fn poll_write_vectored(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                slices: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let $self = &mut *self;
                Pin::new($inner).poll_write_vectored(context, slices)
            }

            /// True of TCP, and of TLS, which copies anyway.
            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $self = &mut *self;
                Pin::new($inner).poll_flush(context)
            }

            fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $self = &mut *self;
                Pin::new($inner).poll_shutdown(context)
            }
        }
    };
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// The connection to the first host on the way: the service, or the proxy, perhaps under TLS.
pub(crate) enum FirstHop {
    Plain(Tcp),
    Tls(Box<TlsStream<Tcp>>),
}

impl FirstHop {
    fn inner(&mut self) -> &mut dyn Duplex {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream,
        }
    }
}

impl AsyncRead for FirstHop {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.inner()).poll_read(context, buffer)
    }
}

forward_writes!(FirstHop, this => this.inner());

/// The connection to the service, as the HTTP layer reads and writes it.
pub(crate) struct Stream {
    inner: Inner,
    meter: Arc<Meter>,
}

enum Inner {
    Plain(FirstHop),
    Tls(Box<TlsStream<FirstHop>>),
}

impl Stream {
    pub fn plain(hop: FirstHop, meter: Arc<Meter>) -> Self {
        Self { inner: Inner::Plain(hop), meter }
    }

    pub fn tls(stream: TlsStream<FirstHop>, meter: Arc<Meter>) -> Self {
        Self { inner: Inner::Tls(Box::new(stream)), meter }
    }

    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    fn inner(&mut self) -> &mut dyn Duplex {
        match &mut self.inner {
            Inner::Plain(stream) => stream,
            Inner::Tls(stream) => stream,
        }
    }

    /// Reads no more than `most` bytes, which is less than the capacity of the buffer.
    fn poll_read_few(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        most: usize,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4096];
        let len = most.min(bytes.len());
        let mut few = ReadBuf::new(&mut bytes[..len]);
        ready!(Pin::new(self.inner()).poll_read(context, &mut few))?;
        buffer.put_slice(few.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.meter.left();
        if left == 0 {
            return Poll::Ready(Err(io::Error::other(AllowanceExceeded)));
        }
        let before = buffer.filled().len();
        if buffer.remaining() <= left {
            ready!(Pin::new(self.inner()).poll_read(context, buffer))?;
        } else {
            ready!(self.poll_read_few(context, buffer, left))?;
        }
        self.meter.allow(left - (buffer.filled().len() - before));
        Poll::Ready(Ok(()))
    }
}

forward_writes!(Stream, this => this.inner());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_detects_the_kind_of_server() {
        for (chunks, tls, http) in [
            (&[&b"HTTP/1.1 200 OK\r\n"[..]][..], false, true),
            (&[b"HT", b"TP", b"/1.0 400"], false, true),
            (&[b"\x15\x03\x03\x00\x02\x02\x28"], true, false),
            (&[b"\x16", b"\x03\x01"], true, false),
            (&[b"\0\0\0\0\x15\x03"], false, false),
            (&[b"SSH-2.0-OpenSSH"], false, false),
            (&[], false, false),
        ] {
            let meter = Meter::default();
            chunks.iter().for_each(|chunk| meter.note_beginning(chunk));
            assert_eq!((meter.began_with_tls(), meter.began_with_http()), (tls, http), "{chunks:?}");
        }
    }
}
