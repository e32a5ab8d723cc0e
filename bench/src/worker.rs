//! A client process: makes the requested number of calls and reports their cost.

use std::io::BufRead;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::asymmetric::BareVerify;
use crate::bare::Bare;
use crate::caller::{Caller, ClientKind, Cost, Spec};
use crate::error::{Result, with_causes};
use crate::http::RawRequest;
use crate::libtckms::queued::QueuedEncrypts;
use crate::libtckms::{DigestSigner, DigestVerifier, LibTckms};
use crate::placement::Place;
use crate::signing::SigningLoop;
use crate::{placement, process};

/// Reads numbers of calls from standard input until it ends, makes them, and answers each with a [`Cost`].
pub fn run(spec: &Spec) -> Result<()> {
    placement::take(Place::Clients);
    match &spec.client {
        ClientKind::LibTckms { library, plaintext_len } => {
            serve(spec, &LibTckms::new(library, &spec.endpoint, spec.ca_file.as_deref(), *plaintext_len)?)
        }
        ClientKind::Queue { library, plaintext_len, in_flight } => {
            let ca_file = spec.ca_file.as_deref();
            serve(spec, &QueuedEncrypts::new(&spec.endpoint, library, ca_file, *plaintext_len, *in_flight)?)
        }
        ClientKind::Bare { head, body } => {
            let request = RawRequest { head: head.clone(), body: body.clone().into_bytes() };
            serve(spec, &Bare::new(&spec.endpoint, spec.ca_file.as_deref(), &request)?)
        }
        ClientKind::Signing { head, plaintext_len } => {
            let request = RawRequest { head: head.clone(), body: Vec::new() };
            serve(spec, &SigningLoop::new(&spec.endpoint, spec.ca_file.as_deref(), &request, *plaintext_len)?)
        }
        ClientKind::SignDigest { library } => {
            serve(spec, &DigestSigner(LibTckms::new(library, &spec.endpoint, spec.ca_file.as_deref(), 0)?))
        }
        ClientKind::VerifyDigest { library } => {
            let client = LibTckms::new(library, &spec.endpoint, spec.ca_file.as_deref(), 0)?;
            serve(spec, &DigestVerifier::new(client)?)
        }
        ClientKind::BareVerify => serve(spec, &BareVerify::new()?),
    }
}

fn serve(spec: &Spec, caller: &impl Caller) -> Result<()> {
    let workers = WorkerThreads {
        caller,
        threads: spec.threads,
        turn: Barrier::new(spec.threads + 1),
        share: AtomicUsize::new(0),
    };
    thread::scope(|scope| {
        for _ in 0..spec.threads {
            scope.spawn(|| workers.work());
        }
        let outcome = io::stdin().lock().lines().try_for_each(|line| process::send(&workers.cost_of(line?.parse()?)));
        workers.run_round(0);
        outcome
    })
}

/// Threads that make calls in rounds. They live as long as the process, so that starting them is not part of the cost
/// of the calls.
struct WorkerThreads<'a, C> {
    caller: &'a C,
    threads: usize,
    turn: Barrier,
    /// The number of calls of each thread in this round; 0 ends the thread.
    share: AtomicUsize,
}

impl<C: Caller> WorkerThreads<'_, C> {
    fn cost_of(&self, calls: usize) -> Cost {
        let (began, cpu_before) = (Instant::now(), cpu_time());
        self.run_round(calls / self.threads);
        self.turn.wait();
        Cost { cpu: cpu_time() - cpu_before, wall: began.elapsed() }
    }

    fn run_round(&self, share: usize) {
        self.share.store(share, Ordering::Relaxed);
        self.turn.wait();
    }

    fn work(&self) {
        loop {
            self.turn.wait();
            let share = self.share.load(Ordering::Relaxed);
            if share == 0 {
                return;
            }
            if let Err(error) = self.caller.calls(share) {
                // The others wait for this thread, and a figure that includes failures is worthless.
                eprintln!("tckms-bench: {}", with_causes(&*error));
                std::process::exit(1);
            }
            self.turn.wait();
        }
    }
}

/// User and system time of all threads of this process.
fn cpu_time() -> Duration {
    // SAFETY: rusage is plain data, and the call fills it.
    let usage = unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    duration(usage.ru_utime) + duration(usage.ru_stime)
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}
