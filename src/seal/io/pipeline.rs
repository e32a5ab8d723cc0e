//! A pipeline: several threads process the chunks of a long input and write the results in order, in bounded
//! memory.
//!
//! Each worker reads the next chunk, processes it, waits for its turn and writes it. So one reads while
//! another encrypts and a third writes, and there are no more chunks in memory than workers.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::call_control::{self, CancelToken};
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::status::Status;
use crate::sys::threads::{self, JoinHandle, Scope};
use crate::sys::{fork_lock, signals};

/// The interval of progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// The processing of chunks. All threads share one value.
pub(crate) trait ChunkProcessor: Sync {
    /// State that is only accessed in the order of the chunks, such as that of a signature.
    type InOrder: Send;

    /// Reads the next chunk, in order, and returns whether it is the last.
    fn read_chunk(&self, reader: &mut dyn Read, chunk: &mut Chunk) -> Result<bool>;

    /// Turns `chunk.input` into `chunk.output`, on any thread and in any order.
    fn process(&self, chunk: &mut Chunk) -> Result<()>;

    /// The last step of a chunk before it is written, in order.
    fn finish_in_order(&self, in_order: &mut Self::InOrder, chunk: &mut Chunk) -> Result<()>;
}

/// A part of the input and its output. Either may contain plaintext.
#[derive(Default)]
pub(crate) struct Chunk {
    /// From 0.
    pub index: u64,
    pub is_last: bool,
    pub input: Secret,
    pub input_len: usize,
    pub output: Secret,
    pub output_len: usize,
    /// Where the input's frames end.
    pub footer_at: usize,
}

impl Chunk {
    pub fn input(&self) -> &[u8] {
        &self.input.expose()[..self.input_len]
    }

    pub fn output(&self) -> &[u8] {
        &self.output.expose()[..self.output_len]
    }

    /// Reads until the input has `len` bytes or ends.
    pub fn fill(&mut self, reader: &mut dyn Read, len: usize) -> Result<()> {
        if self.input.len() < len {
            self.input.grow(len - self.input.len())?;
        }
        while self.input_len < len {
            match reader.read(&mut self.input.expose_mut()[self.input_len..len]) {
                Ok(0) => break,
                Ok(read) => self.input_len += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed("reading from the descriptor failed", &error)),
            }
        }
        Ok(())
    }

    /// Memory for `len` bytes of output.
    pub fn resize_output(&mut self, len: usize) -> Result<()> {
        if self.output.len() < len {
            self.output = Secret::zeroed(len)?;
        }
        self.output_len = len;
        Ok(())
    }
}

/// Receives the number of input bytes done, and returns whether to continue.
pub type ProgressCallback<'a> = dyn FnMut(u64) -> bool + 'a;

/// The source, the sink and the control of a pipeline.
pub(crate) struct Pipeline<'a, R, W, J: ChunkProcessor> {
    work: &'a J,
    source: Mutex<Source<R>>,
    sink: Mutex<Sink<W, J::InOrder>>,
    turned: Condvar,
    control: &'a JobControl,
}

struct Source<R> {
    reader: R,
    next: u64,
    ended: bool,
}

struct Sink<W, O> {
    writer: W,
    in_order: O,
    turn: u64,
    failure: Option<Error>,
    /// The number of threads that have finished.
    left: usize,
}

/// The state that the caller's thread checks while others seal or open.
#[derive(Default)]
pub struct JobControl {
    /// The number of input bytes done.
    pub(crate) done: AtomicU64,
    /// Also cancels key requests at once.
    pub(crate) cancel: CancelToken,
    /// An error occurred, so no more work is needed.
    failed: AtomicBool,
    finished: Mutex<bool>,
    changed: Condvar,
}

impl<'a, R: Read + Send, W: Write + Send, J: ChunkProcessor> Pipeline<'a, R, W, J> {
    pub fn new(work: &'a J, reader: R, writer: W, in_order: J::InOrder, control: &'a JobControl) -> Self {
        Self {
            work,
            source: Mutex::new(Source { reader, next: 0, ended: false }),
            sink: Mutex::new(Sink { writer, in_order, turn: 0, failure: None, left: 0 }),
            turned: Condvar::new(),
            control,
        }
    }

