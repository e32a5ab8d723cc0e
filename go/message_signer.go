package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"runtime"
	"time"
	"unsafe"
)

// MessageSigner signs the data that is written to it, also with SM2, whose digest the standard library does not have.
// It is used by one goroutine at a time, and sends nothing before Sign.
type MessageSigner struct {
	ctx context.Context
	// nil after it was freed, or left to a call in the background.
	core *signerCore
}

// signerCore is the part of a signer that calls in C use.
type signerCore struct {
	handle *C.tckms_signer
	client *Client
}

// NewMessageSigner creates a signer. sm2UserID is for SM2; nil is "1234567812345678". When the context ends, so does
// the signer. The client may be closed before it.
func (c *Client) NewMessageSigner(ctx context.Context, keyID string, algorithm SignAlgorithm, sm2UserID []byte) (*MessageSigner, error) {
	r := newRequest("NewMessageSigner")
	key := r.text(keyID)
	user, size := r.bytes(sm2UserID)
	var handle *C.tckms_signer
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_signer_new(c.handle, how, key, C.int(algorithm), user, size, &handle)
	}
	r.abandoned = func() { C.tckms_signer_free(handle) }
	if _, _, err := r.do(ctx, c); err != nil {
		return nil, err
	}
	if err := c.retain(); err != nil {
		C.tckms_signer_free(handle)
		return nil, err
	}
	core := &signerCore{handle, c}
	// For programs that do not close the signer.
	runtime.SetFinalizer(core, (*signerCore).free)
	return &MessageSigner{ctx, core}, nil
}

// free also releases the client.
func (c *signerCore) free() {
	runtime.SetFinalizer(c, nil)
	C.tckms_signer_free(c.handle)
	c.client.release(c.client.free)
}

// A signer retains its client, so it gets a slot even if the client is closed.
func (c *signerCore) enter(ctx context.Context) error                { return c.client.acquireSlot(ctx, nil) }
func (c *signerCore) leave()                                         { c.client.releaseSlot() }
func (c *signerCore) derive(context.Context) (*derivedClient, error) { return nil, nil }
func (c *signerCore) hasCallbacks() bool                             { return c.client.hasCallbacks() }
func (c *signerCore) lastReports(began time.Time) []report           { return c.client.lastReports(began) }

// Write adds the next bytes of the message.
func (s *MessageSigner) Write(p []byte) (int, error) {
	if s.core == nil {
		return 0, ErrClosed
	}
	if len(p) == 0 {
		return 0, nil
	}
	defer runtime.KeepAlive(s.core)
	err := checked(C.tckms_go_signer_update(s.core.handle, (*C.uint8_t)(unsafe.Pointer(&p[0])), C.size_t(len(p))))
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Sign signs everything that was written, and closes the signer, even if it fails.
func (s *MessageSigner) Sign() ([]byte, error) {
	if s.core == nil {
		return nil, ErrClosed
	}
	core := s.core
	s.core = nil
	r := newRequest("SignByAsymmetricKey")
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome { return C.tckms_go_signer_finish(how, core.handle) }
	r.abandoned = core.free
	signature, _, err := r.do(s.ctx, core)
	if _, abandoned := err.(*abandonedError); !abandoned {
		core.free()
	}
	return signature, err
}

// Close frees a signer that is not needed any more. The error is always nil.
func (s *MessageSigner) Close() error {
	if s.core != nil {
		s.core.free()
		s.core = nil
	}
	return nil
}
