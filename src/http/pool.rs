//! The connection pool of a network thread: the number of connections, their assignment to requests, and the closing
//! of idle ones.
//!
//! * A request uses a connection alone. At most `max_connections` requests have one; the others wait in the order in
//!   which they came.
//! * The most recently used connection is used first, so that surplus connections become idle soon and can be
//!   closed.
//! * An idle connection is monitored: it is closed if the server closes it or sends data without a request.
//! * If a reused connection brings no reply, all connections that have been idle since before the request are closed
//!   with it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;

use crate::error::{Error, Result};
use crate::http::connector::{Connector, Origin};
use crate::http::settings::{PoolLimits, Settings};
use crate::http::stream::Meter;
use crate::status::Status;

/// How long idle connections beyond `max_idle` are kept.
const SURPLUS_IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of the heads of a reply, including interim ones (1xx).
pub(crate) const HEADS_MAX: usize = 64 * 1024;

/// Whether a request may go over a connection that was used before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    Allowed,
    Never,
}

/// The state of a pool in numbers, for other threads.
#[derive(Default)]
pub(crate) struct PoolGauges {
    /// Including those that are being opened.
    open: AtomicUsize,
    idle: AtomicUsize,
    waiting: AtomicUsize,
}

/// The connections of a client, in numbers.
#[derive(Clone, Copy, Default)]
pub(crate) struct PoolNumbers {
    pub open: u64,
    pub idle: u64,
    pub waiting: u64,
}

impl PoolGauges {
    pub fn read(&self) -> PoolNumbers {
        let get = |gauge: &AtomicUsize| gauge.load(Ordering::Relaxed) as u64;
        PoolNumbers { open: get(&self.open), idle: get(&self.idle), waiting: get(&self.waiting) }
    }
}

pub(crate) struct Pool {
    connector: Connector,
    limits: PoolLimits,
    reply_max: usize,
    /// One permit for each request that has a connection. Waiters get them in order.
    permits: Semaphore,
    idle: Arc<IdleConnections>,
    gauges: Arc<PoolGauges>,
    /// The number of opened connections, in all processes.
    opened: Arc<AtomicU64>,
    /// How many times the thread has slept, and so polled all connections when it woke.
    wakes: Arc<AtomicU64>,
}

impl Pool {
    pub fn new(settings: &Settings, opened: Arc<AtomicU64>) -> Self {
        let gauges = Arc::new(PoolGauges::default());
        Self {
            connector: Connector::new(settings),
            limits: settings.pool,
            reply_max: settings.reply_max,
            permits: Semaphore::new(settings.pool.max_connections),
            idle: Arc::new(IdleConnections::new(settings.pool, Arc::clone(&gauges))),
            gauges,
            opened,
            wakes: Arc::default(),
        }
    }

    pub fn gauges(&self) -> &Arc<PoolGauges> {
        &self.gauges
    }

    /// Incremented whenever the thread has slept.
    pub fn wakes(&self) -> &Arc<AtomicU64> {
        &self.wakes
    }

    /// Longest body of a reply that is read.
    pub fn reply_max(&self) -> usize {
        self.reply_max
    }

    /// The permission for one request to use a connection. Waits until fewer than `max_connections` others have one.
    pub async fn permit(&self) -> Permit<'_> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Permit { pool: self, _permit: permit };
        }
        let _waiting = GaugeGuard::new(Arc::clone(&self.gauges), |gauges| &gauges.waiting);
        match self.permits.acquire().await {
            Ok(permit) => Permit { pool: self, _permit: permit },
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Closes idle connections when they expire, as long as it is polled.
    pub async fn close_expired(&self) {
        self.idle.close_expired().await;
    }

    /// Closes all idle connections.
    pub fn close_idle(&self) {
        self.idle.retain(|_| false);
    }

    async fn open(&self, origin: &Origin) -> Result<Connection> {
        // The permit says that fewer connections are in use than allowed: if as many are open, one of them is idle.
        if self.gauges.open.load(Ordering::Relaxed) >= self.limits.max_connections {
            self.idle.close_oldest();
        }
        let open = GaugeGuard::new(Arc::clone(&self.gauges), |gauges| &gauges.open);
        let stream = self.connector.connect(origin).await?;
        let meter = Arc::clone(stream.meter());
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(HEADS_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Error::new(Status::Internal, "the HTTP layer does not take the connection"))?;
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let closing = Closing { number, idle: Arc::clone(&self.idle), _open: open };
        let driver = tokio::spawn(async move {
            // Dropped after the connection, also when the task is aborted.
            let _closing = closing;
            // The current request gets the error.
            let _ = driver.await;
        });
        Ok(Connection {
            number,
            origin: origin.clone(),
            sender,
            meter,
            driver: driver.abort_handle(),
            idle_since_wake: 0,
        })
    }
}

