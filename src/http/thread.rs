//! The one thread that does the network's work: a runtime with a connection pool, and requests that come in through a
//! channel.
//!
//! The blocking client of `reqwest` is built in the same way. This one differs in what it does if the host closes all
//! descriptors while the thread is running, and perhaps reuses their numbers. The blocking client then panics twice, which
//! aborts the host, or writes into the host's files. Here a [`FdSentinel`] is checked before descriptors are used, and when
//! it is gone the thread stops for good: it wakes, drops and closes nothing any more.
//!
//! The caller watches the time of its request, as it sleeps anyway: a timer of the runtime would cost each call one more
//! system call.

use std::cell::OnceCell;
use std::future::{Future, poll_fn};
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
use crate::http::exchange::{self, HttpReply, HttpRequest, Progress, Stage};
use crate::http::pool::{Pool, PoolGauges, Reuse};
use crate::sys::descriptor;
use crate::sys::fd_sentinel::FdSentinel;
use crate::sys::{fork_lock, threads};

/// How often a caller that waits checks whether the thread still works.
const HEALTH_CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How long the end of the thread is waited for.
const JOIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The callers' end of the thread. Dropping it closes the connections and ends the thread.
pub(crate) struct HttpThread {
    jobs: Option<UnboundedSender<Job>>,
    health: Arc<ThreadHealth>,
    pool_gauges: Arc<PoolGauges>,
    /// Closed by the thread when it ends. Never locked: only `drop` looks at it.
    ended: Mutex<Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why there is no outcome of a request.
pub(crate) enum NoReply {
    /// The time is over, at this stage. The request is given up and its connection closed.
    TimedOut(Stage),
    /// The thread has ended or has lost its descriptors.
    ThreadGone,
    /// The call was canceled. The request is given up as when the time is over.
    Canceled,
}

struct Job {
    request: HttpRequest,
    reuse: Reuse,
    progress: Progress,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<HttpReply>>;
type Answered = oneshot::Receiver<Result<HttpReply>>;

impl HttpThread {
    pub fn start(pool: Pool) -> std::io::Result<Self> {
        let health = Arc::new(ThreadHealth {
            sentinel: FdSentinel::new()?,
            given_up: AtomicBool::new(false),
            in_fork_lock: AtomicBool::new(false),
        });
        let pool = Arc::new(pool);
        let runtime = descriptor::with_standard_occupied(|| build_runtime(&health, pool.wakes()))?;
        let pool_gauges = Arc::clone(pool.gauges());
        let (jobs, incoming) = unbounded_channel();
        let (end, ended) = sync_channel(0);
        let shared = Arc::clone(&health);
        let thread = threads::spawn("tckms-http", move || {
            let _ = OWN_HEALTH.with(|health| health.set(Arc::clone(&shared)));
            shared.enter_fork_lock();
            run(runtime, incoming, pool, &shared);
            shared.leave_fork_lock();
            drop::<SyncSender<()>>(end);
        })?;
        Ok(Self { jobs: Some(jobs), health, pool_gauges, ended: Mutex::new(ended), thread: Some(thread) })
    }

    /// Sends a request and waits for its outcome, no longer than `timeout`.
    pub fn fetch(
        &self,
        request: HttpRequest,
        reuse: Reuse,
        timeout: Duration,
    ) -> std::result::Result<Result<HttpReply>, NoReply> {
        let (answer, answered) = oneshot::channel();
        let progress = Progress::default();
        let job = Job { request, reuse, progress: progress.clone(), answer };
        let sent = catch_wake_panic(|| self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok()));
        if sent != Some(true) {
            self.health.give_up();
            return Err(NoReply::ThreadGone);
        }
        self.wait(answered, &progress, timeout)
    }

