//! Sealing and opening between descriptors, with progress reports to the caller.

use std::cell::Cell;
use std::io;
use std::os::fd::RawFd;
use std::thread;

use crate::error::{Error, Result};
use crate::last_request;
use crate::seal::format::context::Context;
use crate::seal::io::pipeline::{JobControl, ProgressCallback, Stopped};
use crate::seal::keys::keyring::Keyring;
use crate::status::Status;
use crate::sys::descriptor_stream::{DescriptorStream, size_left};

/// The maximum number of threads of a job.
pub const THREADS_MAX: u32 = 256;

/// How a message is sealed or opened between descriptors.
#[derive(Default)]
pub struct DescriptorJob<'a> {
    /// The maximum number of threads; 0 for as many as the process can run in parallel.
    pub threads: u32,
    /// To open: allows signed messages, see [`OpenStream::set_signed_allowed`](crate::seal::OpenStream).
    pub signed_allowed: bool,
    /// Called on the caller's thread about ten times a second with the bytes of input that are done, and all that there
    /// are, `None` as long as that is not known. It returns whether to continue; otherwise the job ends with
    /// [`Status::Canceled`].
    pub progress: Option<&'a mut dyn FnMut(u64, Option<u64>) -> bool>,
}

impl Keyring {
    /// Seals everything read from `input` into `output`, in bounded memory, on all cores. Both stay open, and may be
    /// non-blocking. A pipe without a reader is an error and raises no SIGPIPE.
    pub fn seal_descriptor(
        &self,
        context: &Context,
        input: RawFd,
        output: RawFd,
        job: &mut DescriptorJob<'_>,
    ) -> Result<()> {
        let threads = job.checked_threads()?;
        job.run(input, output, |input, output, control| self.seal_reader(context, input, output, threads, control))
    }

    /// Opens the message read from `input` into `output`. Only authenticated plaintext is written; it is known to be
    /// complete only when the call succeeds.
    pub fn open_descriptor(
        &self,
        expected: &Context,
        input: RawFd,
        output: RawFd,
        job: &mut DescriptorJob<'_>,
    ) -> Result<()> {
        let (threads, signed_allowed) = (job.checked_threads()?, job.signed_allowed);
        job.run(input, output, |input, output, control| {
            self.open_reader(expected, signed_allowed, input, output, threads, control)
        })
    }
}

type Stream<'a> = DescriptorStream<Box<dyn Fn() -> io::Result<()> + Send + 'a>>;

fn stream(descriptor: RawFd, control: &JobControl) -> Stream<'_> {
    DescriptorStream::new(
        descriptor,
        Box::new(|| if control.is_over() { Err(io::Error::other(Stopped)) } else { Ok(()) }),
    )
}

impl DescriptorJob<'_> {
    fn run(
        &mut self,
        input: RawFd,
        output: RawFd,
        work: impl FnOnce(Stream<'_>, Stream<'_>, &JobControl) -> Result<()> + Send,
    ) -> Result<()> {
        let control = JobControl::default();
        let total = size_left(input);
        let told = Cell::new(None);
        let progress = &mut self.progress;
        let has_progress = progress.is_some();
        let mut call = |done, total| {
            told.set(Some((done, total)));
            progress.as_mut().is_none_or(|progress| progress(done, total))
        };
        let mut callback = |done| call(done, total);
        let callback = has_progress.then_some(&mut callback as &mut ProgressCallback<'_>);
        // The work runs on threads of the library, and the ids of its requests belong to this one.
        let mut last = None;
        let outcome = control.run(callback, || {
            let outcome = work(stream(input, &control), stream(output, &control), &control);
            last = Some(last_request::take());
            outcome
        });
        last.map(last_request::replace);
        if let (Ok(()), Some((done, total))) = (&outcome, told.get())
            && Some(done) != total
        {
            call(done, Some(done));
        }
        outcome
    }

    fn checked_threads(&self) -> Result<usize> {
        match self.threads {
            0 => Ok(thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX as usize)),
            threads if threads <= THREADS_MAX => Ok(threads as usize),
            threads => {
                let message = format!("the number of threads is {threads}, 0 to {THREADS_MAX} are allowed");
                Err(Error::new(Status::OutOfRange, message))
            }
        }
    }
}
