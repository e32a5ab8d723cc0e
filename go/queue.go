package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"os"
	"runtime/cgo"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// longestTimeout is for calls that only the client's own timeouts limit.
const longestTimeout = time.Hour

// callQueue makes a client's calls without a thread for each: C carries them out, and one goroutine waits for the
// queue's descriptor in Go's poller and takes those that are done.
type callQueue struct {
	// Ends when the file is closed.
	ended chan struct{}
	file  *os.File

	mu sync.Mutex
	// nil when the queue is closed.
	handle *C.tckms_queue
}

// queuedCall is a call that was submitted.
type queuedCall struct {
	*run
	state   int32
	outcome chan C.tckms_go_outcome
}

// terms are what a call is submitted with.
type terms = C.tckms_go_terms

// newCallQueue returns nil if the process has no descriptor left, or if Go cannot poll the queue's.
func newCallQueue(depth int) *callQueue {
	q := &callQueue{ended: make(chan struct{})}
	var fd C.int
	outcome := C.tckms_go_queue_new(C.uint64_t(depth), &q.handle, &fd)
	if outcome.status != C.TCKMS_OK {
		C.tckms_go_free(&outcome)
		return nil
	}
	q.file = os.NewFile(uintptr(fd), "tckms queue")
	raw, err := q.file.SyscallConn()
	if err == nil {
		err = q.file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		close(q.ended)
		q.close()
		return nil
	}
	go q.serve(raw)
	return q
}

// serve takes completions whenever the descriptor is readable, until the file is closed.
func (q *callQueue) serve(raw syscall.RawConn) {
	defer close(q.ended)
	_ = raw.Read(func(uintptr) bool {
		for q.takeOne() {
		}
		return false
	})
}

// takeOne completes one call, if one is done.
func (q *callQueue) takeOne() bool {
	var token C.uintptr_t
	var outcome C.tckms_go_outcome
	events := &logEvents{}
	collector := cgo.NewHandle(events)
	defer collector.Delete()
	if C.tckms_go_queue_take(q.handle, C.uintptr_t(collector), &outcome, &token) == 0 {
		return false
	}
	handle := cgo.Handle(token)
	call := handle.Value().(*queuedCall)
	handle.Delete()
	if len(*events) == 0 {
		call.complete(outcome)
		return true
	}
	// The log function may take its time, and make calls.
	go func() {
		events.deliver()
		call.complete(outcome)
	}()
	return true
}

// cancel ends a call in C if it still runs.
func (q *callQueue) cancel(id C.uint64_t) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.handle != nil {
		C.tckms_go_queue_cancel(q.handle, id)
	}
}

// close is called when no call is in the queue any more. It may run on the goroutine that serves.
func (q *callQueue) close() {
	if q == nil {
		return
	}
	go func() {
		_ = q.file.Close()
		<-q.ended
		q.mu.Lock()
		defer q.mu.Unlock()
		C.tckms_queue_free(q.handle)
		q.handle = nil
	}()
}

// queue returns the client's queue, or nil where calls have to block: a function of the program that supplies
// credentials gets the context of its call, and runs on its thread.
func (c *Client) queue() *callQueue {
	if c.hasCallbacks() {
		return nil
	}
	c.startQueue.Do(func() { c.calls = newCallQueue(cap(c.slots)) })
	return c.calls
}

// queued makes a call by way of a queue. The caller has entered the client.
func (r *run) queued(q *callQueue, c *Client) (first, second []byte, err error) {
	r.free = freeOutcome
	call := &queuedCall{run: r, outcome: make(chan C.tckms_go_outcome, 1)}
	handle := cgo.NewHandle(call)
	t := terms{queue: q.handle, client: c.handle, token: C.uintptr_t(handle), timeout_ms: r.timeoutMs(c)}
	if infoOf(r.ctx) != nil {
		t.ids = 1
	}
	outcome := r.submit(t)
	r.memory.free()
	if outcome.status != C.TCKMS_OK {
		handle.Delete()
		r.caller.leave()
		return r.take(&outcome)
	}
	select {
	case outcome := <-call.outcome:
		return r.take(&outcome)
	case <-r.ctx.Done():
		if atomic.CompareAndSwapInt32(&call.state, undecided, abandoned) {
			q.cancel(outcome.id)
			return nil, nil, &abandonedError{r.action, r.ctx.Err()}
		}
		outcome := <-call.outcome
		return r.take(&outcome)
	}
}

// complete gives a call's outcome to the goroutine that waits for it, unless its context has ended.
func (call *queuedCall) complete(outcome C.tckms_go_outcome) {
	isDelivered := atomic.CompareAndSwapInt32(&call.state, undecided, delivered)
	if !isDelivered {
		C.tckms_go_free(&outcome)
	}
	call.caller.leave()
	if isDelivered {
		call.outcome <- outcome
	}
}

// timeoutMs is the time until the context's deadline.
func (r *run) timeoutMs(c *Client) C.int64_t {
	timeout := longestTimeout
	if left, bounded := c.timeLeft(r.ctx); bounded {
		timeout, r.bounded = left, true
	}
	ms := C.int64_t(timeout / time.Millisecond)
	if ms < 1 {
		ms = 1
	}
	return ms
}

// timeLeft is the time until the context's deadline, if that is sooner than the client's total timeout.
func (c *Client) timeLeft(ctx context.Context) (left time.Duration, bounded bool) {
	deadline, some := ctx.Deadline()
	if !some {
		return 0, false
	}
	left = time.Until(deadline)
	return left, left < c.total
}