/// The reaction to the end of a connection.
struct Closing {
    number: u64,
    idle: Arc<IdleConnections>,
    _open: GaugeGuard,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.idle.retain(|connection| connection.number != self.number);
        self.idle.freed.notify_one();
    }
}

/// Keeps a gauge one higher until it is dropped.
struct GaugeGuard {
    gauges: Arc<PoolGauges>,
    gauge: fn(&PoolGauges) -> &AtomicUsize,
}

impl GaugeGuard {
    fn new(gauges: Arc<PoolGauges>, gauge: fn(&PoolGauges) -> &AtomicUsize) -> Self {
        gauge(&gauges).fetch_add(1, Ordering::Relaxed);
        Self { gauges, gauge }
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        (self.gauge)(&self.gauges).fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection whose driver runs as a separate task.
struct Connection {
    number: u64,
    origin: Origin,
    sender: http1::SendRequest<Full<Bytes>>,
    meter: Arc<Meter>,
    driver: AbortHandle,
    /// The pool's `wakes` when it became idle.
    idle_since_wake: u64,
}

/// The permission for one request to use a connection.
pub(crate) struct Permit<'a> {
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
}

impl<'a> Permit<'a> {
    /// A connection for the request: the idle one that was used last, or a new one.
    pub async fn connect(self, origin: &Origin, reuse: Reuse) -> Result<Lease<'a>> {
        let idle = match reuse {
            Reuse::Allowed => self.take_idle(origin).await,
            Reuse::Never => None,
        };
        let is_reused = idle.is_some();
        let connection = match idle {
            Some(connection) => connection,
            // In a separate block: otherwise the future of every request would include the size of a TLS handshake.
            None => Box::pin(self.open(origin, reuse)).await?,
        };
        Ok(Lease { permit: self, connection: Some(connection), is_reused, taken: Instant::now() })
    }

    /// A new connection. A process that has no descriptor left for it waits for one of the others, if there are any.
    async fn open(&self, origin: &Origin, reuse: Reuse) -> Result<Connection> {
        let attempt = OpenAttempt(&self.pool.idle.freed);
        loop {
            let freed = self.pool.idle.freed.notified();
            let error = match self.pool.open(origin).await {
                Ok(connection) => {
                    attempt.succeeded();
                    return Ok(connection);
                }
                Err(error) => error,
            };
            let is_alone = self.pool.gauges.open.load(Ordering::Relaxed) == 0;
            if is_alone || !matches!(error.os_errno(), Some(libc::EMFILE | libc::ENFILE)) {
                return Err(error);
            }
            self.pool.idle.close_oldest();
            freed.await;
            if reuse == Reuse::Allowed
                && let Some(connection) = self.take_idle(origin).await
            {
                return Ok(connection);
            }
        }
    }

    async fn take_idle(&self, origin: &Origin) -> Option<Connection> {
        loop {
            let mut connection = self.pool.idle.take(origin)?;
            // The runtime looks for events and runs the drivers that have any: afterwards a connection that the server
            // closed, or that received something while it was idle, is closed here too. It did so already if the thread
            // slept while the connection was idle; once more would be one more system call.
            if connection.idle_since_wake == self.pool.wakes.load(Ordering::Relaxed) {
                tokio::task::yield_now().await;
            }
            if connection.sender.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }
}

/// An attempt to open a connection. When it ends without one, another request that waits for a descriptor tries again.
struct OpenAttempt<'a>(&'a Notify);

impl OpenAttempt<'_> {
    fn succeeded(self) {
        std::mem::forget(self);
    }
}

