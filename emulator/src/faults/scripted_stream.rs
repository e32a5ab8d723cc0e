//! The stream of one connection, on which a request handler can run a script instead of the reply that the
//! HTTP layer would write, including a reset in the middle.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

/// One step on the connection.
#[derive(Debug)]
pub enum Step {
    Send(Bytes),
    Wait(Duration),
    /// Closes the connection properly: a TLS closing alert, then FIN.
    Close,
    /// Closes it with a RST.
    Reset,
}

/// The pending steps of one connection, shared by its stream and the handlers of its requests.
#[derive(Clone, Default)]
pub struct ReplyScript(Arc<Mutex<VecDeque<Step>>>);

impl ReplyScript {
    /// Runs `steps` instead of the reply to the current request, whatever its handler returns.
    pub fn carry_out(&self, steps: impl IntoIterator<Item = Step>) {
        self.steps().extend(steps);
    }

    fn is_idle(&self) -> bool {
        self.steps().is_empty()
    }

    fn steps(&self) -> MutexGuard<'_, VecDeque<Step>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream with or without TLS.
pub enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    fn as_write(&mut self) -> Pin<&mut (dyn AsyncWrite + Send + Unpin)> {
        match self {
            Self::Plain(stream) => Pin::new(stream as _),
            Self::Tls(stream) => Pin::new(stream as _),
        }
    }
}

/// A connection's stream, which follows its [`ReplyScript`].
///
/// While steps are pending, the stream discards what the HTTP layer writes. The flush that follows every reply runs the
/// steps.
pub struct ScriptedStream {
    transport: Transport,
    script: ReplyScript,
    pause: Option<Pin<Box<Sleep>>>,
}

impl ScriptedStream {
    pub fn new(transport: Transport, script: ReplyScript) -> Self {
        Self { transport, script, pause: None }
    }

    fn poll_script(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let script = self.script.clone();
        let mut steps = script.steps();
        while let Some(step) = steps.front_mut() {
            ready!(self.poll_step(step, cx))?;
            steps.pop_front();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_step(&mut self, step: &mut Step, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match step {
            Step::Send(bytes) => {
                while bytes.has_remaining() {
                    let written = ready!(self.transport.as_write().poll_write(cx, bytes))?;
                    bytes.advance(written);
                }
                Poll::Ready(Ok(()))
            }
            Step::Wait(duration) => {
                ready!(self.transport.as_write().poll_flush(cx))?;
                let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(*duration)));
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
                Poll::Ready(Ok(()))
            }
            Step::Close => {
                ready!(self.transport.as_write().poll_shutdown(cx))?;
                Poll::Ready(Err(ended_by_script()))
            }
            Step::Reset => {
                ready!(self.transport.as_write().poll_flush(cx))?;
                // The socket is closed when the error makes the HTTP layer drop the stream.
                self.transport.tcp().set_zero_linger()?;
                Poll::Ready(Err(ended_by_script()))
            }
        }
    }
}

/// The error for the HTTP layer, which makes it release the connection.
fn ended_by_script() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "ended by a scripted fault")
}

impl AsyncRead for ScriptedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for ScriptedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.script.is_idle() {
            self.transport.as_write().poll_write(cx, bytes)
        } else {
            Poll::Ready(Ok(bytes.len()))
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_script(cx))?;
        self.transport.as_write().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.as_write().poll_shutdown(cx)
    }
}
