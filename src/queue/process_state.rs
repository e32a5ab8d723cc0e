//! The state of a queue in one process: outstanding and completed calls.
//!
//! Every change happens while forks are blocked, so a forked child finds a consistent state and an unlocked lock. A network thread
//! blocks forks in any case while it is awake.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::call_control::{self, CancelToken};
use crate::call_scope::CallTrace;
use crate::error::{Error, Result};
use crate::http::thread::{EndingThread, ThreadNumber, ThreadWatcher, is_network_thread};
use crate::http::transport;
use crate::queue::completion::{Completion, Userdata};
use crate::queue::deadlines::{DEADLINE_GRACE, DeadlineThread, Expiring};
use crate::queue::inputs::{Inputs, Runner};
use crate::queue::output::Output;
use crate::queue::workers::WorkerPool;
use crate::sys::fork_lock;
use crate::sys::lend::NeverRunsAgain;
use crate::sys::parker::Parker;
use crate::sys::ready_pipe::ReadyPipe;

/// How long freeing a queue waits for the calls that it cancels.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a thread yields to the one that makes the pipe readable, before it sleeps.
const READABLE_TRIES: u32 = 8;
const READABLE_PAUSE: Duration = Duration::from_micros(50);

pub(super) struct ProcessState {
    state: Mutex<State>,
    /// Set while a thread makes the pipe readable after it released the state, which the woken thread needs.
    setting_readable: AtomicBool,
    workers: Arc<WorkerPool>,
    deadlines: DeadlineThread,
}

#[derive(Default)]
struct State {
    outstanding: HashMap<u64, Outstanding, BuildHasherDefault<IdHasher>>,
    done: VecDeque<Completion>,
    /// Readable exactly while `done` has an entry. Created on request.
    pipe: Option<Arc<ReadyPipe>>,
    /// Wakes the threads that wait for a completion or, if the queue is being freed, for the end of all calls.
    waiting: Vec<Arc<Parker>>,
    is_closing: bool,
    /// Network threads that end because their last client was dropped with a completion.
    ending: Vec<EndingThread>,
}

/// Spreads ids, which are consecutive numbers of our own.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// An outstanding call.
pub(super) struct Outstanding {
    pub token: CancelToken,
    pub userdata: Userdata,
    pub runner: Runner,
}

impl Outstanding {
    /// What cancels the call, and whether it is then done at once.
    fn cancellation(&self) -> (CancelToken, bool) {
        (self.token.clone(), self.runner.deadline().is_some())
    }
}

impl ProcessState {
    pub fn new() -> Self {
        fork_lock::install_handlers();
        Self {
            state: Mutex::default(),
            setting_readable: AtomicBool::new(false),
            workers: Arc::new(WorkerPool::new()),
            deadlines: DeadlineThread::default(),
        }
    }

    /// The state in a forked child: all calls that were not taken are completed. The parent gets their results.
    pub fn forked_from(parent: &Self, proof: &NeverRunsAgain) -> Self {
        let own = Self::new();
        // Only a thread of the parent that was inside when a fork did not wait for it any longer can have the lock.
        if let Ok(inherited) = parent.state.try_lock() {
            let outstanding = inherited.outstanding.iter();
            let outstanding = outstanding.map(|(id, call)| (*id, &call.userdata, Some(&call.runner)));
            let done = inherited.done.iter().map(|completion| (completion.id, &completion.userdata, None));
            let mut calls: Vec<_> = outstanding.chain(done).collect();
            calls.sort_unstable_by_key(|(id, ..)| *id);
            let given_up = calls.into_iter().map(|(id, userdata, runner)| {
                let userdata = AtomicPtr::new(userdata.load(Ordering::Relaxed));
                let inputs = runner.map(|runner| runner.take_back(proof)).unwrap_or_default();
                Completion::new(id, userdata, Err(forked()), CallTrace::default(), inputs)
            });
            own.locked(|state| state.done = given_up.collect());
        }
        own
    }

