package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"
	"unsafe"
)

// chunk is the number of bytes that one call in C passes through a stream.
const chunk = 64 << 10

// stream seals or opens one message, for one goroutine at a time.
type stream struct {
	ctx    context.Context
	action string
	// nil after it was freed, or left to a call in the background.
	core *streamCore
	// Whether there is a data key: no later call blocks.
	keyed bool
}

// streamCore is the part of a stream that calls in C use.
type streamCore struct {
	handle  *C.tckms_stream
	keyring *Keyring
	out     []byte
}

type streamMaker func(keyring *C.tckms_keyring, pairs *C.char, out **C.tckms_stream) C.tckms_go_outcome

func (k *Keyring) newStream(ctx context.Context, action string, e EncryptionContext, maker streamMaker) (*stream, error) {
	if err := k.use(); err != nil {
		return nil, fmt.Errorf("tckms: %s: %w", action, err)
	}
	var handle *C.tckms_stream
	r := newRequest(action)
	defer r.memory.free()
	if err := r.checked(maker(k.handle, r.encryptionContext(e), &handle)); err != nil {
		k.release(k.free)
		return nil, err
	}
	core := &streamCore{handle, k, make([]byte, chunk)}
	// For programs that do not close the stream.
	runtime.SetFinalizer(core, (*streamCore).free)
	return &stream{ctx: ctx, action: action, core: core}, nil
}

// free wipes the memory of the stream and its last output.
func (c *streamCore) free() {
	runtime.SetFinalizer(c, nil)
	C.tckms_stream_free(c.handle)
	c.keyring.release(c.keyring.free)
	Wipe(c.out)
}

// A stream retains its keyring, so it gets a slot even if the keyring is closed.
func (c *streamCore) enter(ctx context.Context) error                { return c.keyring.acquireSlot(ctx, nil) }
func (c *streamCore) leave()                                         { c.keyring.releaseSlot() }
func (c *streamCore) derive(context.Context) (*derivedClient, error) { return nil, nil }
func (c *streamCore) hasCallbacks() bool                             { return c.keyring.hasCallbacks() }
func (c *streamCore) lastReports(began time.Time) []report {
	return c.keyring.lastReports(began)
}

func (s *stream) free() {
	if s.core != nil {
		s.core.free()
		s.core = nil
	}
}

// do makes a call in C. After a failure it frees the stream.
func (s *stream) do(r *request) error {
	core := s.core
	r.abandoned = core.free
	_, _, err := r.do(s.ctx, core)
	runtime.KeepAlive(core)
	if _, abandoned := err.(*abandonedError); abandoned {
		s.core = nil
	}
	if err != nil {
		s.free()
	}
	return err
}

func (s *stream) newRequest() *request {
	r := newRequest(s.action)
	r.short = s.keyed
	r.part = true
	return r
}

// update takes some of the input and returns the output, which is valid until the next call.
func (s *stream) update(input []byte) (consumed int, out []byte, err error) {
	if s.core == nil {
		return 0, nil, ErrClosed
	}
	if len(input) > chunk {
		input = input[:chunk]
	}
	r, handle, buffer := s.newRequest(), s.core.handle, s.core.out
	in, size := r.input(s.ctx, input)
	var taken, produced C.size_t
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_stream_update(how, handle, in, size, &taken, (*C.uint8_t)(unsafe.Pointer(&buffer[0])), chunk, &produced)
	}
	if err := s.do(r); err != nil {
		return 0, nil, err
	}
	return int(taken), buffer[:produced], nil
}

// finish returns some of the remaining output, and whether it was the last.
func (s *stream) finish() (out []byte, done bool, err error) {
	if s.core == nil {
		return nil, false, ErrClosed
	}
	r, handle, buffer := s.newRequest(), s.core.handle, s.core.out
	var produced C.size_t
	var ended C.int
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_stream_finish(how, handle, (*C.uint8_t)(unsafe.Pointer(&buffer[0])), chunk, &produced, &ended)
	}
	if err := s.do(r); err != nil {
		return nil, false, err
	}
	return buffer[:produced], ended != 0, nil
}

// set sets a number before the first byte.
func (s *stream) set(setter C.tckms_go_stream_setter, value int64) error {
	switch {
	case s.core == nil:
		return ErrClosed
	case value < 0:
		return &Error{Status: ErrOutOfRange, Message: "a number of bytes is negative"}
	}
	defer runtime.KeepAlive(s.core)
	return checked(C.tckms_go_stream_set(s.core.handle, setter, C.uint64_t(value)))
}

// total is the length of the complete message.
func (s *stream) total() (int64, error) {
	if s.core == nil {
		return 0, ErrClosed
	}
	r, handle := s.newRequest(), s.core.handle
	var size C.uint64_t
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome { return C.tckms_go_stream_message_size(how, handle, &size) }
	if err := s.do(r); err != nil {
		return 0, err
	}
	if size > math.MaxInt64 {
		size = math.MaxInt64
	}
	return int64(size), nil
}
