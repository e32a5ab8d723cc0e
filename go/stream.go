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

// chunk is how much goes through a stream with one call in C.
const chunk = 64 << 10

// stream is a message on its way, for one goroutine at a time.
type stream struct {
	ctx    context.Context
	action string
	// nil when it was freed, or left to a call in the background.
	core *streamCore
	// Whether the keys were asked: no later call blocks.
	keyed bool
}

// streamCore is what calls in C use of a stream.
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
	// For programs that forget to close.
	runtime.SetFinalizer(core, (*streamCore).free)
	return &stream{ctx: ctx, action: action, core: core}, nil
}

// free wipes what the stream holds, and what it put out last.
func (c *streamCore) free() {
	runtime.SetFinalizer(c, nil)
	C.tckms_stream_free(c.handle)
	c.keyring.release(c.keyring.free)
	Wipe(c.out)
}

// A stream retains its keyring, so it has a slot of a closed one too.
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

// do makes a call in C. After a failure nothing is left of the stream.
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

// update takes some of the input, and returns what came out, which is good until the next call.
func (s *stream) update(input []byte) (consumed int, out []byte, err error) {
	if s.core == nil {
		return 0, nil, ErrClosed
	}
	if len(input) > chunk {
		input = input[:chunk]
	}
	r, handle, room := s.newRequest(), s.core.handle, s.core.out
	in, size := r.input(s.ctx, input)
	var taken, produced C.size_t
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_stream_update(how, handle, in, size, &taken, (*C.uint8_t)(unsafe.Pointer(&room[0])), chunk, &produced)
	}
	if err := s.do(r); err != nil {
		return 0, nil, err
	}
	return int(taken), room[:produced], nil
}

// finish returns some of what comes out at the end, and whether that was the last.
func (s *stream) finish() (out []byte, done bool, err error) {
	if s.core == nil {
		return nil, false, ErrClosed
	}
	r, handle, room := s.newRequest(), s.core.handle, s.core.out
	var produced C.size_t
	var ended C.int
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_stream_finish(how, handle, (*C.uint8_t)(unsafe.Pointer(&room[0])), chunk, &produced, &ended)
	}
	if err := s.do(r); err != nil {
		return nil, false, err
	}
	return room[:produced], ended != 0, nil
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

// total is how long the whole message will be.
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
