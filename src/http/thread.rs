//! The one thread that does the network's work: a runtime with a connection pool, and requests that come in through a
//! channel.
//!
//! The blocking client of `reqwest` is built in the same way. This one differs in what it does if the host closes all
//! descriptors while the thread is running, and perhaps reuses their numbers. The blocking client then panics twice, which
//! aborts the host, or writes into the host's files. Here a [`FdSentinel`] is checked before descriptors are used, and when
//! it is gone the thread sleeps permanently: it wakes no other thread and closes no descriptor.
//!
//! The caller watches the time of its request, as it sleeps anyway: a timer of the runtime would cost each call one more
//! system call.
//!
//! The thread also carries out whole calls, those of queues. Such a call has its requests carried out in place, and
//! [`Timers`] watch its time.

use std::cell::{OnceCell, RefCell};
use std::future::poll_fn;
use std::io;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::{self, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::block_on::{self, wake_at};
use crate::call_control;
use crate::error::Result;
use crate::http::exchange::{self, HttpReply, HttpRequest, Progress, Stage};
use crate::http::pool::{Pool, PoolGauges, Reuse};
use crate::http::timers::{Key, Timers};
use crate::sys::descriptor;
use crate::sys::fd_sentinel::{FdSentinel, set_descriptor_check};
use crate::sys::lend::NeverRunsAgain;
use crate::sys::threads::{self, JoinHandle};
use crate::sys::{crypto_memory, fork_lock};

/// How often a caller that waits checks whether the thread still works.
const HEALTH_CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How long the end of the thread is waited for.
const JOIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The callers' end of the thread. Dropping it closes the connections and ends the thread.
pub(crate) struct HttpThread {
    jobs: Option<UnboundedSender<Job>>,
    health: Arc<ThreadHealth>,
    pool_gauges: Arc<PoolGauges>,
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

/// The future of a call that the thread carries out from its beginning to its end.
pub(crate) type QueuedCall = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Learns when a thread with queued calls ends before they do.
pub(crate) trait ThreadWatcher: Send + Sync {
    /// None of the calls that were spawned on this thread and have not ended ever will.
    fn thread_ended(&self, thread: ThreadNumber, proof: &NeverRunsAgain);
}

/// Unique in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadNumber(u64);

/// The thread has ended or has lost its descriptors.
pub(crate) struct ThreadGone;

enum Job {
    Exchange { request: Box<HttpRequest>, reuse: Reuse, progress: Progress, answer: Answer },
    Call(QueuedCall),
}

type Answer = oneshot::Sender<Result<HttpReply>>;
type Answered = oneshot::Receiver<Result<HttpReply>>;

impl HttpThread {
    pub fn start(pool: Pool) -> io::Result<Self> {
        static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);
        let health = Arc::new(ThreadHealth {
            number: ThreadNumber(NEXT_NUMBER.fetch_add(1, Ordering::Relaxed)),
            sentinel: FdSentinel::new()?,
            given_up: AtomicBool::new(false),
            in_fork_lock: AtomicBool::new(false),
            watchers: Mutex::default(),
        });
        let pool = Arc::new(pool);
        let pool_gauges = Arc::clone(pool.gauges());
        let (jobs, incoming) = unbounded_channel();
        let (report, started) = oneshot::channel();
        let shared = Arc::clone(&health);
        let thread = threads::spawn(c"tckms-http", move || thread_main(&shared, pool, incoming, report))?;
        block_on::block_on(started).unwrap_or_else(|_| Err(io::Error::other("the thread ended at once")))?;
        Ok(Self { jobs: Some(jobs), health, pool_gauges, thread: Some(thread) })
    }

    /// Sends a request and waits for its outcome, no longer than `timeout`.
    pub async fn fetch(
        &self,
        request: Box<HttpRequest>,
        reuse: Reuse,
        timeout: Duration,
    ) -> std::result::Result<Result<HttpReply>, NoReply> {
        let progress = Progress::default();
        if let Some(pool) = self.pool_if_current() {
            let exchange = exchange::exchange(pool, request, reuse, progress.clone());
            return self.wait(InPlace(exchange), &progress, timeout).await;
        }
        let (answer, answered) = oneshot::channel();
        self.send(Job::Exchange { request, reuse, progress: progress.clone(), answer })
            .map_err(|ThreadGone| NoReply::ThreadGone)?;
        self.wait(answered, &progress, timeout).await
    }

    /// The number of the thread. From now on `watcher` learns when the thread ends.
    pub fn watched_by(&self, watcher: &Arc<dyn ThreadWatcher>) -> ThreadNumber {
        self.health.add_watcher(watcher);
        self.health.number
    }

    /// Has the thread carry out a call.
    pub fn spawn(&self, call: QueuedCall) -> std::result::Result<(), ThreadGone> {
        // A thread that ended before it knew the watcher did not tell it, but it had given up before.
        if self.health.has_given_up() { Err(ThreadGone) } else { self.send(Job::Call(call)) }
    }

    fn send(&self, job: Job) -> std::result::Result<(), ThreadGone> {
        match catch_wake_panic(|| self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())) {
            Some(true) => Ok(()),
            _ => {
                self.health.give_up();
                Err(ThreadGone)
            }
        }
    }

    /// The connections, if this is the thread itself.
    fn pool_if_current(&self) -> Option<Arc<Pool>> {
        with_network_thread(|this| if this.is(&self.health) { this.pool.upgrade() } else { None }).flatten()
    }

    async fn wait(
        &self,
        reply: impl Reply,
        progress: &Progress,
        timeout: Duration,
    ) -> std::result::Result<Result<HttpReply>, NoReply> {
        let mut reply = Some(reply);
        let now = Instant::now();
        let deadline = now + timeout;
        let mut next_check = now + HEALTH_CHECK_INTERVAL;
        let outcome = poll_fn(|context| {
            let Some(waiting) = reply.as_mut() else { return Poll::Pending };
            if let Poll::Ready(outcome) = waiting.poll_reply(context) {
                return Poll::Ready(outcome.map_err(|ThreadGone| self.thread_gone()));
            }
            if call_control::is_canceled() {
                return Poll::Ready(Err(self.abandon(reply.take(), NoReply::Canceled)));
            }
            let now = Instant::now();
            if now >= next_check {
                if !self.is_alive() {
                    mem::forget(reply.take());
                    return Poll::Ready(Err(self.thread_gone()));
                }
                next_check = now + HEALTH_CHECK_INTERVAL;
            }
            if now >= deadline {
                progress.out_of_time();
                return Poll::Ready(Err(self.abandon(reply.take(), NoReply::TimedOut(progress.stage()))));
            }
            wake_at(next_check.min(deadline));
            Poll::Pending
        });
        outcome.await
    }

    /// Gives a request up, for this reason.
    fn abandon(&self, reply: Option<impl Reply>, reason: NoReply) -> NoReply {
        catch_wake_panic(|| drop(reply)).map_or_else(|| self.thread_gone(), |()| reason)
    }

    fn thread_gone(&self) -> NoReply {
        self.health.give_up();
        NoReply::ThreadGone
    }

    pub fn is_alive(&self) -> bool {
        // The thread itself checks its descriptors whenever it slept.
        let is_current = with_network_thread(|this| this.is(&self.health)) == Some(true);
        if is_current { !self.health.has_given_up() } else { self.health.is_alive() }
    }

    /// What the connections are doing.
    pub fn pool_gauges(&self) -> &PoolGauges {
        &self.pool_gauges
    }
}

