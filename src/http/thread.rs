//! The one thread that does the network's work: a runtime with a connection pool, and requests that come in through a
//! channel.
//!
//! The blocking client of `reqwest` is built in the same way. This one differs in what it does when the ground is taken
//! from under it: a host may close every descriptor of its process, and reuse the numbers. The blocking client then panics
//! twice, which aborts the host, or writes into the host's files. Here a [`FdSentinel`] is asked before descriptors are
//! used, and when it is gone the thread stops for good: nothing is woken, dropped or closed any more.
//!
//! The time of a request is left to the caller, who sleeps anyway: a timer of the runtime would cost each call a system
//! call more.

use std::cell::OnceCell;
use std::future::{Future, poll_fn};
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::{self, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::call_control;
use crate::error::Result;
use crate::http::connector::Client;
use crate::http::exchange::{Head, HttpReply, HttpRequest, exchange};
use crate::sys::fd_sentinel::FdSentinel;
use crate::sys::{fork_lock, threads};

/// How long a caller sleeps before it looks whether the thread it waits for still works.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a thread that was told to end is waited for.
const FAREWELL: Duration = Duration::from_secs(2);

/// The callers' end of the thread. Dropping it closes the connections and ends the thread.
pub(crate) struct HttpThread {
    jobs: Option<UnboundedSender<Job>>,
    ground: Arc<Ground>,
    /// Closed by the thread when it ends. Never locked: only `drop` looks at it.
    ended: Mutex<Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why there is no outcome of a request.
pub(crate) enum Silence {
    /// The time is over, whether or not the head of a reply came. The request is given up and its connection closed.
    TooLate { http_status: Option<u16> },
    /// The thread is gone or has no descriptors any more.
    CutOff,
    /// The call was canceled. The request is given up as when the time is over.
    Canceled,
}

struct Job {
    request: HttpRequest,
    head: Head,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<HttpReply>>;
type Answered = oneshot::Receiver<Result<HttpReply>>;

impl HttpThread {
    pub fn start(client: Client) -> std::io::Result<Self> {
        let ground = Arc::new(Ground {
            sentinel: FdSentinel::new()?,
            given_up: AtomicBool::new(false),
            inside: AtomicBool::new(false),
        });
        let runtime = build_runtime(&ground)?;
        let (jobs, incoming) = unbounded_channel();
        let (end, ended) = sync_channel(0);
        let shared = Arc::clone(&ground);
        let thread = threads::spawn("tckms-http", move || {
            let _ = STANDS_ON.with(|ground| ground.set(Arc::clone(&shared)));
            shared.go_inside();
            run(runtime, incoming, client, &shared);
            shared.go_outside();
            drop::<SyncSender<()>>(end);
        })?;
        Ok(Self { jobs: Some(jobs), ground, ended: Mutex::new(ended), thread: Some(thread) })
    }

    /// Sends a request and waits for its outcome, no longer than `timeout`.
    pub fn fetch(&self, request: HttpRequest, timeout: Duration) -> std::result::Result<Result<HttpReply>, Silence> {
        let (answer, answered) = oneshot::channel();
        let head = Head::default();
        let job = Job { request, head: head.clone(), answer };
        let sent = contained(|| self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok()));
        if sent != Some(true) {
            self.ground.give_up();
            return Err(Silence::CutOff);
        }
        self.wait(answered, &head, timeout)
    }

    fn wait(
        &self,
        mut answered: Answered,
        head: &Head,
        timeout: Duration,
    ) -> std::result::Result<Result<HttpReply>, Silence> {
        let waker = Waker::from(Arc::new(Sleeper(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut now = Instant::now();
        let deadline = now + timeout;
        let mut next_look = now + LOOK_EVERY;
        loop {
            if let Poll::Ready(outcome) = Pin::new(&mut answered).poll(&mut context) {
                return outcome.map_err(|_| self.cut_off());
            }
            if call_control::is_canceled() {
                return Err(self.abandon(answered, Silence::Canceled));
            }
            if now >= next_look.min(deadline) {
                if !self.is_whole() {
                    mem::forget(answered);
                    return Err(self.cut_off());
                }
                next_look = now + LOOK_EVERY;
            }
            if now >= deadline {
                return Err(self.abandon(answered, Silence::TooLate { http_status: head.status() }));
            }
            thread::park_timeout(next_look.min(deadline) - now);
            now = Instant::now();
        }
    }

    /// Gives a request up, for this reason.
    fn abandon(&self, answered: Answered, reason: Silence) -> Silence {
        contained(|| drop(answered)).map_or_else(|| self.cut_off(), |()| reason)
    }

    fn cut_off(&self) -> Silence {
        self.ground.give_up();
        Silence::CutOff
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
            // The end of a thread gives back what the cryptography had for it.
            fork_lock::with_forks_blocked(|| self.thread.take().map(JoinHandle::join));
        }
    }
}

/// To send it something, or to stop waiting for it, wakes the thread. That is a write to a descriptor, and panics when it was
/// closed just now.
fn contained<T>(wake: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(wake)).ok()
}

/// A caller's thread that waits for an answer.
struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// What the thread stands on, as both sides see it.
struct Ground {
    sentinel: FdSentinel,
    given_up: AtomicBool,
    /// Whether the thread is counted by the gate for forks: where it stops, it may be outside already.
    inside: AtomicBool,
}

impl Ground {
    fn is_firm(&self) -> bool {
        !self.given_up.load(Ordering::Acquire) && self.sentinel.is_alive()
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    /// Runs on the thread, around each of its waits.
    fn stop_if_gone(&self) {
        if !self.is_firm() {
            self.stop();
        }
    }

    fn go_inside(&self) {
        fork_lock::enter();
        self.inside.store(true, Ordering::Relaxed);
    }

    fn go_outside(&self) {
        if self.inside.swap(false, Ordering::Relaxed) {
            fork_lock::leave();
        }
    }

    fn stop(&self) -> ! {
        self.go_outside();
        self.give_up();
        loop {
            thread::park();
        }
    }
}

thread_local! {
    /// Set on the library's own thread only.
    static STANDS_ON: OnceCell<Arc<Ground>> = const { OnceCell::new() };
}

/// Called where a panic begins, and does not return on a thread of this kind: to unwind would drop, and so close by its
/// number, what may be the host's by now.
pub(crate) fn stop_if_it_is_this_one() {
    let ground = STANDS_ON.try_with(|ground| ground.get().cloned());
    if let Ok(Some(ground)) = ground {
        ground.stop();
    }
}

fn build_runtime(ground: &Arc<Ground>) -> std::io::Result<Runtime> {
    let (before, after) = (Arc::clone(ground), Arc::clone(ground));
    runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || {
            before.go_outside();
            before.stop_if_gone();
        })
        .on_thread_unpark(move || {
            after.stop_if_gone();
            after.go_inside();
        })
        .build()
}

/// Nothing is dropped after a panic that was not stopped where it began, as in a Rust program with its own panic hook: what
/// wakes a task would be the second one, and abort the host.
fn run(runtime: Runtime, mut incoming: UnboundedReceiver<Job>, client: Client, ground: &Ground) {
    let runtime = ManuallyDrop::new(runtime);
    let mut serving = ManuallyDrop::new(Box::pin(serve(&mut incoming, client)));
    if catch_unwind(AssertUnwindSafe(|| runtime.block_on(serving.as_mut()))).is_ok() {
        drop(ManuallyDrop::into_inner(serving));
        drop(ManuallyDrop::into_inner(runtime));
        return;
    }
    ground.give_up();
    incoming.close();
    while incoming.try_recv().is_ok() {}
}

/// Takes requests in until nobody can send one any more. The pool ends here too: outside the runtime the end of a
/// connection would be a reason to wake it.
async fn serve(incoming: &mut UnboundedReceiver<Job>, client: Client) {
    while let Some(Job { request, head, answer }) = incoming.recv().await {
        tokio::spawn(carry_out(exchange(client.clone(), request, head), answer));
    }
}

/// Until there is an outcome, or nobody waits for one any more.
async fn carry_out(exchange: impl Future<Output = Result<HttpReply>>, mut answer: Answer) {
    let mut exchange = pin!(exchange);
    let outcome = poll_fn(|context| match exchange.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => answer.poll_closed(context).map(|()| None),
    });
    if let Some(outcome) = outcome.await {
        let _ = answer.send(outcome);
    }
}
