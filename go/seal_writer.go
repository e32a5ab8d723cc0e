package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"io"
)

// SealWriter seals the data that is written to it into a message on another writer. It is used by one goroutine at a
// time, and holds one frame in memory.
type SealWriter struct {
	s     *stream
	under io.Writer
	// The error that ended it; ErrClosed after a successful Close.
	err error
}

// NewSealWriter begins a message on w. The first Write, or Close, requests a data key from the keys; it returns
// ErrNoUsableKey if the keyring has no key that seals. Close writes the message's end. If the plaintext is not
// complete, the message must not get one: call Abort. Defer the call of Abort, because it does nothing after Close. The
// writer continues to work when the keyring is closed. When the context ends, so does the writer.
func (k *Keyring) NewSealWriter(ctx context.Context, w io.Writer, encCtx EncryptionContext) (*SealWriter, error) {
	s, err := k.newStream(ctx, "SealWriter", encCtx, func(keyring *C.tckms_keyring, pairs *C.char, out **C.tckms_stream) C.tckms_go_outcome {
		return C.tckms_go_stream_new_seal(keyring, pairs, out)
	})
	if err != nil {
		return nil, err
	}
	return &SealWriter{s: s, under: w}, nil
}

// SetPlaintextSize sets the number of plaintext bytes, before the first Write; with another number Write or Close
// fails. The writer can then use the keyring's cache.
func (w *SealWriter) SetPlaintextSize(bytes int64) error { return w.s.set(C.TCKMS_GO_SIZE, bytes) }

// SetPlaintextBound sets the maximum number of plaintext bytes, before the first Write. The writer can then use the
// keyring's cache; the whole bound counts against the limit of the data key.
func (w *SealWriter) SetPlaintextBound(bytes int64) error { return w.s.set(C.TCKMS_GO_BOUND, bytes) }

// MessageSize returns the exact length of the complete message, after SetPlaintextSize and before the first Write. It
// requests a data key from the keys. After an error nothing more can be written.
func (w *SealWriter) MessageSize() (int64, error) {
	if w.err != nil {
		return 0, w.err
	}
	size, err := w.s.total()
	if err != nil {
		return 0, w.end(err)
	}
	return size, nil
}

// Write seals some of the plaintext. After an error nothing more can be written, and the message has no end.
func (w *SealWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	written := 0
	for written < len(p) {
		consumed, out, err := w.s.update(p[written:])
		if err == nil {
			err = w.put(out)
		}
		if err != nil {
			return written, w.end(err)
		}
		written += consumed
		w.s.keyed = true
	}
	return written, nil
}

// Close writes the end of the message; without it no reader takes the message for a complete one. It does not close the
// underlying writer. After an earlier failure it writes nothing and returns that error.
func (w *SealWriter) Close() error {
	if w.err != nil {
		if w.err == ErrClosed {
			return nil
		}
		return w.err
	}
	for done := false; !done; {
		var out []byte
		var err error
		if out, done, err = w.s.finish(); err == nil {
			err = w.put(out)
		}
		if err != nil {
			return w.end(err)
		}
	}
	w.end(ErrClosed)
	return nil
}

// Abort leaves the message without an end, and frees the writer's memory. After Close it does nothing.
func (w *SealWriter) Abort() {
	if w.err == nil {
		w.end(ErrAborted)
	}
}

// end keeps the first error, and frees everything else.
func (w *SealWriter) end(err error) error {
	w.s.free()
	w.err = err
	return err
}

func (w *SealWriter) put(out []byte) error {
	if len(out) == 0 {
		return nil
	}
	n, err := w.under.Write(out)
	if err == nil && n < len(out) {
		err = io.ErrShortWrite
	}
	return err
}