    pub fn workers(&self) -> &Arc<WorkerPool> {
        &self.workers
    }

    /// Has the calls of workers end when their time has passed at `deadline`.
    pub fn expire_at(self: &Arc<Self>, deadline: Instant) -> Result<()> {
        let calls: Weak<dyn Expiring> = Arc::downgrade(self) as _;
        self.deadlines.expire_at(deadline + DEADLINE_GRACE, calls)
    }

    /// Adds a call, unless there are `depth` calls, including completed ones.
    pub fn add<T>(&self, id: u64, call: impl FnOnce() -> (Outstanding, T), depth: usize) -> Option<T> {
        self.locked(|state| {
            (state.len() < depth).then(|| {
                let (call, lent) = call();
                state.outstanding.insert(id, call);
                lent
            })
        })
    }

    /// Removes a call that could not be started. It may already be completed, if its thread has ended.
    pub fn withdraw(&self, id: u64) -> bool {
        self.locked(|state| state.outstanding.remove(&id)).is_some()
    }

    pub fn complete(&self, id: u64, result: Result<Output>, trace: CallTrace) {
        self.complete_with(id, result, trace, Runner::into_inputs);
    }

    fn complete_with(&self, id: u64, result: Result<Output>, trace: CallTrace, inputs: impl FnOnce(Runner) -> Inputs) {
        // The operation, which has the plaintext, is wiped now, outside of the lock.
        let (pipe, waiting, _operation) = self.locked(|state| {
            let Some(call) = state.outstanding.remove(&id) else { return (None, Vec::new(), None) };
            let pipe = state.pipe.clone().filter(|_| state.done.is_empty());
            if pipe.is_some() {
                self.setting_readable.store(true, Ordering::SeqCst);
            }
            let mut inputs = inputs(call.runner);
            let operation = inputs.take_operation();
            state.done.push_back(Completion::new(id, call.userdata, result, trace, inputs));
            let is_awaited = !state.is_closing || state.outstanding.is_empty();
            (pipe, if is_awaited { mem::take(&mut state.waiting) } else { Vec::new() }, operation)
        });
        if let Some(pipe) = pipe {
            pipe.set_readable();
            self.setting_readable.store(false, Ordering::SeqCst);
        }
        waiting.iter().for_each(|thread| thread.unpark());
    }

    pub fn take(&self) -> Option<Completion> {
        self.locked(|state| {
            let taken = state.done.pop_front();
            if let (Some(_), true, Some(pipe)) = (&taken, state.done.is_empty(), &state.pipe) {
                self.wait_until_readable();
                pipe.clear();
            }
            taken
        })
    }

    /// Waits for a completion. Returns whether there is one; then the pipe is readable.
    pub fn wait(&self, timeout: Duration) -> bool {
        let is_done = self.wait_until(timeout, |state| !state.done.is_empty());
        self.wait_until_readable();
        is_done
    }

    /// Waits for a thread that has a completion in the state, and makes the pipe readable now.
    fn wait_until_readable(&self) {
        // A thread with a real-time priority has to sleep: yielding would not let the other thread run.
        for tries in 0.. {
            match self.setting_readable.load(Ordering::SeqCst) {
                false => break,
                true if tries < READABLE_TRIES => thread::yield_now(),
                true => thread::sleep(READABLE_PAUSE),
            }
        }
    }

    fn wait_until(&self, timeout: Duration, is_so: impl Fn(&State) -> bool) -> bool {
        let end = Instant::now() + timeout;
        loop {
            let is_so = self.locked(|state| {
                let is_so = is_so(state);
                let this = Parker::current();
                if !is_so && !state.waiting.iter().any(|waiting| Arc::ptr_eq(waiting, &this)) {
                    state.waiting.push(this);
                }
                is_so
            });
            let left = end.saturating_duration_since(Instant::now());
            if is_so || left.is_zero() {
                return is_so;
            }
            Parker::current().park_timeout(left);
        }
    }

