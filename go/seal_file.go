package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime/cgo"
)

// FileOptions are the options of SealFile and OpenFile. The zero value of each field is its default.
type FileOptions struct {
	// Threads is the number of threads, at most 256. 0 means as many as the process can run in parallel. Each needs memory
	// for two chunks of 1 MiB, or of one frame if frames are longer.
	Threads int
	// SignedAllowed allows signed messages. Plaintext is then written before the signature is checked.
	SignedAllowed bool
	// Progress is called about ten times a second with the call's context, the bytes of input done, and their total, or -1
	// while that is not known. An error or a panic ends the call, and errors.Is and errors.As find it in the call's error.
	// If the call succeeds, done equals total in the last call of Progress, and an error is ignored, because everything is
	// written then. It runs on the goroutine of the call.
	Progress func(ctx context.Context, done, total int64) error
}

// SealFile seals everything from the current position of src up to its end into dst: files, pipes or sockets, of any
// size, in bounded memory, on all cores. The keyring's cache is not used. After a failure the message in dst has no
// end, and no reader takes it for a complete one. It returns when nothing uses the files any more: if the context ends,
// after the current write or data key request. The files stay open, their deadlines have no effect, and nothing else
// may read or write them during the call.
func (k *Keyring) SealFile(ctx context.Context, dst, src *os.File, encCtx EncryptionContext, o FileOptions) error {
	call := func(how C.tckms_go_how, in, out C.int, pairs *C.char, progress C.uintptr_t) C.tckms_go_outcome {
		return C.tckms_go_seal_fd(how, k.handle, in, out, pairs, saturated(o.Threads), progress)
	}
	return k.overFiles(ctx, "SealFile", dst, src, encCtx, o.Progress, call)
}

// OpenFile opens the message at the current position of src into dst, frame by frame, each after it is authenticated.
// expected are pairs that the message's context must have, as for Open. The plaintext is known to be complete only when
// OpenFile succeeds: write to a new file, rename it afterwards, and discard the output after a failure. Everything else
// is as for SealFile.
func (k *Keyring) OpenFile(ctx context.Context, dst, src *os.File, expected EncryptionContext, o FileOptions) error {
	call := func(how C.tckms_go_how, in, out C.int, pairs *C.char, progress C.uintptr_t) C.tckms_go_outcome {
		return C.tckms_go_open_fd(how, k.handle, in, out, pairs, saturated(o.Threads), truth(o.SignedAllowed), progress)
	}
	return k.overFiles(ctx, "OpenFile", dst, src, expected, o.Progress, call)
}

type descriptorCall func(how C.tckms_go_how, in, out C.int, pairs *C.char, progress C.uintptr_t) C.tckms_go_outcome

func (k *Keyring) overFiles(ctx context.Context, action string, dst, src *os.File, e EncryptionContext,
	callback func(ctx context.Context, done, total int64) error, call descriptorCall) error {
	r := newRequest(action)
	// C uses the caller's descriptors, so the caller waits for C.
	r.short = true
	pairs := r.encryptionContext(e)
	p := &progress{ctx: ctx, callback: callback}
	var handle cgo.Handle
	if callback != nil || ctx.Done() != nil {
		handle = cgo.NewHandle(p)
		defer handle.Delete()
	}
	var err error
	busy := withDescriptors(src, dst, func(in, out C.int) {
		r.call = func(how C.tckms_go_how) C.tckms_go_outcome { return call(how, in, out, pairs, C.uintptr_t(handle)) }
		_, _, err = r.do(ctx, k)
	})
	if busy != nil {
		r.memory.free()
		return fmt.Errorf("tckms: %s: %w", action, busy)
	}
	if failure, ok := err.(*Error); ok && failure.Status == ErrCanceled && p.err != nil {
		failure.cause = p.err
	}
	return err
}

// withDescriptors keeps two files open during a call. Unlike (*os.File).Fd it leaves them non-blocking.
func withDescriptors(src, dst *os.File, use func(in, out C.int)) error {
	from, err := src.SyscallConn()
	if err != nil {
		return err
	}
	to, err := dst.SyscallConn()
	if err != nil {
		return err
	}
	used := false
	_ = from.Control(func(in uintptr) {
		_ = to.Control(func(out uintptr) {
			used = true
			use(C.int(in), C.int(out))
		})
	})
	if !used {
		return os.ErrClosed
	}
	return nil
}

// progress adapts a Go progress function and a context to C's progress callback.
type progress struct {
	ctx      context.Context
	callback func(ctx context.Context, done, total int64) error
	// The reason for canceling.
	err error
}

// report returns 0 to continue.
func (p *progress) report(done, total int64) C.int {
	if p.err = p.ctx.Err(); p.err == nil && p.callback != nil {
		p.err = recoverToError(func() error { return p.callback(p.ctx, done, total) })
	}
	if p.err != nil {
		return 1
	}
	return 0
}

// saturated converts a number for C. A number out of range stays out of range.
func saturated(value int) C.uint32_t {
	if value < 0 || int64(value) > math.MaxUint32 {
		return math.MaxUint32
	}
	return C.uint32_t(value)
}
