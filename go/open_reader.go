package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"io"
)

// OpenReader opens a message that it reads from another reader. It is used by one goroutine at a time, and holds one
// frame in memory. Each frame's plaintext is returned as soon as that frame is authenticated. The message is known to
// be complete only when Read returns io.EOF: until then the plaintext may be the beginning of a truncated message, and
// must be discarded after any other error.
type OpenReader struct {
	s     *stream
	under io.Reader
	// The part of the buffer that was read but not opened yet.
	buffer, in []byte
	underErr   error
	idled      int
	// Whether there may be more output without more input.
	more bool
	// Plaintext that was not returned yet.
	out []byte
	// The error that ended it: io.EOF only if the message is complete.
	err error
}

// NewOpenReader creates a reader that opens the message from r, which must end with the message. expected are pairs
// that the message's context must have, as for Keyring.Open. A signed message is refused unless AllowSigned was called.
// The reader continues to work when the keyring is closed. When the context ends, so does the reader, but it waits for
// a running Read of r.
func (k *Keyring) NewOpenReader(ctx context.Context, r io.Reader, expected EncryptionContext) (*OpenReader, error) {
	s, err := k.newStream(ctx, "OpenReader", expected, func(keyring *C.tckms_keyring, pairs *C.char, out **C.tckms_stream) C.tckms_go_outcome {
		return C.tckms_go_stream_new_open(keyring, pairs, out)
	})
	if err != nil {
		return nil, err
	}
	return &OpenReader{s: s, under: r, buffer: make([]byte, chunk)}, nil
}

// SetPlaintextSize sets the length of the plaintext, before the first Read; a message with another length fails.
func (r *OpenReader) SetPlaintextSize(bytes int64) error { return r.s.set(C.TCKMS_GO_SIZE, bytes) }

// SetPlaintextBound sets the maximum length of the plaintext, before the first Read; a longer message fails.
func (r *OpenReader) SetPlaintextBound(bytes int64) error { return r.s.set(C.TCKMS_GO_BOUND, bytes) }

// AllowSigned allows signed messages, before the first Read. Plaintext, except the last frame, is then returned before
// the signature is checked: until io.EOF the sender is not known.
func (r *OpenReader) AllowSigned() error { return r.s.set(C.TCKMS_GO_SIGNED_ALLOWED, 1) }

// Read returns plaintext. It returns io.EOF only if the message is complete, and ErrTruncated if it is truncated.
func (r *OpenReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.out) == 0 {
		if r.err != nil {
			r.s.free()
			return 0, r.err
		}
		r.out, r.err = r.step()
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// step reads more input if there is none left, and opens some of it.
func (r *OpenReader) step() (out []byte, err error) {
	if len(r.in) == 0 && !r.more && r.underErr == nil {
		n, err := r.under.Read(r.buffer)
		r.in, r.underErr = r.buffer[:n], err
		if n == 0 && err == nil {
			return nil, r.idle()
		}
		r.idled = 0
	}
	if len(r.in) > 0 || r.more {
		return r.open()
	}
	if r.underErr != io.EOF {
		return nil, r.underErr
	}
	out, done, err := r.s.finish()
	if done {
		err = io.EOF
	}
	return out, err
}

func (r *OpenReader) open() ([]byte, error) {
	consumed, out, err := r.s.update(r.in)
	r.in = r.in[consumed:]
	// The sender of the message may wait for its plaintext: no available output is held back.
	r.more = len(out) == chunk
	if len(out) > 0 {
		r.s.keyed = true
	}
	return out, err
}

// idle counts consecutive reads of 0 bytes, which io.Reader discourages but allows.
func (r *OpenReader) idle() error {
	if r.idled++; r.idled >= 100 {
		return io.ErrNoProgress
	}
	return nil
}

// Close frees and wipes the reader's memory. It neither reads from nor closes the underlying reader. It does not mean
// that the message is complete: only io.EOF from Read does. The error is always nil.
func (r *OpenReader) Close() error {
	r.s.free()
	r.out = nil
	if r.err == nil {
		r.err = ErrClosed
	}
	return nil
}
