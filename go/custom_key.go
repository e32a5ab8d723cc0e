package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"runtime/cgo"
	"unsafe"
)

// WrappedKey is a data key as a message holds it.
type WrappedKey struct {
	// ProviderID is the name of the scheme that wrapped it. A CustomKey need not set it.
	ProviderID string
	// Info says which key of the scheme it was: 0 to 65535 bytes in a form of its own.
	Info []byte
	// Wrapped is the wrapped data key, 1 to 65535 bytes.
	Wrapped []byte
}

// CustomKey is a wrapping key of the program's own: an HSM, another key service, a test.
//
// The functions run on several goroutines at once, and must not seal or open with the same keyring. ctx is that of the
// call which asks, or context.Background() where the library asks on a thread of its own, as SealFile and OpenFile have
// it do. pairs is the message's context as the text to bind the data key to, "{}" for none: it can be given to
// Client.Encrypt as it is. Data keys are wiped when a function returns.
//
// An error of a function ends the call, or has the next key asked when a message is opened; errors.Is and errors.As
// find it in the call's error if that is what the call failed with. One that is or wraps a Status or an *Error keeps its
// status: ErrServiceUnavailable for an outage, which counts as retryable, ErrNoMatchingKey for a data key that is not
// theirs. One that wraps context.DeadlineExceeded becomes ErrTimedOut, any other one and a panic ErrCustomKeyFailed.
type CustomKey struct {
	// ProviderID is the scheme's name in messages: 1 to 512 ASCII characters that do not begin with "aws-kms". "" is for
	// a key that does not seal and is asked about every wrapped data key of a message.
	ProviderID string
	// Generate fills dataKey with a new data key and wraps it. nil: the library makes it, and Wrap wraps it.
	Generate func(ctx context.Context, pairs ContextJSON, dataKey []byte) (WrappedKey, error)
	// Wrap wraps a data key that another key of the keyring made. nil: this key does not seal.
	Wrap func(ctx context.Context, pairs ContextJSON, dataKey []byte) (WrappedKey, error)
	// Unwrap fills dataKey, which has the right length. What it is given is not authenticated. nil: this key does not open.
	Unwrap func(ctx context.Context, pairs ContextJSON, wrapped WrappedKey, dataKey []byte) error
}

// AddCustom adds a key of the program's own.
func (k *Keyring) AddCustom(key CustomKey) error {
	added := &customKey{CustomKey: key}
	return k.change(func(keyring *C.tckms_keyring) error {
		var m memory
		defer m.free()
		handle := cgo.NewHandle(added)
		err := m.checked(C.tckms_go_add_custom(keyring, m.optional(key.ProviderID), truth(key.Generate != nil),
			truth(key.Wrap != nil), truth(key.Unwrap != nil), C.uintptr_t(handle)))
		if err != nil {
			// C calls the destructor only after success.
			handle.Delete()
			return err
		}
		k.custom = append(k.custom, added)
		return nil
	})
}

// customKey is one that a keyring has. Its last failure is for calls whose functions run on threads of the library, and
// for those that waited while another call asked.
type customKey struct {
	CustomKey
	last lastReport
}

func customKeyOf(handle C.uintptr_t) *customKey {
	return cgo.Handle(handle).Value().(*customKey)
}

// answer asks a function, and says in numbers what came of it.
func (k *customKey) answer(call C.uintptr_t, ask func(*CustomKey) error) C.int {
	err := recoverToError(func() error { return ask(&k.CustomKey) })
	return tell(&k.last, call, report{err, statusOf(err, ErrCustomKeyFailed)})
}

// statusOf is what C is told of an error: the status that it is or wraps, otherwise one that says whose error it is.
func statusOf(err error, otherwise Status) Status {
	var failure *Error
	var status Status
	if errors.As(err, &failure) {
		status = failure.Status
	} else {
		errors.As(err, &status)
	}
	switch {
	case err == nil:
		return OK
	case status != OK && status.Category() != CategoryUnknown:
		return status
	case errors.Is(err, context.DeadlineExceeded):
		return ErrTimedOut
	default:
		return otherwise
	}
}

// hand gives a wrapped key to C.
func (w *WrappedKey) hand(out *C.tckms_wrapped_key) error {
	var m memory
	defer m.free()
	info, infoSize := m.bytes(w.Info)
	wrapped, wrappedSize := m.bytes(w.Wrapped)
	return m.checked(C.tckms_go_wrapped_key_set(out, info, infoSize, wrapped, wrappedSize))
}

// copied is what C shows to a callback.
func copied(start *C.uint8_t, size C.size_t) []byte {
	out := make([]byte, int(size))
	if size > 0 {
		copy(out, unsafe.Slice((*byte)(start), int(size)))
	}
	return out
}
