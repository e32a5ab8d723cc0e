// Package tckms is libtckms for Go: Tencent Cloud Key Management Service over cgo.
//
//	client, err := tckms.NewClientFromEnv()
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	blob, err := client.Encrypt(ctx, keyID, []byte("secret"), tckms.Pairs{"app": "billing"})
//
// It links libtckms with pkg-config. With the build tag tckms_static it links the archive instead, and the program runs
// without the shared library.
//
// # Sealing
// Encrypt sends 1 to 4096 bytes to the service. A Keyring seals data of any size locally, under data keys that its
// keys wrap, into messages of the AWS Encryption SDK's format:
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
// Seal and Open are for data in memory, NewSealWriter and NewOpenReader for streams, SealFile and OpenFile for files,
// pipes and sockets; each reads what the others write. No part of a frame is returned before the frame is
// authenticated, but truncation is detected only at the end of a message: when Read returns io.EOF, or when OpenFile
// returns nil. A sealed message is complete when Close or SealFile returns nil; if the plaintext is not complete, call
// Abort of the SealWriter.
//
// # Keys that sign
// NewSigner returns a crypto.Signer whose key stays in KMS. Sign, Verify, RSADecrypt, SM2Decrypt, CreateKey and similar
// methods are the calls for asymmetric keys and for key management.
//
// # Units
// Lengths are in bytes. Times are time.Duration, rounded up to milliseconds. 0 means the default in all options.
//
// # Contexts and deadlines
// A context's deadline limits a client's call if it is earlier than the client's total timeout. If a context is
// cancelled, its call returns at once, and the call in C is canceled. The service may still execute a request that was
// sent. A keyring's calls also return when their context ends. The request for a data key continues in the background,
// because other calls may wait for it, until it ends or the keyring's total timeout expires; its result is wiped.
// SealFile and OpenFile return when nothing uses the files any more. A SealWriter and an OpenReader end with the
// context that they were created with.
//
// # Threads
// Any number of goroutines may use a Client or a Keyring at once; add all keys to a keyring before you use it. A
// SealWriter and an OpenReader are for one goroutine at a time.
//
// A client's calls hold no operating system's thread while they wait for the service: Encrypt, Decrypt, ReEncrypt,
// GenerateDataKey, GenerateRandom, Call, PublicKey, SignDigest and RSADecrypt, unless the client has a CredentialsFunc.
// Every other call in C blocks a thread. MaxConcurrentCalls limits both for each client and each keyring; further
// goroutines wait without a thread. SealFile and OpenFile start additional threads, FileOptions.Threads
// of them. Functions of the program that the library calls run on several goroutines at once, with the context of the
// call that needs them. A panic in one becomes an error of that call.
//
// # Ownership
// When a call returns, the caller may reuse its arguments; C keeps no Go pointers. Results are in Go memory. Close may
// be called at any time: running calls continue to their end, and the last one frees the resources. A keyring keeps a
// closed client alive as long as it needs it, and so do a SealWriter and an OpenReader with a closed keyring.
// Finalizers eventually free objects that were never closed.
//
// # Errors
// If the library or the service refuses a call, the error is an *Error. Its detail is taken in the C function that
// made the call, so it never belongs to another call, even if goroutines move between threads. If the context ends
// while a call waits for a slot or a reply, the error wraps the context's. Errors of the underlying io.Writer or
// io.Reader are returned unchanged. WithCallInfo returns the request id of successful calls too. errors.Is also finds
// the system's error number if one is the cause, such as syscall.ENOSPC. If a function of the program failed (a
// CredentialsFunc, a function of a CustomKey, or a progress function), errors.Is and errors.As find its error in that
// of the call.
//
// # Secrets
// Memory in C that contained a plaintext or a data key is wiped. Results are in Go memory, which the garbage collector
// does not wipe. Wipe does, except for copies that the program made.
package tckms
