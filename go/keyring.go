package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// ErrKeyringInUse is returned when a key is added to a keyring that has already sealed or opened a message.
var ErrKeyringInUse = errors.New("tckms: no key can be added to a keyring that is in use")

// CommitmentPolicy selects the messages that are opened. Messages are always written with a suite that commits to the
// data key.
type CommitmentPolicy int

// The policies.
const (
	// CommitmentRequired opens only messages that commit to their data key. The default.
	CommitmentRequired CommitmentPolicy = C.TCKMS_COMMITMENT_REQUIRED
	// CommitmentNotRequiredToOpen also opens messages of version 1 of the format, which do not commit.
	CommitmentNotRequiredToOpen CommitmentPolicy = C.TCKMS_COMMITMENT_NOT_REQUIRED_TO_OPEN
)

// CacheLimits are limits for cached data keys. A field that is 0 has its default. Times are rounded up to milliseconds.
type CacheLimits struct {
	// SealMaxAge is the maximum age of a data key for sealing. Default 5 minutes, at most 24 hours.
	SealMaxAge time.Duration
	// OpenMaxAge is the maximum age of a data key for opening. Default 1 hour, at most 24 hours.
	OpenMaxAge time.Duration
	// MaxMessages is the maximum number of messages that a data key seals. Default 1048576, at most 4294967296.
	MaxMessages uint64
	// MaxBytes is the maximum number of plaintext bytes that a data key seals. Default 1099511627776.
	MaxBytes uint64
	// MaxEntries is the maximum number of data keys for sealing, and of data keys for opening. Default 1000, at most
	// 100000.
	MaxEntries uint64
}

// KeyringOptions are the rules for writing and reading messages. The zero value of each field is the library's default.
// Lengths are in bytes.
type KeyringOptions struct {
	// Cache turns on the cache: a data key then serves more than one message, within these limits. nil means a request for
	// each message.
	Cache *CacheLimits
	// Commitment selects the messages that are opened.
	Commitment CommitmentPolicy
	// Signing signs messages with ECDSA on P-384 (suite 0578), for readers who must not be able to forge messages that
	// they can open. It makes sealing and opening much slower. Without it, the suite is 0478.
	Signing bool
	// FrameLength is the frame length of new messages. A reader needs memory for one frame. Default 65536, at most
	// 2147483647.
	FrameLength int

	// MaxWrappedKeys limits the number of wrapped data keys of messages to be opened. Default 8.
	MaxWrappedKeys int
	// MaxHeaderLength limits the header of messages to be opened. Default 524288.
	MaxHeaderLength int
	// MaxFrameLength limits the frames of messages to be opened. Default 16777216.
	MaxFrameLength int
	// MaxUnframedLength limits a body without frames, which must fit into memory. Default 67108864.
	MaxUnframedLength int64
	// MaxRSAOperations limits the RSA private-key operations that opening a message can cause. Default 2.
	MaxRSAOperations int
	// TotalTimeout limits the total time of all key requests of one call. Default 30 s, at most an hour.
	TotalTimeout time.Duration
	// ReproducedContext are context pairs that messages to be opened are bound to but do not contain. Some other writers
	// make such messages.
	ReproducedContext EncryptionContext

	// MaxConcurrentCalls limits the number of calls in C at once, and so the number of threads that they block. Default
	// 64. Further calls wait.
	MaxConcurrentCalls int
}

// Keyring has the keys that wrap the data keys of sealed messages, in order, and the rules for writing and reading
// messages. Add all keys before you use it; then any number of goroutines may seal and open with it at once.
type Keyring struct {
	gate
	handle *C.tckms_keyring
	// The added ones, which are kept until the keyring is freed.
	clients []*Client
	custom  []*customKey
	inUse   bool
}

