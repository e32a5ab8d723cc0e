//! The one thread that does the network's work: a runtime with a connection pool, and requests that come in through a
//! channel.
//!
//! `reqwest` has such a thread in its blocking client. This one differs in what it does when the ground is taken from
//! under it: a host may close every descriptor of its process, and reuse the numbers. The blocking client then panics
//! twice, which aborts the host, or writes into the host's files. Here a [`Canary`] is asked before descriptors are
//! used, and when it is gone the thread stops for good: nothing is woken, dropped or closed any more.

use std::collections::HashMap;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use reqwest::{Client, Request};
use tokio::runtime::{self, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::error::Result;
use crate::process::Canary;
use crate::reply::HttpReply;
use crate::transport::exchange;

/// The panic hook knows it by this, and prints nothing.
pub(crate) const NAME: &str = "tckms-http";

/// How much longer than a request's own timeout its caller waits: the thread has the better error to tell.
const GRACE: Duration = Duration::from_millis(50);
/// How long a thread that was told to end is waited for.
const FAREWELL: Duration = Duration::from_secs(2);

/// The callers' end of the thread. Dropping it closes the connections and ends the thread.
pub(crate) struct HttpThread {
    jobs: Option<UnboundedSender<Job>>,
    ground: Arc<Ground>,
    /// Closed by the thread when it ends. Never locked: only `drop` looks at it.
    ended: Mutex<Receiver<()>>,
    thread: Option<JoinHandle<()>>,
    numbers: AtomicU64,
}

/// Why there is no outcome of a request.
pub(crate) enum Silence {
    /// The time is over, and the thread is busy with it still.
    TooLate,
    /// The thread is gone or has no descriptors any more.
    CutOff,
}

struct Job {
    number: u64,
    request: Request,
    answer: Answer,
}

type Answer = SyncSender<Result<HttpReply>>;

impl HttpThread {
    pub fn start(client: Client) -> std::io::Result<Self> {
        let ground = Arc::new(Ground::new()?);
        let runtime = build_runtime(&ground)?;
        let (jobs, incoming) = unbounded_channel();
        let (end, ended) = sync_channel(0);
        let shared = Arc::clone(&ground);
        let thread = thread::Builder::new().name(NAME.into()).spawn(move || {
            run(runtime, incoming, client, &shared);
            drop::<SyncSender<()>>(end);
        })?;
        Ok(Self {
            jobs: Some(jobs),
            ground,
            ended: Mutex::new(ended),
            thread: Some(thread),
            numbers: AtomicU64::new(0),
        })
    }

    /// Sends a request, which carries a timeout of its own, and waits for its outcome.
    pub fn fetch(&self, request: Request, timeout: Duration) -> std::result::Result<Result<HttpReply>, Silence> {
        let (answer, answered) = sync_channel(1);
        let job = Job { number: self.numbers.fetch_add(1, Ordering::Relaxed), request, answer };
        let sent = contained(|| self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok()));
        if sent != Some(true) {
            self.ground.give_up();
            return Err(Silence::CutOff);
        }
        match answered.recv_timeout(timeout.saturating_add(GRACE)) {
            Ok(outcome) => Ok(outcome),
            Err(RecvTimeoutError::Timeout) if self.is_whole() => Err(Silence::TooLate),
            Err(_) => {
                self.ground.give_up();
                Err(Silence::CutOff)
            }
        }
    }

    pub fn is_whole(&self) -> bool {
        self.ground.is_firm()
    }
}

impl Drop for HttpThread {
    fn drop(&mut self) {
        let jobs = self.jobs.take();
        if !self.is_whole() {
            mem::forget(jobs);
            return;
        }
        let told = contained(|| drop(jobs)).is_some();
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if told && ended.recv_timeout(FAREWELL) == Err(RecvTimeoutError::Disconnected) {
            let _ = self.thread.take().map(JoinHandle::join);
        }
    }
}

/// Waking the thread is a write to a descriptor, and panics when that was closed just now.
fn contained<T>(wake: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(wake)).ok()
}

/// What the thread stands on, as both sides see it.
struct Ground {
    canary: Canary,
    given_up: AtomicBool,
    /// The callers that wait; apart from their requests, so that they can be let go when those are left as they lie.
    waiting: Mutex<HashMap<u64, Answer>>,
}

impl Ground {
    fn new() -> std::io::Result<Self> {
        let (given_up, waiting) = (AtomicBool::new(false), Mutex::default());
        Ok(Self { canary: Canary::new()?, given_up, waiting })
    }

    fn is_firm(&self) -> bool {
        !self.given_up.load(Ordering::Acquire) && self.canary.is_alive()
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Answer>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs on the thread, around each of its waits.
    fn stop_if_gone(&self) {
        if !self.is_firm() {
            self.give_up();
            self.waiting().clear();
            loop {
                thread::park();
            }
        }
    }
}

/// Lets a caller go when its request is over, in whatever way.
struct Ticket {
    number: u64,
    ground: Arc<Ground>,
}

impl Ticket {
    fn answer(&self, outcome: Result<HttpReply>) {
        let answer = self.ground.waiting().remove(&self.number);
        // Nobody listens any more when the time is over.
        let _ = answer.map(|answer| answer.try_send(outcome));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.ground.waiting().remove(&self.number);
    }
}

fn build_runtime(ground: &Arc<Ground>) -> std::io::Result<Runtime> {
    let look = || {
        let ground = Arc::clone(ground);
        move || ground.stop_if_gone()
    };
    runtime::Builder::new_current_thread().enable_all().on_thread_park(look()).on_thread_unpark(look()).build()
}

/// Nothing is dropped after a panic: what wakes a task would be the second one, and abort the host.
fn run(runtime: Runtime, mut incoming: UnboundedReceiver<Job>, client: Client, ground: &Arc<Ground>) {
    let runtime = ManuallyDrop::new(runtime);
    let mut serving = ManuallyDrop::new(Box::pin(serve(&mut incoming, client, Arc::clone(ground))));
    if catch_unwind(AssertUnwindSafe(|| runtime.block_on(serving.as_mut()))).is_ok() {
        drop(ManuallyDrop::into_inner(serving));
        drop(ManuallyDrop::into_inner(runtime));
        return;
    }
    ground.give_up();
    ground.waiting().clear();
    incoming.close();
    while incoming.try_recv().is_ok() {}
}

/// Takes requests in until nobody can send one any more. The pool ends here too: outside the runtime the end of a
/// connection would be a reason to wake it.
async fn serve(incoming: &mut UnboundedReceiver<Job>, client: Client, ground: Arc<Ground>) {
    while let Some(Job { number, request, answer }) = incoming.recv().await {
        ground.waiting().insert(number, answer);
        let ticket = Ticket { number, ground: Arc::clone(&ground) };
        let client = client.clone();
        tokio::spawn(async move { ticket.answer(exchange(client, request).await) });
    }
}