impl Drop for HttpThread {
    fn drop(&mut self) {
        let jobs = self.jobs.take();
        if !self.health.is_alive() {
            mem::forget(jobs);
            return;
        }
        let told = catch_wake_panic(|| drop(jobs)).is_some();
        // The last queued call of a client may drop this on the thread itself, which ends after it.
        if with_network_thread(|this| this.is(&self.health)) == Some(true) {
            return;
        }
        if let Some(thread) = self.thread.take().filter(|_| told).and_then(|thread| keep_ending(EndingThread(thread))) {
            thread.join();
        }
    }
}

/// A network thread that closes its connections and ends.
pub(crate) struct EndingThread(JoinHandle<()>);

thread_local! {
    static ENDING: RefCell<Option<Vec<EndingThread>>> = const { RefCell::new(None) };
}

impl EndingThread {
    pub fn has_ended(&self) -> bool {
        self.0.wait(Duration::ZERO)
    }

    /// Waits for the end, up to a limit.
    pub fn join(self) {
        if self.0.wait(JOIN_TIMEOUT) {
            // The end of a thread frees its state in the cryptography.
            fork_lock::with_forks_blocked(|| drop(self.0.join()));
        }
    }
}

/// Runs something that may free clients, without waiting for the network threads that end with them.
pub(crate) fn without_waiting(part: impl FnOnce()) -> Vec<EndingThread> {
    let outer = ENDING.replace(Some(Vec::new()));
    part();
    ENDING.replace(outer).unwrap_or_default()
}

