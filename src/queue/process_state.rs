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
use crate::client::Client;
use crate::error::{Error, Result};
use crate::http::thread::{ThreadNumber, ThreadWatcher, is_network_thread};
use crate::http::transport;
use crate::queue::completion::{Completion, Output, Userdata};
use crate::queue::deadlines::{DEADLINE_GRACE, DeadlineThread, Expiring};
use crate::queue::workers::WorkerPool;
use crate::sys::fork_lock;
use crate::sys::parker::Parker;
use crate::sys::ready_pipe::ReadyPipe;

/// How long freeing a queue waits for the calls that it cancels.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a forked child tries a lock that another of its threads may hold.
const LOCK_TRIES: u32 = 1000;
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
    /// Wakes the threads that wait for a completion.
    waiting: Vec<Arc<Parker>>,
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
    /// The network thread that runs it.
    pub thread: Option<ThreadNumber>,
    /// Of a call that a worker carries out. It may be inside a callback of the host: canceled, the call is done at once.
    pub deadline: Option<Instant>,
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
    pub fn forked_from(parent: &Self) -> Self {
        let live = Self::new();
        let mut tries = 0;
        let inherited = loop {
            match parent.state.try_lock() {
                Ok(state) => break Some(state),
                Err(_) if tries == LOCK_TRIES => break None,
                Err(_) => thread::yield_now(),
            }
            tries += 1;
        };
        if let Some(inherited) = inherited {
            let outstanding = inherited.outstanding.iter().map(|(id, call)| (*id, &call.userdata));
            let done = inherited.done.iter().map(|completion| (completion.id, &completion.userdata));
            let mut ids: Vec<_> = outstanding.chain(done).collect();
            ids.sort_unstable_by_key(|(id, _)| *id);
            let given_up = ids.into_iter().map(|(id, userdata)| {
                let userdata = AtomicPtr::new(userdata.load(Ordering::Relaxed));
                Completion::new(id, userdata, Err(forked()), CallTrace::default(), None)
            });
            live.locked(|state| state.done = given_up.collect());
        }
        live
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
    pub fn add(&self, id: u64, call: Outstanding, depth: usize) -> bool {
        self.locked(|state| {
            let has_room = state.len() < depth;
            if has_room {
                state.outstanding.insert(id, call);
            }
            has_room
        })
    }

    /// Removes a call that could not be started. It may already be completed, if its thread has ended.
    pub fn withdraw(&self, id: u64) -> bool {
        self.locked(|state| state.outstanding.remove(&id)).is_some()
    }

    pub fn complete(&self, id: u64, result: Result<Output>, trace: CallTrace, client: Option<Client>) {
        let (pipe, waiting) = self.locked(|state| {
            let Some(call) = state.outstanding.remove(&id) else { return (None, Vec::new()) };
            let pipe = state.pipe.clone().filter(|_| state.done.is_empty());
            if pipe.is_some() {
                self.setting_readable.store(true, Ordering::SeqCst);
            }
            state.done.push_back(Completion::new(id, call.userdata, result, trace, client));
            (pipe, mem::take(&mut state.waiting))
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
        let found =
            self.locked(|state| state.outstanding.get(&id).map(|call| (call.token.clone(), call.deadline.is_some())));
        let Some((token, is_local)) = found else { return false };
        token.cancel();
        if is_local {
            self.complete(id, Err(call_control::canceled()), CallTrace::default(), None);
        }
        true
    }

    pub fn cancel_all(&self) {
        let ids = self.locked(|state| state.outstanding.keys().copied().collect::<Vec<_>>());
        for id in ids {
            self.cancel(id);
        }
    }

    /// Cancels all calls, and waits until they have ended, up to a limit.
    pub fn close(&self) {
        self.cancel_all();
        self.wait_until(CLOSE_TIMEOUT, |state| state.outstanding.is_empty());
        let done = self.locked(|state| mem::take(&mut state.done));
        drop(done);
        self.deadlines.end();
        self.workers.end(CLOSE_TIMEOUT);
    }

    fn locked<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let change = || change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        if is_network_thread() { change() } else { fork_lock::with_forks_blocked(change) }
    }
}

impl ThreadWatcher for ProcessState {
    fn thread_ended(&self, thread: ThreadNumber) {
        let ids = self.locked(|state| {
            let lost = state.outstanding.iter().filter(|(_, call)| call.thread == Some(thread));
            lost.map(|(id, _)| *id).collect::<Vec<_>>()
        });
        for id in ids {
            let error = transport::thread_gone().possibly_carried_out();
            self.complete(id, Err(error), CallTrace::default(), None);
        }
    }
}

impl Expiring for ProcessState {
    fn expire(&self, now: Instant) -> Option<Instant> {
        let (expired, next) = self.locked(|state| {
            let (mut expired, mut next) = (Vec::new(), None::<Instant>);
            for (id, call) in &state.outstanding {
                match call.deadline.map(|deadline| deadline + DEADLINE_GRACE) {
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
            self.complete(id, Err(call_control::timed_out()), CallTrace::default(), None);
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
