// Package tckms is libtckms for Go: Tencent Cloud Key Management Service over cgo.
//
//	client, err := tckms.NewClientFromEnv()
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	blob, err := client.Encrypt(ctx, keyID, []byte("secret"), tckms.Pairs{"app": "billing"})
//
// It links libtckms by pkg-config. With the build tag tckms_static it links the archive instead, and the program runs
// without the shared library.
//
// # Sealing
//
// Encrypt is for 1 to 4096 bytes, which go to the service. A Keyring seals data of any size here, under data keys that
// its keys wrap, into messages of the AWS Encryption SDK's format:
//
//	keyring, err := tckms.NewKeyring(tckms.KeyringOptions{Cache: &tckms.CacheLimits{}})
//	if err != nil {
//		return err
//	}
//	defer keyring.Close()
//	if err := keyring.AddKMS(client, keyID); err != nil {
//		return err
//	}
//	message, err := keyring.Seal(ctx, data, tckms.Pairs{"purpose": "backup"})
//
// For what is in memory there are Seal and Open, for what comes in pieces NewSealWriter and NewOpenReader, for files,
// pipes and sockets SealFile and OpenFile; each reads what the others write. Nothing of a frame comes out before it is
// authentic, but that a message was cut off is known only at its end: when Read returns io.EOF, when OpenFile returns
// nil. What was sealed is complete when Close or SealFile returns nil; a SealWriter whose plaintext is not whole is left
// with Abort.
//
// # Keys that sign
//
// NewSigner gives a crypto.Signer whose key stays in KMS. Sign, Verify, RSADecrypt, SM2Decrypt, CreateKey and their siblings
// are the calls for asymmetric keys and for the management of keys.
//
// # Units
//
// Lengths are in bytes. Times are time.Duration, counted in milliseconds and rounded up. 0 is the default in
// all options.
//
// # Contexts and deadlines
//
// A context's deadline is the total timeout of a client's call, if it is sooner than the client's own. A call whose
// context is cancelled returns at once, and the call in C is canceled. What was sent is not taken back, so the service may
// still carry it out.
//
// A keyring's calls return when their context ends just the same. The request for a data key goes on in the background,
// since other calls may wait for it, until it ends or the keyring's total timeout is over; what it returns is wiped. SealFile and OpenFile return when nothing uses the files any more. A SealWriter and an OpenReader end with
// the context that they were made with.
//
// # Threads
//
// Any number of goroutines may use a Client or a Keyring at once; keys are added to a keyring before it is used. A
// SealWriter and an OpenReader are for one goroutine at a time.
//
// A call in C blocks an operating system's thread. MaxConcurrentCalls bounds how many there are at once for each client
// and each keyring; all other goroutines wait for their turn without a thread. SealFile and OpenFile have threads of
// their own besides, FileOptions.Threads of them.
//
// Functions that the program gives to the library run on several goroutines at once, with the context of the call that
// asks. A panic in one is an error of that call.
//
// # Ownership
//
// Arguments are the caller's again when a call returns; C keeps no pointer of Go. What a call returns is memory of Go.
// Close ends a client or a keyring at any time: calls that run go on to their end, and the last one frees what there is.
// A keyring keeps what it needs of a closed client, a SealWriter and an OpenReader of a closed keyring. What is never
// closed is freed by finalizers, at some time.
//
// # Errors
//
// A call that the library or the service refused returns an *Error. The detail is taken in the C function that made
// the call, so it is never another call's, however goroutines move between threads. A call that waited for its turn or
// for its reply when the context ended returns an error that wraps the context's. An error of an io.Writer or io.Reader
// below comes through as it is.
//
// The request id of a call that succeeded is in the CallInfo of WithCallInfo. errors.Is also finds the system's error
// number where one is the cause, such as syscall.ENOSPC.
//
// Where a function of the program failed, a CredentialsFunc, one of a CustomKey or a progress function, errors.Is and
// errors.As find its own error in that of the call.
//
// # Secrets
//
// Memory in C that held a plaintext or a data key is wiped. What a call returns is memory of Go, which the garbage
// collector does not wipe; Wipe does, apart from copies that the program made.
package tckms
