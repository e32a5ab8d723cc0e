package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"io"
)

// OpenReader opens a message that it reads from another reader. It is used by one goroutine at a time, and holds one
// frame in memory.
//
// Each frame's plaintext comes out as soon as that frame is authentic. That nothing is missing is known only when Read
// returns io.EOF: what came before may be the beginning of a message that was cut off, and has to be thrown away after
// any other error.
type OpenReader struct {
	s     *stream
	under io.Reader
	// What was read and is not opened yet, within the buffer.
	buffer, in []byte
	underErr   error
	idled      int
	// Whether more can come out without more going in.
	more bool
	// What was opened and is not given out yet.
	out []byte
	// What ended it: io.EOF only when the message is whole.
	err error
}

// NewOpenReader begins to open the message that r gives, which has to end with the message. expected are pairs that have
// to be in the message's context, as for Keyring.Open. A signed message is refused unless AllowSigned was called.
//
// The reader goes on when the keyring is closed. When the context ends, so does the reader, but a Read of r that is
// under way is waited for.
func (k *Keyring) NewOpenReader(ctx context.Context, r io.Reader, expected EncryptionContext) (*OpenReader, error) {
	s, err := k.newStream(ctx, "OpenReader", expected, func(keyring *C.tckms_keyring, pairs *C.char, out **C.tckms_stream) C.tckms_go_outcome {
		return C.tckms_go_stream_new_open(keyring, pairs, out)
	})
	if err != nil {
		return nil, err
	}
	return &OpenReader{s: s, under: r, buffer: make([]byte, chunk)}, nil
}

// SetPlaintextSize says how long the plaintext is, before the first Read; a message with another length fails.
func (r *OpenReader) SetPlaintextSize(bytes int64) error { return r.s.set(C.TCKMS_GO_SIZE, bytes) }

// SetPlaintextBound says how long the plaintext is at most, before the first Read; a message with more of it fails.
func (r *OpenReader) SetPlaintextBound(bytes int64) error { return r.s.set(C.TCKMS_GO_BOUND, bytes) }

// AllowSigned lets signed messages be opened, before the first Read. Plaintext then comes out, all but the last frame,
// before the signature is checked: until io.EOF it is known to be sealed under the data key, but not by whom.
func (r *OpenReader) AllowSigned() error { return r.s.set(C.TCKMS_GO_SIGNED_ALLOWED, 1) }

// Read gives out plaintext. It returns io.EOF only after the message was found to be whole, and ErrTruncated when it was
// cut off.
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

// step reads some more unless there is still something to open, and opens some of it.
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
	// Whoever gives us the message may wait for what is in it: nothing is kept back that could come out.
	r.more = len(out) == chunk
	if len(out) > 0 {
		r.s.keyed = true
	}
	return out, err
}

// idle counts how often in a row nothing was read, which is discouraged and not forbidden.
func (r *OpenReader) idle() error {
	if r.idled++; r.idled >= 100 {
		return io.ErrNoProgress
	}
	return nil
}

// Close frees and wipes what the reader holds. It neither reads on nor closes the underlying reader, and says nothing
// about the message: only the io.EOF of Read does. The error is always nil.
func (r *OpenReader) Close() error {
	r.s.free()
	r.out = nil
	if r.err == nil {
		r.err = ErrClosed
	}
	return nil
}
