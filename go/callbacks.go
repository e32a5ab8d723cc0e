package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"runtime/cgo"
	"sync"
	"time"
	"unsafe"
)

// The functions that C calls. A panic must not cross C, so they recover it.

// report is the error of a function of the program, and the status that C got for it.
type report struct {
	err    error
	status Status
}

// explains reports whether a call failed for this reason, and not for a later one. Otherwise the error must not
// be found in that of the call: an outage of one key does not mean that another one cannot open the message.
func (r report) explains(failure *Error) bool {
	if r.status == ErrCredentialsCallbackFailed {
		return failure.Status.Category() == CategoryCredentials
	}
	return r.status == failure.Status
}

// lastReport is the report of the last call of a function of the program, if it failed.
type lastReport struct {
	mu     sync.Mutex
	report report
	at     time.Time
}

func (l *lastReport) set(r report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report, l.at = r, time.Now()
}

// since returns the report if it is not older than a time.
func (l *lastReport) since(began time.Time) []report {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.report.err == nil || l.at.Before(began) {
		return nil
	}
	return []report{l.report}
}

// recoverToError turns a panic into an error.
func recoverToError(call func() error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		switch value := recover().(type) {
		case error:
			err = fmt.Errorf("tckms: a function of the program panicked: %w", value)
		default:
			err = fmt.Errorf("tckms: a function of the program panicked: %v", value)
		}
	}()
	err = call()
	returned = true
	return err
}

// contextOf is the context of the call in which a callback runs. Threads of the library have no such call.
func contextOf(call C.uintptr_t) context.Context {
	if call == 0 {
		return context.Background()
	}
	return cgo.Handle(call).Value().(*callState).ctx
}

// record stores the result of a function, reports a failure to the call that waits for it on this thread, and
// returns the status for C.
func record(last *lastReport, call C.uintptr_t, r report) C.int {
	last.set(r)
	if call != 0 && r.err != nil {
		state := cgo.Handle(call).Value().(*callState)
		state.reports = append(state.reports, r)
	}
	return C.int(r.status)
}

// logEvents are the log events of a completion, with the functions that get them.
type logEvents []loggedEvent

type loggedEvent struct {
	callback func(LogEvent)
	event    LogEvent
}

func (events *logEvents) deliver() {
	for _, logged := range *events {
		logged.deliver()
	}
}

func (logged loggedEvent) deliver() {
	_ = recoverToError(func() error {
		logged.callback(logged.event)
		return nil
	})
}

// A completion's events are collected for a goroutine of their own.
//
//export tckmsGoLog
func tckmsGoLog(handle, collector C.uintptr_t, event *C.tckms_log_event) {
	logged := loggedEvent{cgo.Handle(handle).Value().(func(LogEvent)), copiedEvent(event)}
	if collector == 0 {
		logged.deliver()
		return
	}
	events := cgo.Handle(collector).Value().(*logEvents)
	*events = append(*events, logged)
}

func copiedEvent(event *C.tckms_log_event) LogEvent {
	copied := LogEvent{
		Level:     LogLevel(C.tckms_log_event_level(event)),
		Message:   C.GoString(C.tckms_log_event_message(event)),
		Action:    C.GoString(C.tckms_log_event_action(event)),
		Status:    Status(C.tckms_log_event_status(event)),
		Attempt:   int(C.tckms_log_event_attempt(event)),
		RequestID: C.GoString(C.tckms_log_event_request_id(event)),
	}
	if ms := int64(C.tckms_log_event_ms(event)); ms > 0 {
		copied.Duration = time.Duration(ms) * time.Millisecond
	}
	return copied
}

//export tckmsGoCredentials
func tckmsGoCredentials(handle, call C.uintptr_t, out *C.tckms_credentials) C.int {
	provider := cgo.Handle(handle).Value().(*credentialsProvider)
	var identity Identity
	err := recoverToError(func() (err error) {
		identity, err = provider.supply(contextOf(call))
		return err
	})
	if err != nil {
		return record(&provider.last, call, report{err, statusOf(err, ErrCredentialsCallbackFailed)})
	}
	if err := identity.toC(out); err != nil {
		return record(&provider.last, call, report{err, ErrCredentialsCallbackFailed})
	}
	return record(&provider.last, call, report{})
}

// toC passes an identity to C.
func (i *Identity) toC(out *C.tckms_credentials) error {
	var m memory
	defer m.free()
	var expires C.int64_t
	if !i.Expires.IsZero() {
		expires = C.int64_t(i.Expires.Unix())
	}
	return m.checked(C.tckms_go_supply(out, m.text(i.SecretID), m.text(i.SecretKey), m.optional(i.Token), expires))
}

//export tckmsGoGenerate
func tckmsGoGenerate(handle, call C.uintptr_t, pairs *C.char, dataKey *C.uint8_t, size C.size_t,
	out *C.tckms_wrapped_key) C.int {
	return customKeyOf(handle).answer(call, func(key *CustomKey) error {
		made := make([]byte, int(size))
		defer Wipe(made)
		wrapped, err := key.Generate(contextOf(call), ContextJSON(C.GoString(pairs)), made)
		if err != nil {
			return err
		}
		copy(unsafe.Slice((*byte)(dataKey), int(size)), made)
		return wrapped.toC(out)
	})
}

//export tckmsGoWrap
func tckmsGoWrap(handle, call C.uintptr_t, pairs *C.char, dataKey *C.uint8_t, size C.size_t,
	out *C.tckms_wrapped_key) C.int {
	return customKeyOf(handle).answer(call, func(key *CustomKey) error {
		given := copied(dataKey, size)
		defer Wipe(given)
		wrapped, err := key.Wrap(contextOf(call), ContextJSON(C.GoString(pairs)), given)
		if err != nil {
			return err
		}
		return wrapped.toC(out)
	})
}

//export tckmsGoUnwrap
func tckmsGoUnwrap(handle, call C.uintptr_t, providerID *C.char, info *C.uint8_t, infoSize C.size_t,
	wrapped *C.uint8_t, wrappedSize C.size_t, pairs *C.char, dataKey *C.uint8_t, size C.size_t) C.int {
	return customKeyOf(handle).answer(call, func(key *CustomKey) error {
		given := WrappedKey{C.GoString(providerID), copied(info, infoSize), copied(wrapped, wrappedSize)}
		unwrapped := make([]byte, int(size))
		defer Wipe(unwrapped)
		if err := key.Unwrap(contextOf(call), ContextJSON(C.GoString(pairs)), given, unwrapped); err != nil {
			return err
		}
		copy(unsafe.Slice((*byte)(dataKey), int(size)), unwrapped)
		return nil
	})
}

//export tckmsGoProgress
func tckmsGoProgress(handle C.uintptr_t, done, total C.uint64_t) C.int {
	return cgo.Handle(handle).Value().(*progress).report(int64(done), int64(total))
}

//export tckmsGoForget
func tckmsGoForget(handle C.uintptr_t) {
	cgo.Handle(handle).Delete()
}
