//go:build tckms_static

package tckms

// The archive by its name, since a linker prefers a shared library of the same one. What it needs itself comes after
// it; --as-needed keeps the -ltckms of pkg-config from naming the shared library.

// #cgo pkg-config: tckms
// #cgo LDFLAGS: -l:libtckms.a -Wl,--as-needed -lpthread -ldl -lm
import "C"
