//! Threads for work that blocks by nature: credentials providers, and the keys of sealing and opening.
//!
//! There are none before there is such work.

use std::collections::VecDeque;
use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::call_scope::Workers;
use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::{fork_lock, signals, threads};

/// The most threads of one queue.
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
    /// Held by each thread until it ends.
    running: Option<SyncSender<()>>,
    ended: Receiver<()>,
}

impl WorkerPool {
    pub fn new() -> Self {
        let (running, ended) = sync_channel(0);
        let state = State { jobs: VecDeque::new(), idle: 0, threads: Vec::new(), running: Some(running), ended };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }

    /// Has a thread do `job`, in the order of the jobs.
    pub fn submit(&self, job: Job) -> Result<()> {
        let mut state = self.0.lock();
        let Some(running) = state.running.clone() else { return Err(unavailable("the queue was freed")) };
        if state.jobs.len() >= state.idle && state.threads.len() < QUEUE_WORKERS_MAX {
            let shared = Arc::clone(&self.0);
            let started = signals::with_signals_blocked(|| threads::spawn("tckms-queue", move || shared.work(running)));
            match started {
                Ok(thread) => state.threads.push(thread),
                Err(error) if state.threads.is_empty() => {
                    return Err(unavailable(&error.to_string()).with_os_errno(error.raw_os_error()));
                }
                // One of the others does it.
                Err(_) => {}
            }
        }
        state.jobs.push_back(job);
        drop(state);
        self.0.changed.notify_one();
        Ok(())
    }

    /// Ends the threads as soon as they are done with what they are doing. One that is inside a callback for longer than
    /// `timeout` is left to itself.
    pub fn end(&self, timeout: Duration) {
        let mut state = self.0.lock();
        drop(state.running.take());
        let (jobs, threads) = (mem::take(&mut state.jobs), mem::take(&mut state.threads));
        let ended = mem::replace(&mut state.ended, sync_channel(0).1);
        drop(state);
        drop(jobs);
        self.0.changed.notify_all();
        if ended.recv_timeout(timeout) == Err(RecvTimeoutError::Disconnected) {
            // The end of a thread frees its state in the cryptography.
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

    fn work(&self, _running: SyncSender<()>) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.lock();
            } else if state.running.is_none() {
                return;
            } else {
                state.idle += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

fn unavailable(reason: &str) -> Error {
    Error::new(Status::TransportUnavailable, format!("no worker of the queue is available: {reason}"))
}