    fn wait(
        &self,
        mut answered: Answered,
        progress: &Progress,
        timeout: Duration,
    ) -> std::result::Result<Result<HttpReply>, NoReply> {
        let waker = Waker::from(Arc::new(ParkedCaller(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut now = Instant::now();
        let deadline = now + timeout;
        let mut next_check = now + HEALTH_CHECK_INTERVAL;
        loop {
            if let Poll::Ready(outcome) = Pin::new(&mut answered).poll(&mut context) {
                return outcome.map_err(|_| self.thread_gone());
            }
            if call_control::is_canceled() {
                return Err(self.abandon(answered, NoReply::Canceled));
            }
            if now >= next_check.min(deadline) {
                if !self.is_alive() {
                    mem::forget(answered);
                    return Err(self.thread_gone());
                }
                next_check = now + HEALTH_CHECK_INTERVAL;
            }
            if now >= deadline {
                progress.out_of_time();
                return Err(self.abandon(answered, NoReply::TimedOut(progress.stage())));
            }
            thread::park_timeout(next_check.min(deadline) - now);
            now = Instant::now();
        }
    }

    /// Gives a request up, for this reason.
    fn abandon(&self, answered: Answered, reason: NoReply) -> NoReply {
        catch_wake_panic(|| drop(answered)).map_or_else(|| self.thread_gone(), |()| reason)
    }

    fn thread_gone(&self) -> NoReply {
        self.health.give_up();
        NoReply::ThreadGone
    }

    pub fn is_alive(&self) -> bool {
        self.health.is_alive()
    }

    /// What the connections are doing.
    pub fn pool_gauges(&self) -> &PoolGauges {
        &self.pool_gauges
    }
}

impl Drop for HttpThread {
    fn drop(&mut self) {
        let jobs = self.jobs.take();
        if !self.is_alive() {
            mem::forget(jobs);
            return;
        }
        let told = catch_wake_panic(|| drop(jobs)).is_some();
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if told && ended.recv_timeout(JOIN_TIMEOUT) == Err(RecvTimeoutError::Disconnected) {
            // The end of a thread frees its state in the cryptography.
            fork_lock::with_forks_blocked(|| self.thread.take().map(JoinHandle::join));
        }
    }
}

/// Runs what wakes the thread: sending it something, or no longer waiting for it. That writes to a descriptor, and panics if
/// the host has just closed it.
fn catch_wake_panic<T>(wake: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(wake)).ok()
}

/// A caller's thread that waits for a reply.
struct ParkedCaller(Thread);

impl Wake for ParkedCaller {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Whether the thread can go on, as both sides see it.
struct ThreadHealth {
    sentinel: FdSentinel,
    given_up: AtomicBool,
    /// Whether the fork lock counts the thread, which may stop in either state.
    in_fork_lock: AtomicBool,
}

impl ThreadHealth {
    fn is_alive(&self) -> bool {
        !self.given_up.load(Ordering::Acquire) && self.sentinel.is_alive()
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    /// Called on the thread before and after each wait.
    fn stop_if_gone(&self) {
        if !self.is_alive() {
            self.stop();
        }
    }

    fn enter_fork_lock(&self) {
        fork_lock::enter();
        self.in_fork_lock.store(true, Ordering::Relaxed);
    }

    fn leave_fork_lock(&self) {
        if self.in_fork_lock.swap(false, Ordering::Relaxed) {
            fork_lock::leave();
        }
    }

    fn stop(&self) -> ! {
        self.leave_fork_lock();
        self.give_up();
        loop {
            thread::park();
        }
    }
}

thread_local! {
    /// Set on the library's own thread only.
    static OWN_HEALTH: OnceCell<Arc<ThreadHealth>> = const { OnceCell::new() };
}

/// Called where a panic begins. It does not return on a network thread: unwinding would drop descriptors, and so close by
/// number what may belong to the host by now.
pub(crate) fn stop_if_network_thread() {
    let health = OWN_HEALTH.try_with(|health| health.get().cloned());
    if let Ok(Some(health)) = health {
        health.stop();
    }
}

fn build_runtime(health: &Arc<ThreadHealth>, wakes: &Arc<AtomicU64>) -> std::io::Result<Runtime> {
    let wakes = Arc::clone(wakes);
    let (before, after) = (Arc::clone(health), Arc::clone(health));
    runtime::Builder::new_current_thread()
        .enable_all()
        // What a caller has given up is dropped before the caller's next request begins: it might get a connection that
        // the drop would have closed. Only the first of the two is woken from another thread.
        .global_queue_interval(1)
        .on_thread_park(move || {
            before.leave_fork_lock();
            before.stop_if_gone();
        })
        .on_thread_unpark(move || {
            after.stop_if_gone();
            after.enter_fork_lock();
            wakes.fetch_add(1, Ordering::Relaxed);
        })
        .build()
}

/// After a panic that was not stopped where it began, as in a Rust program with its own panic hook, nothing is dropped: waking
/// a task would panic again, and abort the host.
fn run(runtime: Runtime, mut incoming: UnboundedReceiver<Job>, pool: Arc<Pool>, health: &ThreadHealth) {
    let runtime = ManuallyDrop::new(runtime);
    let mut serving = ManuallyDrop::new(Box::pin(serve(&mut incoming, pool)));
    if catch_unwind(AssertUnwindSafe(|| runtime.block_on(serving.as_mut()))).is_ok() {
        drop(ManuallyDrop::into_inner(serving));
        drop(ManuallyDrop::into_inner(runtime));
        return;
    }
    health.give_up();
    incoming.close();
    while incoming.try_recv().is_ok() {}
}

/// Takes requests in until no handle can send one any more. The idle connections are closed here: outside the runtime the
/// end of a connection would be a reason to wake it.
async fn serve(incoming: &mut UnboundedReceiver<Job>, pool: Arc<Pool>) {
    let expiring = Arc::clone(&pool);
    tokio::spawn(async move { expiring.close_expired().await });
    while let Some(Job { request, reuse, progress, answer }) = incoming.recv().await {
        let exchange = exchange::exchange(Arc::clone(&pool), request, reuse, progress);
        tokio::spawn(carry_out(exchange, answer));
    }
    pool.close_idle();
}

/// Until there is an outcome, or the caller has stopped waiting for one.
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
