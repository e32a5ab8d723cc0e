package tckms

// #include "shim.h"
import "C"

import (
	"fmt"
	"runtime/cgo"
	"sync"
	"time"
	"unsafe"
)

// What C calls. A panic must not go through C, so it ends in these functions.

// lastError is what a function of the program failed with when it was called last, if it failed.
type lastError struct {
	mu  sync.Mutex
	err error
	at  time.Time
}

func (l *lastError) set(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err, l.at = err, time.Now()
}

// since is the error, unless it is older than that.
func (l *lastError) since(began time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at.Before(began) {
		return nil
	}
	return l.err
}

// protected turns a panic into an error.
func protected(call func() error) (err error) {
	defer func() {
		switch value := recover().(type) {
		case nil:
		case error:
			err = fmt.Errorf("tckms: a function of the program panicked: %w", value)
		default:
			err = fmt.Errorf("tckms: a function of the program panicked: %v", value)
		}
	}()
	return call()
}

// catch hands an error to the call that waits for it on this thread. Threads of the library's own have none.
func catch(caught *C.uintptr_t, err error) {
	if caught == nil || err == nil {
		return
	}
	var all []error
	if *caught != 0 {
		before := cgo.Handle(*caught)
		all = before.Value().([]error)
		before.Delete()
	}
	*caught = C.uintptr_t(cgo.NewHandle(append(all, err)))
}

//export tckmsGoLog
func tckmsGoLog(handle C.uintptr_t, level C.int, message *C.char) {
	_ = protected(func() error {
		listener := cgo.Handle(handle).Value().(func(LogLevel, string))
		listener(LogLevel(level), C.GoString(message))
		return nil
	})
}

//export tckmsGoCredentials
func tckmsGoCredentials(handle C.uintptr_t, caught *C.uintptr_t, out *C.tckms_credentials) C.int {
	provider := cgo.Handle(handle).Value().(*credentialsProvider)
	err := protected(func() error {
		identity, err := provider.supply()
		if err != nil {
			return err
		}
		return identity.hand(out)
	})
	provider.last.set(err)
	catch(caught, err)
	return C.int(statusOf(err))
}

// hand gives an identity to C.
func (i *Identity) hand(out *C.tckms_credentials) error {
	var m memory
	defer m.free()
	var expires C.int64_t
	if !i.Expires.IsZero() {
		expires = C.int64_t(i.Expires.Unix())
	}
	return checked(C.tckms_go_supply(out, m.text(i.SecretID), m.text(i.SecretKey), m.optional(i.Token), expires))
}

//export tckmsGoGenerate
func tckmsGoGenerate(handle C.uintptr_t, caught *C.uintptr_t, pairs *C.char, dataKey *C.uint8_t, size C.size_t, out *C.tckms_wrapped_key) C.int {
	return customKeyOf(handle).answer(caught, func(key *CustomKey) error {
		made := make([]byte, int(size))
		defer Wipe(made)
		wrapped, err := key.Generate(ContextJSON(C.GoString(pairs)), made)
		if err != nil {
			return err
		}
		copy(unsafe.Slice((*byte)(dataKey), int(size)), made)
		return wrapped.hand(out)
	})
}

//export tckmsGoWrap
func tckmsGoWrap(handle C.uintptr_t, caught *C.uintptr_t, pairs *C.char, dataKey *C.uint8_t, size C.size_t, out *C.tckms_wrapped_key) C.int {
	return customKeyOf(handle).answer(caught, func(key *CustomKey) error {
		given := copied(dataKey, size)
		defer Wipe(given)
		wrapped, err := key.Wrap(ContextJSON(C.GoString(pairs)), given)
		if err != nil {
			return err
		}
		return wrapped.hand(out)
	})
}

//export tckmsGoUnwrap
func tckmsGoUnwrap(handle C.uintptr_t, caught *C.uintptr_t, providerID *C.char, info *C.uint8_t, infoSize C.size_t,
	wrapped *C.uint8_t, wrappedSize C.size_t, pairs *C.char, dataKey *C.uint8_t, size C.size_t) C.int {
	return customKeyOf(handle).answer(caught, func(key *CustomKey) error {
		given := WrappedKey{C.GoString(providerID), copied(info, infoSize), copied(wrapped, wrappedSize)}
		unwrapped := make([]byte, int(size))
		defer Wipe(unwrapped)
		if err := key.Unwrap(ContextJSON(C.GoString(pairs)), given, unwrapped); err != nil {
			return err
		}
		copy(unsafe.Slice((*byte)(dataKey), int(size)), unwrapped)
		return nil
	})
}

//export tckmsGoProgress
func tckmsGoProgress(handle C.uintptr_t, done, total C.uint64_t) C.int {
	return cgo.Handle(handle).Value().(*progress).tell(int64(done), int64(total))
}

//export tckmsGoForget
func tckmsGoForget(handle C.uintptr_t) {
	cgo.Handle(handle).Delete()
}
