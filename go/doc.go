// Package tckms is libtckms for Go: Tencent Cloud Key Management Service over cgo.
//
//	client, err := tckms.NewClientFromEnv()
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	blob, err := client.Encrypt(ctx, keyID, []byte("secret"), tckms.Context{"app": "billing"})
//
// It links libtckms by pkg-config. With the build tag tckms_static it links the archive instead, and the program runs
// without the shared library.
//
// # Contexts and deadlines
//
// A context's deadline is the call's total timeout, if it is sooner than the client's own. A call whose context is
// cancelled returns at once; what was sent is not taken back, so the service may still carry it out. The C call then
// goes on in the background until it ends, at most for its total timeout, keeps its place among those of
// Options.MaxConcurrentCalls, and what it returns is wiped.
//
// # Threads
//
// A call in C blocks an operating system's thread. Options.MaxConcurrentCalls bounds how many there are at once for
// each client; all other goroutines wait for their turn without a thread.
//
// # Errors
//
// A call that the library or the service refused returns an *Error. The detail is taken in the C function that made
// the call, so it is never another call's, however goroutines move between threads. A call that waited for its turn or
// for its reply when the context ended returns an error that wraps the context's.
//
// # Secrets
//
// Memory in C that held a plaintext or a data key is wiped. What a call returns is memory of Go, which the garbage
// collector does not wipe; Wipe does, apart from copies that the program made.
package tckms