/// Returns the thread where its end is to be waited for.
fn keep_ending(thread: EndingThread) -> Option<EndingThread> {
    ENDING.with_borrow_mut(|ending| match ending {
        Some(ending) => {
            ending.push(thread);
            None
        }
        None => Some(thread),
    })
}

/// Where the outcome of a request comes from.
trait Reply {
    fn poll_reply(&mut self, context: &mut Context<'_>) -> Poll<std::result::Result<Result<HttpReply>, ThreadGone>>;
}

/// From the network thread.
impl Reply for Answered {
    fn poll_reply(&mut self, context: &mut Context<'_>) -> Poll<std::result::Result<Result<HttpReply>, ThreadGone>> {
        Pin::new(self).poll(context).map_err(|_| ThreadGone)
    }
}

/// From the exchange itself, on the network thread.
struct InPlace<E>(E);

impl<E: Future<Output = Result<HttpReply>> + Unpin> Reply for InPlace<E> {
    fn poll_reply(&mut self, context: &mut Context<'_>) -> Poll<std::result::Result<Result<HttpReply>, ThreadGone>> {
        Pin::new(&mut self.0).poll(context).map(Ok)
    }
}

/// Runs what wakes the thread: sending it something, or no longer waiting for it. That writes to a descriptor, and panics if
/// the host has just closed it.
fn catch_wake_panic<T>(wake: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(wake)).ok()
}

/// Whether the thread can go on, as both sides see it.
struct ThreadHealth {
    number: ThreadNumber,
    sentinel: FdSentinel,
    given_up: AtomicBool,
    /// Whether the fork lock counts the thread, which may stop in either state.
    in_fork_lock: AtomicBool,
    watchers: Mutex<Vec<Weak<dyn ThreadWatcher>>>,
}

impl ThreadHealth {
    fn is_alive(&self) -> bool {
        !self.has_given_up() && self.sentinel.is_alive()
    }

    fn has_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
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
        self.give_up();
        threads::sleep_forever(|proof| {
            self.notify_watchers(proof);
            self.leave_fork_lock();
        })
    }

    fn add_watcher(&self, watcher: &Arc<dyn ThreadWatcher>) {
        let watcher = Arc::downgrade(watcher);
        let mut watchers = self.watchers();
        if !watchers.iter().any(|known| known.ptr_eq(&watcher)) {
            watchers.retain(|known| known.strong_count() > 0);
            watchers.push(watcher);
        }
    }

    /// On the thread itself, within the fork lock, which protects what watchers change.
    fn notify_watchers(&self, proof: &NeverRunsAgain) {
        if !self.in_fork_lock.load(Ordering::Relaxed) {
            self.enter_fork_lock();
        }
        for watcher in mem::take(&mut *self.watchers()) {
            if let Some(watcher) = watcher.upgrade() {
                watcher.thread_ended(self.number, proof);
            }
        }
    }

    fn watchers(&self) -> MutexGuard<'_, Vec<Weak<dyn ThreadWatcher>>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread-local state of a network thread.
struct NetworkThreadState {
    health: Arc<ThreadHealth>,
    /// The pool ends with the runtime.
    pool: Weak<Pool>,
    timers: Timers,
}

impl NetworkThreadState {
    fn is(&self, health: &Arc<ThreadHealth>) -> bool {
        Arc::ptr_eq(&self.health, health)
    }
}

thread_local! {
    /// Set on network threads only.
    static NETWORK_THREAD: OnceCell<NetworkThreadState> = const { OnceCell::new() };
}

fn with_network_thread<T>(look: impl FnOnce(&NetworkThreadState) -> T) -> Option<T> {
    NETWORK_THREAD.try_with(|thread| thread.get().map(look)).ok().flatten()
}

/// Whether this is a network thread, which is within the fork lock whenever it does not sleep.
pub(crate) fn is_network_thread() -> bool {
    with_network_thread(|_| ()).is_some()
}

fn stop_if_descriptors_gone() {
    if let Some(health) = with_network_thread(|this| Arc::clone(&this.health)) {
        health.stop_if_gone();
    }
}

