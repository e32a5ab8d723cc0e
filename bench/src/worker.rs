//! A client process: makes as many calls as it is told to and says what they cost.

use std::io::BufRead;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{io, thread};

use serde::{Deserialize, Serialize};

use crate::bare::Bare;
use crate::http::RawRequest;
use crate::libtckms::LibTckms;
use crate::{Result, process};

/// Where and how a client works.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    pub client: ClientKind,
    pub endpoint: String,
    pub ca_file: Option<PathBuf>,
    pub threads: usize,
}

/// Who sends the requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ClientKind {
    /// `tckms_encrypt()` of this shared library, with a plaintext of so many bytes.
    LibTckms { library: PathBuf, plaintext_len: usize },
    /// `reqwest::blocking` with this request.
    Bare { head: String, body: String },
}

/// What a number of calls cost this process.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Cost {
    pub cpu: Duration,
    pub wall: Duration,
}

/// One client, shared by all threads of its process.
pub trait Caller: Sync {
    fn call(&self) -> Result<()>;
}

/// Reads numbers of calls from standard input until it ends, makes them, and answers each with a [`Cost`].
pub fn run(spec: &Spec) -> Result<()> {
    match &spec.client {
        ClientKind::LibTckms { library, plaintext_len } => {
            serve(spec, &LibTckms::new(library, &spec.endpoint, spec.ca_file.as_deref(), *plaintext_len)?)
        }
        ClientKind::Bare { head, body } => {
            let request = RawRequest { head: head.clone(), body: body.clone().into_bytes() };
            serve(spec, &Bare::new(&spec.endpoint, spec.ca_file.as_deref(), &request)?)
        }
    }
}

fn serve(spec: &Spec, caller: &impl Caller) -> Result<()> {
    for line in io::stdin().lock().lines() {
        process::say(&cost(caller, line?.parse()?, spec.threads)?)?;
    }
    Ok(())
}

fn cost(caller: &impl Caller, calls: usize, threads: usize) -> Result<Cost> {
    let (began, cpu_before) = (Instant::now(), cpu_time());
    if threads == 1 {
        repeat(caller, calls)?;
    } else {
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| repeat(caller, calls / threads))).collect();
            workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a client thread panicked")?)
        })?;
    }
    Ok(Cost { cpu: cpu_time() - cpu_before, wall: began.elapsed() })
}

fn repeat(caller: &impl Caller, calls: usize) -> Result<()> {
    (0..calls).try_for_each(|_| caller.call())
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
