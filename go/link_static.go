//go:build tckms_static

package tckms

// The archive by its file name, because a linker prefers a shared library to an archive.
// Its dependencies follow it; --as-needed keeps the -ltckms of pkg-config from adding the
// shared library.

// #cgo pkg-config: tckms
// #cgo LDFLAGS: -l:libtckms.a -Wl,--as-needed -lpthread -ldl -lm
import "C"
