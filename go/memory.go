package tckms

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"strings"
	"unsafe"
)

// memory has the arguments of a call for C. It is C memory, because a cancelled call still reads it after the
// caller has reused its slices. It is wiped when it is freed.
type memory struct {
	blocks []block
	// Whether a text had a NUL byte in it.
	nul bool
}

type block struct {
	start unsafe.Pointer
	size  C.size_t
}

func (m *memory) free() {
	for _, b := range m.blocks {
		C.tckms_wipe(b.start, b.size)
		C.free(b.start)
	}
	m.blocks = nil
}

// text returns a string for C, where it ends at a NUL byte. A string with a NUL byte inside is replaced by
// text that the library refuses as not valid UTF-8, so it is not truncated; failure corrects the message.
func (m *memory) text(s string) *C.char {
	if strings.IndexByte(s, 0) >= 0 {
		m.nul = true
		s = "\xff"
	}
	c := C.CString(s)
	m.blocks = append(m.blocks, block{unsafe.Pointer(c), C.size_t(len(s))})
	return c
}

// failure is the error of a call with these texts.
func (m *memory) failure(outcome *C.tckms_go_outcome) *Error {
	failure := newError(outcome.status, outcome.error)
	if m.nul && failure.Status == ErrInvalidUTF8 {
		failure.Message = "a text contains a NUL byte"
	}
	return failure
}

// checked frees an outcome that has only an error.
func (m *memory) checked(outcome C.tckms_go_outcome) error {
	if outcome.status == C.TCKMS_OK {
		return nil
	}
	defer C.tckms_go_free(&outcome)
	return m.failure(&outcome)
}

// optional returns a string for C, or NULL for an empty one.
func (m *memory) optional(s string) *C.char {
	if s == "" {
		return nil
	}
	return m.text(s)
}

// bytes returns a copy of a slice for C.
func (m *memory) bytes(b []byte) (unsafe.Pointer, C.size_t) {
	if len(b) == 0 {
		return nil, 0
	}
	c := C.CBytes(b)
	m.blocks = append(m.blocks, block{c, C.size_t(len(b))})
	return c, C.size_t(len(b))
}

// input returns a slice for C. If the caller always waits for the call, it is the slice itself.
func (r *request) input(ctx context.Context, b []byte) (*C.uint8_t, C.size_t) {
	if r.inBackground(ctx) {
		start, size := r.bytes(b)
		return (*C.uint8_t)(start), size
	}
	if len(b) == 0 {
		return nil, 0
	}
	return (*C.uint8_t)(unsafe.Pointer(&b[0])), C.size_t(len(b))
}

// goBytes copies a result of the library. The length may exceed the range of C.GoBytes.
func goBytes(b C.tckms_buffer) []byte {
	out := make([]byte, int(b.len))
	if b.len > 0 {
		copy(out, unsafe.Slice((*byte)(unsafe.Pointer(b.data)), int(b.len)))
	}
	return out
}

// truth is a bool of C.
func truth(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// Wipe overwrites a plaintext or a data key that is no longer needed. It cannot reach copies that Go has
// made.
func Wipe(b []byte) {
	if len(b) > 0 {
		C.tckms_wipe(unsafe.Pointer(&b[0]), C.size_t(len(b)))
	}
}
