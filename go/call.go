package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"runtime/cgo"
	"sync/atomic"
	"time"
)

// caller is what a call is made with: a client, a keyring, a stream.
type caller interface {
	// enter waits for a place in C and makes sure that the handle stays.
	enter(context.Context) error
	leave()
	// timeout is a context's deadline as a total timeout, or 0 when the caller's own is not later.
	timeout(context.Context) C.int64_t
	// lastReports are those of the program's own functions, from which a failure may come where the call did not ask them
	// itself, on its own thread.
	lastReports(began time.Time) []report
}

// request is what a call needs while it is in C.
type request struct {
	memory
	action string
	call   func(timeout C.int64_t) C.tckms_go_outcome
	// What gives back an outcome.
	free func(*C.tckms_go_outcome)
	// What is to be done after a call that nobody waits for any more; may be nil.
	abandoned func()
	// Whether the call is too short to be left in the background.
	short bool
}

func newRequest(action string) *request {
	return &request{action: action, free: freeOutcome}
}

func freeOutcome(outcome *C.tckms_go_outcome) { C.tckms_go_free(outcome) }

func (r *request) encryptionContext(e EncryptionContext) *C.char {
	if e == nil {
		return nil
	}
	if text, some := e.contextJSON(); some {
		return r.text(text)
	}
	return nil
}

// inBackground tells whether the caller may have its memory back before the call is over.
func (r *request) inBackground(ctx context.Context) bool {
	return ctx.Done() != nil && !r.short
}

// Who has what a call in the background returned.
const (
	undecided int32 = iota
	delivered
	abandoned
)

// do makes a call, and returns what it made. A context that ends does not wait for the call.
func (r *request) do(ctx context.Context, c caller) (first, second []byte, err error) {
	began := time.Now()
	if err := c.enter(ctx); err != nil {
		r.memory.free()
		return nil, nil, fmt.Errorf("tckms: %s: %w", r.action, err)
	}
	if !r.inBackground(ctx) {
		outcome := r.call(0)
		r.memory.free()
		c.leave()
		return r.take(c, &outcome, began, false)
	}
	state := undecided
	ended := make(chan C.tckms_go_outcome, 1)
	bounded := false
	go func() {
		// The place may have come late.
		timeout := c.timeout(ctx)
		outcome := r.call(timeout)
		r.memory.free()
		c.leave()
		bounded = timeout != 0
		if atomic.CompareAndSwapInt32(&state, undecided, delivered) {
			ended <- outcome
			return
		}
		r.free(&outcome)
		if r.abandoned != nil {
			r.abandoned()
		}
	}()
	select {
	case outcome := <-ended:
		return r.take(c, &outcome, began, bounded)
	case <-ctx.Done():
		if atomic.CompareAndSwapInt32(&state, undecided, abandoned) {
			return nil, nil, &abandonedError{r.action, ctx.Err()}
		}
		outcome := <-ended
		return r.take(c, &outcome, began, bounded)
	}
}

// abandonedError is that of a call that goes on in the background.
type abandonedError struct {
	action string
	cause  error
}

func (e *abandonedError) Error() string { return "tckms: " + e.action + ": " + e.cause.Error() }
func (e *abandonedError) Unwrap() error { return e.cause }

// take copies what a call returned, and wipes and frees C's.
func (r *request) take(c caller, outcome *C.tckms_go_outcome, began time.Time, bounded bool) (first, second []byte, err error) {
	defer r.free(outcome)
	if outcome.status == C.TCKMS_OK {
		return goBytes(outcome.first), goBytes(outcome.second), nil
	}
	failure := newError(outcome.status, outcome.error)
	failure.cause = join(r.reasons(c, failure, outcome, began))
	if bounded && failure.Status == ErrTimedOut && failure.cause == nil {
		failure.cause = context.DeadlineExceeded
	}
	return nil, nil, failure
}

// reasons are the errors of the program's own functions that a failure comes from.
func (r *request) reasons(c caller, failure *Error, outcome *C.tckms_go_outcome, began time.Time) []error {
	var reports []report
	if outcome.caught != 0 {
		reports = cgo.Handle(outcome.caught).Value().([]report)
	} else {
		reports = c.lastReports(began)
	}
	var all []error
	for _, report := range reports {
		if report.explains(failure) {
			all = append(all, report.err)
		}
	}
	return all
}