    pub fn descriptor(&self) -> io::Result<RawFd> {
        self.locked(|state| {
            // The host may have closed all descriptors.
            if let Some(pipe) = state.pipe.as_ref().filter(|pipe| pipe.is_alive()) {
                return Ok(pipe.descriptor());
            }
            let pipe = state.pipe.insert(Arc::new(ReadyPipe::new()?));
            if !state.done.is_empty() {
                pipe.set_readable();
            }
            Ok(pipe.descriptor())
        })
    }

    pub fn len(&self) -> usize {
        self.locked(|state| state.len())
    }

    /// Cancels a call. Returns whether it was outstanding.
    pub fn cancel(&self, id: u64) -> bool {
        let found = self.locked(|state| state.outstanding.get(&id).map(Outstanding::cancellation));
        found.map(|found| self.cancel_found(id, &found)).is_some()
    }

    pub fn cancel_all(&self) {
        let all = self.locked(|state| {
            let all = state.outstanding.iter().map(|(id, call)| (*id, call.cancellation()));
            all.collect::<Vec<_>>()
        });
        all.iter().for_each(|(id, found)| self.cancel_found(*id, found));
    }

    fn cancel_found(&self, id: u64, (token, is_local): &(CancelToken, bool)) {
        token.cancel();
        if *is_local {
            self.complete(id, Err(call_control::canceled()), CallTrace::default());
        }
    }

    /// A network thread that ends. Closing the queue waits for it.
    pub fn keep_ending(&self, threads: Vec<EndingThread>) {
        if !threads.is_empty() {
            self.locked(|state| {
                state.ending.retain(|thread| !thread.has_ended());
                state.ending.extend(threads);
            });
        }
    }

    /// Cancels all calls, and waits until they have ended, up to a limit.
    pub fn close(&self) {
        self.locked(|state| state.is_closing = true);
        self.cancel_all();
        self.wait_until(CLOSE_TIMEOUT, |state| state.outstanding.is_empty());
        let (done, ending) = self.locked(|state| (mem::take(&mut state.done), mem::take(&mut state.ending)));
        drop(done);
        ending.into_iter().for_each(EndingThread::join);
        self.deadlines.end();
        self.workers.end(CLOSE_TIMEOUT);
    }

    fn locked<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let change = || change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        if is_network_thread() { change() } else { fork_lock::with_forks_blocked(change) }
    }
}

impl ThreadWatcher for ProcessState {
    fn thread_ended(&self, thread: ThreadNumber, proof: &NeverRunsAgain) {
        let ids = self.locked(|state| {
            let lost = state.outstanding.iter().filter(|(_, call)| call.runner.is_network_thread(thread));
            lost.map(|(id, _)| *id).collect::<Vec<_>>()
        });
        for id in ids {
            let error = transport::thread_gone().possibly_carried_out();
            self.complete_with(id, Err(error), CallTrace::default(), |runner| runner.take_back(proof));
        }
    }
}

impl Expiring for ProcessState {
    fn expire(&self, now: Instant) -> Option<Instant> {
        let (expired, next) = self.locked(|state| {
            let (mut expired, mut next) = (Vec::new(), None::<Instant>);
            for (id, call) in &state.outstanding {
                match call.runner.deadline().map(|deadline| deadline + DEADLINE_GRACE) {
                    Some(end) if end <= now => expired.push((*id, call.token.clone())),
                    Some(end) => next = Some(next.map_or(end, |next| next.min(end))),
                    None => {}
                }
            }
            (expired, next)
        });
        for (id, token) in expired {
            // Its worker need not go on.
            token.cancel();
            self.complete(id, Err(call_control::timed_out()), CallTrace::default());
        }
        next
    }
}

impl State {
    fn len(&self) -> usize {
        self.outstanding.len() + self.done.len()
    }
}

fn forked() -> Error {
    transport::unavailable("the call belongs to the process that this one was forked from").possibly_carried_out()
}
