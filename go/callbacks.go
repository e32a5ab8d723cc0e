package tckms

// #include "shim.h"
import "C"

import "runtime/cgo"

// A panic must not go through C, so it ends in these functions: a line of the log is lost, credentials were not supplied.

//export tckmsGoLog
func tckmsGoLog(handle C.uintptr_t, level C.int, message *C.char) {
	defer func() { _ = recover() }()
	listener := cgo.Handle(handle).Value().(func(LogLevel, string))
	listener(LogLevel(level), C.GoString(message))
}

//export tckmsGoCredentials
func tckmsGoCredentials(handle C.uintptr_t, out *C.tckms_credentials) (status C.int) {
	defer func() {
		if recover() != nil {
			status = -1
		}
	}()
	identity, err := cgo.Handle(handle).Value().(func() (Identity, error))()
	if err != nil {
		return -1
	}
	var m memory
	defer m.free()
	var expires C.int64_t
	if !identity.Expires.IsZero() {
		expires = C.int64_t(identity.Expires.Unix())
	}
	return C.tckms_go_supply(out, m.text(identity.SecretID), m.text(identity.SecretKey), m.optional(identity.Token), expires)
}

//export tckmsGoForget
func tckmsGoForget(handle C.uintptr_t) {
	cgo.Handle(handle).Delete()
}