impl Drop for OpenAttempt<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// A connection in use by one request. It goes back to the pool when the reply is complete; otherwise it is closed.
pub(crate) struct Lease<'a> {
    permit: Permit<'a>,
    connection: Option<Connection>,
    is_reused: bool,
    taken: Instant,
}

impl Lease<'_> {
    pub fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// The number of bytes that the connection may still deliver.
    pub fn meter(&self) -> Option<&Meter> {
        self.connection.as_ref().map(|connection| &*connection.meter)
    }

    /// Sends the request and waits for the head of the reply. A request that was not sent comes back with the error.
    pub async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> std::result::Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        match &mut self.connection {
            Some(connection) => {
                connection.meter.begin_request(HEADS_MAX);
                connection.sender.try_send_request(request).await
            }
            // It was returned to the pool, which is the end of an exchange.
            None => std::future::pending().await,
        }
    }

    /// Returns the connection to the pool for other requests.
    pub fn give_back(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.idle_since_wake = self.permit.pool.wakes.load(Ordering::Relaxed);
            self.permit.pool.idle.put(connection);
        }
    }

    /// Closes the connections that have been idle since before this one was taken: they are probably broken too.
    pub fn close_siblings(&self) {
        self.permit.pool.idle.close_unused_since(self.taken);
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.driver.abort();
        }
    }
}

/// The idle connections, in the order in which they became idle.
struct IdleConnections {
    limits: PoolLimits,
    list: Mutex<IdleList>,
    /// The next one expires earlier than `close_expired` expects.
    earlier: Notify,
    /// A connection became idle, or was closed.
    freed: Notify,
    gauges: Arc<PoolGauges>,
}

#[derive(Default)]
struct IdleList {
    connections: VecDeque<(Connection, Instant)>,
    /// When `close_expired` checks again.
    next_look: Option<Instant>,
}

impl IdleConnections {
    fn new(limits: PoolLimits, gauges: Arc<PoolGauges>) -> Self {
        Self { limits, list: Mutex::default(), earlier: Notify::new(), freed: Notify::new(), gauges }
    }

    fn put(&self, connection: Connection) {
        let mut list = self.lock();
        list.connections.push_back((connection, Instant::now()));
        let next = list.next_expiry(&self.limits);
        if list.next_look.is_none_or(|look| next.is_some_and(|next| next < look)) {
            self.earlier.notify_one();
        }
        self.publish(&list);
        self.freed.notify_one();
    }

    fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut list = self.lock();
        let index = list.connections.iter().rposition(|(connection, _)| connection.origin == *origin)?;
        let (connection, _) = list.connections.remove(index)?;
        self.publish(&list);
        Some(connection)
    }

    fn close_oldest(&self) {
        let mut list = self.lock();
        list.connections.pop_front();
        self.publish(&list);
    }

    fn close_unused_since(&self, moment: Instant) {
        let mut list = self.lock();
        list.connections.retain(|(_, since)| *since > moment);
        self.publish(&list);
    }

    fn retain(&self, keep: impl Fn(&Connection) -> bool) {
        let mut list = self.lock();
        list.connections.retain(|(connection, _)| keep(connection));
        self.publish(&list);
    }

    async fn close_expired(&self) {
        loop {
            let earlier = self.earlier.notified();
            match self.close_expired_now() {
                Some(next) => drop(tokio::time::timeout_at(next.into(), earlier).await),
                None => earlier.await,
            }
        }
    }

    /// Returns when the next one expires.
    fn close_expired_now(&self) -> Option<Instant> {
        let mut list = self.lock();
        let now = Instant::now();
        while list.next_expiry(&self.limits).is_some_and(|expiry| expiry <= now) {
            list.connections.pop_front();
        }
        list.next_look = list.next_expiry(&self.limits);
        self.publish(&list);
        list.next_look
    }

    fn publish(&self, list: &IdleList) {
        self.gauges.idle.store(list.connections.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, IdleList> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdleList {
    /// When the oldest expires: sooner while there are more than are kept.
    fn next_expiry(&self, limits: &PoolLimits) -> Option<Instant> {
        let (_, since) = self.connections.front()?;
        let is_surplus = self.connections.len() > limits.max_idle;
        let timeout = if is_surplus { limits.idle_timeout.min(SURPLUS_IDLE_TIMEOUT) } else { limits.idle_timeout };
        Some(*since + timeout)
    }
}
