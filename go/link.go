//go:build !tckms_static

package tckms

// #cgo pkg-config: tckms
import "C"
