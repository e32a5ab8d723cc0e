//! Threads for work that blocks by nature: credentials providers, and the keys of sealing and opening.
//!
//! They are started on demand.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::call_scope::Workers;
use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::threads::{self, JoinHandle};
use crate::sys::{fork_lock, signals};

/// The maximal number of threads of one queue.
const QUEUE_WORKERS_MAX: usize = 8;

type Job = Box<dyn FnOnce() + Send>;

pub(super) struct WorkerPool(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: Vec<JoinHandle<()>>,
    /// The threads end when there is no job left.
    is_ending: bool,
}

impl WorkerPool {
    pub fn new() -> Self {
        let state = State { jobs: VecDeque::new(), idle: 0, threads: Vec::new(), is_ending: false };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }

    /// Queues `job`. Jobs start in order.
    pub fn submit(&self, job: Job) -> Result<()> {
        let mut state = self.0.lock();
        if state.is_ending {
            return Err(unavailable("the queue was freed"));
        }
        if state.jobs.len() >= state.idle && state.threads.len() < QUEUE_WORKERS_MAX {
            let shared = Arc::clone(&self.0);
            let started = signals::with_signals_blocked(|| threads::spawn(c"tckms-queue", move || shared.work()));
            match started {
                Ok(thread) => state.threads.push(thread),
                Err(error) if state.threads.is_empty() => {
                    return Err(unavailable(&error.to_string()).with_os_errno(error.raw_os_error()));
                }
                // Another thread will run it.
                Err(_) => {}
            }
        }
        state.jobs.push_back(job);
        drop(state);
        self.0.changed.notify_one();
        Ok(())
    }

    /// Ends the threads after their current jobs. A thread that is inside a callback for longer than `timeout` is detached.
    pub fn end(&self, timeout: Duration) {
        let mut state = self.0.lock();
        state.is_ending = true;
        let (jobs, threads) = (mem::take(&mut state.jobs), mem::take(&mut state.threads));
        drop(state);
        drop(jobs);
        self.0.changed.notify_all();
        let end = Instant::now() + timeout;
        if threads.iter().all(|thread| thread.wait(end.saturating_duration_since(Instant::now()))) {
            // The end of a thread frees its state in AWS-LC.
            fork_lock::with_forks_blocked(|| threads.into_iter().for_each(|thread| drop(thread.join())));
        }
    }
}

impl Workers for WorkerPool {
    fn run(&self, job: Job) -> Result<()> {
        self.submit(job)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.lock();
            } else if state.is_ending {
                return;
            } else {
                state.idle += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

pub(super) fn unavailable(reason: &str) -> Error {
    Error::new(Status::TransportUnavailable, format!("no worker of the queue is available: {reason}"))
}