// NewKeyring creates a keyring without keys.
func NewKeyring(o KeyringOptions) (*Keyring, error) {
	k := &Keyring{gate: newGate(o.MaxConcurrentCalls), handle: C.tckms_keyring_new()}
	// For programs that do not close the keyring. No call and no stream uses it then, because they would refer to it.
	runtime.SetFinalizer(k, func(k *Keyring) { _ = k.Close() })
	if err := o.set(k.handle); err != nil {
		_ = k.Close()
		return nil, err
	}
	return k, nil
}

func (o *KeyringOptions) set(keyring *C.tckms_keyring) error {
	if o.Cache != nil {
		limits := C.tckms_cache_limits{
			seal_max_age_ms: C.int64_t(milliseconds(o.Cache.SealMaxAge)),
			open_max_age_ms: C.int64_t(milliseconds(o.Cache.OpenMaxAge)),
			max_messages:    C.uint64_t(o.Cache.MaxMessages),
			max_bytes:       C.uint64_t(o.Cache.MaxBytes),
			max_entries:     C.uint64_t(o.Cache.MaxEntries),
		}
		if err := checked(C.tckms_go_keyring_set_cache(keyring, &limits)); err != nil {
			return err
		}
	}
	var signing int64
	if o.Signing {
		signing = 1
	}
	for _, set := range []struct {
		setter C.tckms_go_keyring_setter
		value  int64
	}{
		{C.TCKMS_GO_POLICY, int64(o.Commitment)},
		{C.TCKMS_GO_SIGNING, signing},
		{C.TCKMS_GO_FRAME_LEN, int64(o.FrameLength)},
		{C.TCKMS_GO_MAX_WRAPPED_KEYS, int64(o.MaxWrappedKeys)},
		{C.TCKMS_GO_MAX_HEADER_LEN, int64(o.MaxHeaderLength)},
		{C.TCKMS_GO_MAX_FRAME_LEN, int64(o.MaxFrameLength)},
		{C.TCKMS_GO_MAX_UNFRAMED_LEN, o.MaxUnframedLength},
		{C.TCKMS_GO_MAX_RSA_OPERATIONS, int64(o.MaxRSAOperations)},
		{C.TCKMS_GO_KEYRING_TIMEOUT, milliseconds(o.TotalTimeout)},
	} {
		if set.value == 0 {
			continue
		}
		if err := checked(C.tckms_go_keyring_set(keyring, set.setter, C.int64_t(set.value))); err != nil {
			return err
		}
	}
	r := newRequest("")
	defer r.memory.free()
	return r.checked(C.tckms_go_keyring_set_reproduced_context(keyring, r.encryptionContext(o.ReproducedContext)))
}

// change adds a key, while nothing else uses the keyring.
func (k *Keyring) change(add func(*C.tckms_keyring) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed:
		return ErrClosed
	case k.inUse:
		return ErrKeyringInUse
	}
	return add(k.handle)
}

// AddKMS adds CMKs by their key ids, which are not aliases, in the client's region. The first key of a keyring
// generates the data key of a message, and every further one wraps it as well: add one for each region or account that
// must be able to open the messages. The client may be closed afterwards. After an error, the keys before the refused
// one have been added.
func (k *Keyring) AddKMS(client *Client, keyIDs ...string) error {
	return k.change(func(keyring *C.tckms_keyring) error {
		if err := client.retain(); err != nil {
			return err
		}
		k.clients = append(k.clients, client)
		var m memory
		defer m.free()
		for _, id := range keyIDs {
			if err := m.checked(C.tckms_go_add_kms(keyring, client.handle, m.text(id))); err != nil {
				return err
			}
		}
		return nil
	})
}

// AddRSAPublicPEM adds an RSA public key of 2048 to 8192 bits, which seals: the owner of the private key can open the
// messages without the service. The namespace has 1 to 512 ASCII characters that do not begin with "aws-kms", the name
// 1 to 512 bytes; a reader finds the key by both.
func (k *Keyring) AddRSAPublicPEM(namespace, name string, pem []byte) error {
	return k.addRSA(C.TCKMS_GO_PUBLIC, namespace, name, pem)
}

