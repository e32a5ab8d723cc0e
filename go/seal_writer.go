package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"io"
)

// SealWriter seals what is written to it into a message on another writer. It is used by one goroutine at a time, and
// holds one frame in memory.
type SealWriter struct {
	s     *stream
	under io.Writer
	// What ended it; ErrClosed after a Close that went well.
	err error
}

// NewSealWriter begins a message on w. The keys are asked for a data key at the first Write, or by Close. It returns
// ErrNoUsableKey then when the keyring has none that seals.
//
// Close writes the message's end. Where the plaintext is not whole, the message must not get one: leave it with Abort,
// for which a deferred call is the place, as it does nothing after Close.
//
// The writer goes on when the keyring is closed. When the context ends, so does the writer.
func (k *Keyring) NewSealWriter(ctx context.Context, w io.Writer, encCtx EncryptionContext) (*SealWriter, error) {
	s, err := k.newStream(ctx, "SealWriter", encCtx, func(keyring *C.tckms_keyring, pairs *C.char, out **C.tckms_stream) C.tckms_go_outcome {
		return C.tckms_go_stream_new_seal(keyring, pairs, out)
	})
	if err != nil {
		return nil, err
	}
	return &SealWriter{s: s, under: w}, nil
}

// SetPlaintextSize says how many bytes of plaintext will be written, before the first is; with another number Write or Close
// fails. It lets the keyring's cache be used.
func (w *SealWriter) SetPlaintextSize(bytes int64) error { return w.s.set(C.TCKMS_GO_SIZE, bytes) }

// SetPlaintextBound says how many bytes of plaintext will be written at most, before the first is. It lets the keyring's cache be
// used, with the data key charged for all of it.
func (w *SealWriter) SetPlaintextBound(bytes int64) error { return w.s.set(C.TCKMS_GO_BOUND, bytes) }

// MessageSize tells how long the whole message will be, to the byte, after SetPlaintextSize and before anything is written. It
// asks the keys for a data key. After an error nothing can be written any more.
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

// Write seals some of the plaintext. After an error nothing more can be written, and the message stays without an end.
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

// Close writes the end of the message; without it no reader takes the message for a whole one. It does not close the
// underlying writer. After an earlier failure it writes nothing and returns that.
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

// Abort leaves the message without an end, and frees what the writer holds. After Close it does nothing.
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
