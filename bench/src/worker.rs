//! A client process: makes the requested number of calls and reports their cost.

use std::io::BufRead;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::affinity::Role;
use crate::asymmetric::BareVerify;
use crate::bare::BareLoop;
use crate::caller::{Caller, ClientKind, Cost, Spec};
use crate::error::{Result, with_causes};
use crate::http::RawRequest;
use crate::libtckms::queued::QueuedEncrypts;
use crate::libtckms::{DigestSigner, DigestVerifier, LibTckms};
use crate::signing::SigningLoop;
use crate::{affinity, process};

/// Reads numbers of calls from standard input until its end. For each, makes so many calls and replies with their [`Cost`].
pub fn run(spec: &Spec) -> Result<()> {
    affinity::bind(Role::Client);
    match &spec.client {
        ClientKind::LibTckms { library, plaintext_len } => {
            serve(spec, &LibTckms::new(library, &spec.endpoint, spec.ca_file.as_deref(), *plaintext_len)?)
        }
        ClientKind::Queue { library, plaintext_len, in_flight } => {
            let ca_file = spec.ca_file.as_deref();
            serve(spec, &QueuedEncrypts::new(&spec.endpoint, library, ca_file, *plaintext_len, *in_flight)?)
        }
        ClientKind::BareLoop { head, body } => {
            let request = RawRequest { head: head.clone(), body: body.clone().into_bytes() };
            serve(spec, &BareLoop::new(&spec.endpoint, spec.ca_file.as_deref(), &request)?)
        }
        ClientKind::SigningLoop { head, plaintext_len } => {
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
        barrier: Barrier::new(spec.threads + 1),
        calls_per_thread: AtomicUsize::new(0),
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

/// Threads that make calls in rounds. They run until the process ends, so the cost of the calls does not include starting them.
struct WorkerThreads<'a, C> {
    caller: &'a C,
    threads: usize,
    barrier: Barrier,
    /// The calls of each thread in this round; 0 ends the threads.
    calls_per_thread: AtomicUsize,
}

impl<C: Caller> WorkerThreads<'_, C> {
    fn cost_of(&self, calls: usize) -> Cost {
        let (began, cpu_before) = (Instant::now(), cpu_time());
        self.run_round(calls / self.threads);
        self.barrier.wait();
        Cost { cpu: cpu_time() - cpu_before, wall: began.elapsed() }
    }

    fn run_round(&self, calls_per_thread: usize) {
        self.calls_per_thread.store(calls_per_thread, Ordering::Relaxed);
        self.barrier.wait();
    }

    fn work(&self) {
        loop {
            self.barrier.wait();
            let calls = self.calls_per_thread.load(Ordering::Relaxed);
            if calls == 0 {
                return;
            }
            if let Err(error) = self.caller.calls(calls) {
                // The other threads wait for this one, and a figure that includes failures is invalid.
                eprintln!("tckms-bench: {}", with_causes(&*error));
                std::process::exit(1);
            }
            self.barrier.wait();
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