// AddRSAPrivatePEM adds an RSA private key, which opens, in PEM form that is not encrypted. It is not used for sealing.
func (k *Keyring) AddRSAPrivatePEM(namespace, name string, pem []byte) error {
	return k.addRSA(C.TCKMS_GO_PRIVATE, namespace, name, pem)
}

func (k *Keyring) addRSA(half C.tckms_go_rsa_half, namespace, name string, pem []byte) error {
	return k.change(func(keyring *C.tckms_keyring) error {
		var m memory
		defer m.free()
		text, size := m.bytes(pem)
		return m.checked(C.tckms_go_add_rsa(keyring, half, m.text(namespace), m.text(name), text, size))
	})
}

// Close closes the keyring: further calls, and calls that wait for a slot, return ErrClosed. Calls that are in C,
// writers and readers continue, and the last one frees the keyring and wipes the cache. Close does not wait for them,
// and may be called on any goroutine and more than once. The error is always nil.
func (k *Keyring) Close() error {
	k.gate.close(k.free)
	runtime.SetFinalizer(k, nil)
	return nil
}

// free is called once, when the handle is no longer used.
func (k *Keyring) free() {
	C.tckms_keyring_free(k.handle)
	k.handle = nil
	for _, client := range k.clients {
		client.release(client.free)
	}
}

// use retains the keyring, to which no key can be added afterwards.
func (k *Keyring) use() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return ErrClosed
	}
	k.users++
	k.inUse = true
	return nil
}

func (k *Keyring) enter(ctx context.Context) error {
	if err := k.acquireSlot(ctx, k.closing); err != nil {
		return err
	}
	if err := k.use(); err != nil {
		k.releaseSlot()
		return err
	}
	return nil
}

func (k *Keyring) leave() {
	k.releaseSlot()
	k.release(k.free)
}

// derive returns nil: calls share the keyring's cache, and with it the requests for data keys.
func (k *Keyring) derive(context.Context) (*derivedClient, error) { return nil, nil }

func (k *Keyring) hasCallbacks() bool {
	for _, client := range k.clients {
		if client.hasCallbacks() {
			return true
		}
	}
	return len(k.custom) > 0
}

func (k *Keyring) lastReports(began time.Time) []report {
	var all []report
	for _, client := range k.clients {
		all = append(all, client.lastReports(began)...)
	}
	for _, key := range k.custom {
		all = append(all, key.last.since(began)...)
	}
	return all
}

// Seal seals data of any size: encrypts it locally, under a data key that the keyring's keys wrap. The message contains
// the context in clear, and so does the service's audit log; it cannot be changed in the message. The data is in memory
// several times; for more than some megabytes use NewSealWriter or SealFile.
func (k *Keyring) Seal(ctx context.Context, plaintext []byte, encCtx EncryptionContext) ([]byte, error) {
	r := newRequest("Seal")
	pairs := r.encryptionContext(encCtx)
	input, size := r.input(ctx, plaintext)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_seal(how, k.handle, input, size, pairs)
	}
	message, _, err := r.do(ctx, k)
	return message, err
}

// Open opens a complete message without data after it. The plaintext is returned only if the whole message is
// authentic, including its signature if it has one. expected are pairs that the message's context must have; otherwise
// the error is ErrContextMismatch and no request was sent. Without any, a message with any context is opened: the
// context is checked only if you pass the pairs you expect.
func (k *Keyring) Open(ctx context.Context, message []byte, expected EncryptionContext) ([]byte, error) {
	r := newRequest("Open")
	pairs := r.encryptionContext(expected)
	input, size := r.input(ctx, message)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_open(how, k.handle, input, size, pairs)
	}
	plaintext, _, err := r.do(ctx, k)
	return plaintext, err
}
