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

// caller is the object that makes a call: a client, a keyring, a stream.
type caller interface {
	// enter waits for a slot and retains the handle.
	enter(context.Context) error
	leave()
	// derive makes a client that a context can cancel, or nil if single calls cannot be canceled.
	derive(context.Context) (*derivedClient, error)
	// hasCallbacks reports whether functions of the program may run in a call.
	hasCallbacks() bool
	// lastReports returns the latest reports of the program's functions. They may explain a
	// failure if the call did not run the functions itself, on its own thread.
	lastReports(began time.Time) []report
}

// request has the state of a call while it is in C.
type request struct {
	memory
	action string
	call   func(how C.tckms_go_how) C.tckms_go_outcome
	// Submits the call to a queue; nil if it has to block.
	submit func(t terms) C.tckms_go_outcome
	// What frees an outcome.
	free func(*C.tckms_go_outcome)
	// Called after an abandoned call has ended; may be nil.
	abandoned func()
	// Whether the call is too short to be left in the background.
	short bool
	// Whether it is one of several calls for one message.
	part bool
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

// inBackground reports whether the caller may get its memory back before the call ends.
func (r *request) inBackground(ctx context.Context) bool {
	return ctx.Done() != nil && !r.short
}

// Who owns the outcome of a call in the background.
const (
	undecided int32 = iota
	delivered
	abandoned
)

// callState is the state of a call for callbacks that run on its thread.
type callState struct {
	ctx     context.Context
	reports []report
}

// run is one execution of a request in C.
type run struct {
	*request
	caller  caller
	ctx     context.Context
	derived *derivedClient
	// Whether the context's deadline is sooner than the client's total timeout.
	bounded bool
	state   *callState
	began   time.Time
}

// inC makes the call, on one thread until it returns.
func (r *run) inC() C.tckms_go_outcome {
	how := C.tckms_go_how{client: r.derived.borrow()}
	if infoOf(r.ctx) != nil {
		how.ids = 1
	}
	if r.caller.hasCallbacks() {
		r.state = &callState{ctx: r.ctx}
		handle := cgo.NewHandle(r.state)
		defer handle.Delete()
		how.call = C.uintptr_t(handle)
	}
	outcome := r.call(how)
	r.derived.free()
	r.memory.free()
	r.caller.leave()
	return outcome
}

// do makes a call and returns its result. If the context ends, do returns without waiting for
// the call, which is canceled if possible.
func (r *request) do(ctx context.Context, c caller) (first, second []byte, err error) {
	made := &run{request: r, caller: c, ctx: ctx, began: time.Now()}
	if err := c.enter(ctx); err != nil {
		r.memory.free()
		return nil, nil, fmt.Errorf("tckms: %s: %w", r.action, err)
	}
	if client, some := c.(*Client); some && r.submit != nil {
		if q := client.queue(); q != nil {
			return made.queued(q, client)
		}
	}
	if !r.inBackground(ctx) {
		outcome := made.inC()
		return made.take(&outcome)
	}
	// Only now, because the slot may have become free late.
	if made.derived, err = c.derive(ctx); err != nil {
		r.memory.free()
		c.leave()
		return nil, nil, err
	}
	made.bounded = made.derived.isBounded()
	state := undecided
	ended := make(chan C.tckms_go_outcome, 1)
	go func() {
		outcome := made.inC()
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
		return made.take(&outcome)
	case <-ctx.Done():
		if atomic.CompareAndSwapInt32(&state, undecided, abandoned) {
			made.derived.cancel()
			return nil, nil, &abandonedError{r.action, ctx.Err()}
		}
		outcome := <-ended
		return made.take(&outcome)
	}
}

// abandonedError is the error of a call that continues in the background.
type abandonedError struct {
	action string
	cause  error
}

func (e *abandonedError) Error() string { return "tckms: " + e.action + ": " + e.cause.Error() }
func (e *abandonedError) Unwrap() error { return e.cause }

// take copies the result of a call, and wipes and frees C's copy.
func (r *run) take(outcome *C.tckms_go_outcome) (first, second []byte, err error) {
	defer r.free(outcome)
	if info := infoOf(r.ctx); info != nil && !(r.part && *outcome.request_id == 0) {
		*info = CallInfo{C.GoString(outcome.request_id), C.GoString(outcome.key_id)}
	}
	if outcome.status == C.TCKMS_OK {
		return goBytes(outcome.first), goBytes(outcome.second), nil
	}
	failure := r.memory.failure(outcome)
	failure.cause = join(r.reasons(failure))
	if r.bounded && failure.Status == ErrTimedOut && failure.cause == nil {
		failure.cause = context.DeadlineExceeded
	}
	return nil, nil, failure
}

// reasons returns the errors of the program's functions that explain a failure.
func (r *run) reasons(failure *Error) []error {
	var reports []report
	if r.state != nil {
		reports = r.state.reports
	}
	if len(reports) == 0 {
		reports = r.caller.lastReports(r.began)
	}
	var all []error
	for _, report := range reports {
		if report.explains(failure) {
			all = append(all, report.err)
		}
	}
	return all
}
