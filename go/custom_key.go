package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"runtime/cgo"
	"unsafe"
)

// WrappedKey is a wrapped data key of a message.
type WrappedKey struct {
	// ProviderID is the name of the scheme that wrapped it. A CustomKey does not have to set it.
	ProviderID string
	// Info identifies the key of the scheme: 0 to 65535 bytes in the scheme's own form.
	Info []byte
	// Wrapped is the wrapped data key, 1 to 65535 bytes.
	Wrapped []byte
}

// CustomKey is a wrapping key that the program implements, for example with an HSM or another key service.
//
// The functions run on several goroutines at once, and must not seal or open with the same keyring. ctx is that of the
// call, or context.Background() on threads that the library starts, as for SealFile and OpenFile. pairs is the
// message's context as the text to bind the data key to, "{}" for none: it can be passed to Client.Encrypt unchanged.
// Data keys are wiped when a function returns. An error of a function ends the call, or when a message is opened, the
// next key is tried; errors.Is and errors.As find it in the call's error if the call failed for this reason. One that
// is or wraps a Status or an *Error keeps its status: ErrServiceUnavailable for an outage, which counts as retryable,
// ErrNoMatchingKey for a data key that is not theirs. One that wraps context.DeadlineExceeded becomes ErrTimedOut, any
// other one and a panic ErrCustomKeyFailed.
type CustomKey struct {
	// ProviderID is the scheme's name in messages: 1 to 512 ASCII characters that do not begin with "aws-kms". "" is for a
	// key that does not seal and is tried for every wrapped data key of a message.
	ProviderID string
	// Generate fills dataKey with a new data key and wraps it. nil: the library generates it, and Wrap wraps it.
	Generate func(ctx context.Context, pairs ContextJSON, dataKey []byte) (WrappedKey, error)
	// Wrap wraps a data key that another key of the keyring generated. nil: this key does not seal.
	Wrap func(ctx context.Context, pairs ContextJSON, dataKey []byte) (WrappedKey, error)
	// Unwrap fills dataKey, which has the right length. Its arguments are not authenticated. nil: this key does not open.
	Unwrap func(ctx context.Context, pairs ContextJSON, wrapped WrappedKey, dataKey []byte) error
}

// AddCustom adds a wrapping key that the program implements.
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

// customKey is a custom key of a keyring. Its last failure is for calls whose functions run on threads of the library,
// and for calls that waited while another one used the key.
type customKey struct {
	CustomKey
	last lastReport
}

func customKeyOf(handle C.uintptr_t) *customKey {
	return cgo.Handle(handle).Value().(*customKey)
}

// answer calls a function, and converts its result to a status.
func (k *customKey) answer(call C.uintptr_t, ask func(*CustomKey) error) C.int {
	err := recoverToError(func() error { return ask(&k.CustomKey) })
	return record(&k.last, call, report{err, statusOf(err, ErrCustomKeyFailed)})
}

// statusOf is the status of an error for C: the one that it is or wraps, otherwise one that names the failed function.
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

// toC passes a wrapped key to C.
func (w *WrappedKey) toC(out *C.tckms_wrapped_key) error {
	var m memory
	defer m.free()
	info, infoSize := m.bytes(w.Info)
	wrapped, wrappedSize := m.bytes(w.Wrapped)
	return m.checked(C.tckms_go_wrapped_key_set(out, info, infoSize, wrapped, wrappedSize))
}

// copied copies a wrapped key from C for a callback.
func copied(start *C.uint8_t, size C.size_t) []byte {
	out := make([]byte, int(size))
	if size > 0 {
		copy(out, unsafe.Slice((*byte)(start), int(size)))
	}
	return out
}