/// Called where a panic begins. It does not return on a network thread: unwinding would drop descriptors, and so close by
/// number what may belong to the host by now.
pub(crate) fn stop_if_network_thread() {
    if let Some(health) = with_network_thread(|this| Arc::clone(&this.health)) {
        health.stop();
    }
}

/// All that the thread does. It reports whether it could start.
fn thread_main(
    health: &Arc<ThreadHealth>,
    pool: Arc<Pool>,
    incoming: UnboundedReceiver<Job>,
    report: oneshot::Sender<io::Result<()>>,
) {
    let this =
        NetworkThreadState { health: Arc::clone(health), pool: Arc::downgrade(&pool), timers: Timers::default() };
    let _ = NETWORK_THREAD.with(|thread| thread.set(this));
    set_descriptor_check(stop_if_descriptors_gone);
    let memory = if crypto_memory::prepare_thread() { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) };
    let runtime = memory
        .and_then(|()| threads::make_handle())
        .and_then(|()| descriptor::with_standard_occupied(|| build_runtime(health, pool.wakes())));
    match runtime {
        Ok(runtime) => {
            let _ = report.send(Ok(()));
            health.enter_fork_lock();
            run(runtime, incoming, pool, health);
            health.leave_fork_lock();
        }
        Err(error) => drop(report.send(Err(error))),
    }
}

fn build_runtime(health: &Arc<ThreadHealth>, wakes: &Arc<AtomicU64>) -> io::Result<Runtime> {
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
    while let Ok(job) = incoming.try_recv() {
        if let Job::Call(call) = job {
            mem::forget(call);
        }
    }
    health.stop();
}

/// Takes requests in until no handle can send one any more. The idle connections are closed here: outside the runtime the
/// end of a connection would be a reason to wake it.
async fn serve(incoming: &mut UnboundedReceiver<Job>, pool: Arc<Pool>) {
    let expiring = Arc::clone(&pool);
    tokio::spawn(async move { expiring.close_expired().await });
    if let Some(timers) = with_network_thread(|this| this.timers.firing(HEALTH_CHECK_INTERVAL, due_timers)) {
        tokio::spawn(timers);
    }
    while let Some(job) = incoming.recv().await {
        match job {
            Job::Exchange { request, reuse, progress, answer } => {
                let exchange = exchange::exchange(Arc::clone(&pool), request, reuse, progress);
                tokio::spawn(carry_out(exchange, answer));
            }
            Job::Call(call) => drop(tokio::spawn(carry_out_call(call))),
        }
    }
    pool.close_idle();
}

fn due_timers(now: Instant) -> Option<Instant> {
    with_network_thread(|this| this.timers.fire(now)).flatten()
}

/// Polls a queued call whenever it is woken, and when it asked for it.
async fn carry_out_call(mut call: QueuedCall) {
    let mut timer = CallTimer(None);
    let mut waker: Option<Waker> = None;
    poll_fn(|context| {
        let waker = waker.get_or_insert_with(|| call_waker(context.waker()));
        let (outcome, wake_at) = block_on::poll(call.as_mut(), &mut Context::from_waker(waker));
        if let (Poll::Pending, Some(at)) = (&outcome, wake_at) {
            with_network_thread(|this| this.timers.set(&mut timer.0, at, context.waker()));
        }
        outcome
    })
    .await;
}

/// When a call is polled at the latest.
struct CallTimer(Option<Key>);

impl Drop for CallTimer {
    fn drop(&mut self) {
        if let Some(key) = &self.0 {
            with_network_thread(|this| this.timers.remove(key));
        }
    }
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

/// What wakes a queued call, from any thread: the runtime's waker writes to a descriptor, which may not be the library's any
/// more.
struct CallWaker {
    runtime: Waker,
    health: Arc<ThreadHealth>,
}

fn call_waker(runtime: &Waker) -> Waker {
    let of_thread =
        |this: &NetworkThreadState| CallWaker { runtime: runtime.clone(), health: Arc::clone(&this.health) };
    with_network_thread(of_thread).map_or_else(|| runtime.clone(), |waker| Arc::new(waker).into())
}

impl Wake for CallWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if with_network_thread(|this| this.is(&self.health)) == Some(true) {
            self.runtime.wake_by_ref();
        } else if self.health.is_alive() && catch_wake_panic(|| self.runtime.wake_by_ref()).is_none() {
            self.health.give_up();
        }
    }
}