    /// Runs up to `threads` threads, including this one.
    pub fn run(self, threads: usize) -> Result<()> {
        threads::scope(|scope| {
            // Fewer workers do the same work: a limit on threads is not a failure.
            let helpers: Vec<_> = (1..threads).map_while(|_| spawn(scope, || self.run_worker()).ok()).collect();
            self.run_worker();
            self.wait_until_left(helpers.len() + 1);
            helpers.into_iter().for_each(end);
        });
        match self.sink.into_inner().unwrap_or_else(PoisonError::into_inner).failure {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn run_worker(&self) {
        let _leave = WorkerGuard(self);
        let mut chunk = Chunk::default();
        while let Some(taken) = self.read_chunk(&mut chunk) {
            let worked = taken.and_then(|()| self.work.process(&mut chunk));
            if !self.write_in_turn(&mut chunk, worked) || chunk.is_last {
                return;
            }
        }
    }

    fn wait_until_left(&self, workers: usize) {
        let mut sink = lock(&self.sink);
        while sink.left < workers {
            sink = self.turned.wait(sink).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next chunk, or `None` at the end.
    fn read_chunk(&self, chunk: &mut Chunk) -> Option<Result<()>> {
        let mut source = lock(&self.source);
        if source.ended {
            return None;
        }
        (chunk.index, chunk.input_len, chunk.output_len) = (source.next, 0, 0);
        source.next += 1;
        let last = self.work.read_chunk(&mut source.reader, chunk);
        chunk.is_last = *last.as_ref().unwrap_or(&true);
        source.ended = chunk.is_last;
        Some(last.map(|_| ()))
    }

    /// Writes a chunk when it is its turn, and returns whether to continue. A failure also waits for its
    /// turn, so that all chunks before it are written.
    fn write_in_turn(&self, chunk: &mut Chunk, worked: Result<()>) -> bool {
        let mut sink = lock(&self.sink);
        while sink.turn != chunk.index && sink.failure.is_none() {
            sink = self.turned.wait(sink).unwrap_or_else(PoisonError::into_inner);
        }
        if sink.failure.is_none() {
            sink.failure = worked.and_then(|()| self.deliver(&mut sink, chunk)).err();
            sink.turn += 1;
        }
        let goes_on = sink.failure.is_none();
        drop(sink);
        self.turned.notify_all();
        if !goes_on {
            // A thread that waits for input holds the source, and must be told to stop.
            self.control.failed.store(true, Ordering::Relaxed);
            lock(&self.source).ended = true;
        }
        goes_on
    }

    fn deliver(&self, sink: &mut Sink<W, J::InOrder>, chunk: &mut Chunk) -> Result<()> {
        if self.control.cancel.is_canceled() {
            return Err(call_control::canceled());
        }
        self.work.finish_in_order(&mut sink.in_order, chunk)?;
        write_all(&mut sink.writer, chunk.output())?;
        self.control.done.fetch_add(chunk.input_len as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// Marks a thread as finished. After a panic no other thread may wait for its chunk.
struct WorkerGuard<'l, 'w, R, W, J: ChunkProcessor>(&'l Pipeline<'w, R, W, J>);

impl<R, W, J: ChunkProcessor> Drop for WorkerGuard<'_, '_, R, W, J> {
    fn drop(&mut self) {
        let mut sink = lock(&self.0.sink);
        sink.left += 1;
        if thread::panicking() && sink.failure.is_none() {
            sink.failure = Some(Error::new(Status::Internal, "a thread that sealed or opened panicked"));
            self.0.control.failed.store(true, Ordering::Relaxed);
        }
        self.0.turned.notify_all();
    }
}

impl JobControl {
    /// Stops the running job, from any thread. It ends with [`Status::Canceled`].
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Whether a wait for a descriptor should end.
    pub(crate) fn is_over(&self) -> bool {
        self.cancel.is_canceled() || self.failed.load(Ordering::Relaxed)
    }

    /// A job that was canceled ends as canceled, not as failed or successful.
    pub(crate) fn unless_canceled<T>(&self, outcome: Result<T>) -> Result<T> {
        if self.cancel.is_canceled() { Err(call_control::canceled()) } else { outcome }
    }

    /// Runs `work` on a new thread with blocked signals: a pipe without a reader must not end the host.
    /// This thread only reports the progress.
    pub fn run<'a>(
        &self,
        progress: Option<&mut ProgressCallback<'a>>,
        work: impl FnOnce() -> Result<()> + Send,
    ) -> Result<()> {
        threads::scope(|scope| {
            let worker = spawn(scope, || {
                let _finish = FinishGuard(self);
                call_control::with_token(&self.cancel, work)
            })?;
            self.report_progress(progress);
            end(worker)
        })
    }

    fn report_progress(&self, mut progress: Option<&mut ProgressCallback<'_>>) {
        let mut told = None;
        let mut finished = lock(&self.finished);
        loop {
            if !*finished {
                finished =
                    self.changed.wait_timeout(finished, PROGRESS_INTERVAL).unwrap_or_else(PoisonError::into_inner).0;
            }
            let (done, is_last) = (self.done.load(Ordering::Relaxed), *finished);
            // The last one is reported even if the work ended before the first report.
            if let Some(progress) = progress.as_mut().filter(|_| told != Some(done) || !is_last) {
                told = Some(done);
                drop(finished);
                if !progress(done) {
                    self.cancel.cancel();
                }
                finished = lock(&self.finished);
            }
            if is_last {
                return;
            }
        }
    }
}

/// Marks the work as finished, whatever its result.
struct FinishGuard<'a>(&'a JobControl);

impl Drop for FinishGuard<'_> {
    fn drop(&mut self) {
        *lock(&self.0.finished) = true;
        self.0.changed.notify_all();
    }
}

fn spawn<'scope, T: Send + 'static>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<JoinHandle<T>> {
    signals::with_signals_blocked(|| scope.spawn(c"tckms-seal", work)).map_err(|error| {
        let message = format!("no thread could be started: {error}");
        Error::new(Status::OutOfMemory, message).with_os_errno(error.raw_os_error())
    })
}

/// Waits until a finished thread has ended: it then frees its state in the cryptographic library.
fn end<T>(thread: JoinHandle<T>) -> T {
    fork_lock::with_forks_blocked(|| thread.join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

pub(crate) fn write_all(writer: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    writer.write_all(bytes).map_err(|error| failed("writing to the descriptor failed", &error))
}

pub(crate) fn failed(what: &str, error: &std::io::Error) -> Error {
    if error.get_ref().is_some_and(|inner| inner.is::<Stopped>()) {
        return call_control::canceled();
    }
    Error::new(Status::DescriptorFailed, format!("{what}: {error}")).with_os_errno(error.raw_os_error())
}

/// The error of a reader or writer that stopped because the work was canceled.
#[derive(Debug)]
pub(crate) struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("canceled")
    }
}

impl std::error::Error for Stopped {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
