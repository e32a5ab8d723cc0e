package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// ErrKeyringInUse is returned when a key is added to a keyring that has sealed or opened something.
var ErrKeyringInUse = errors.New("tckms: a keyring that is in use takes no more keys")

// CommitmentPolicy says which messages are opened. Messages are always written with a suite that commits to its key.
type CommitmentPolicy int

// The policies.
const (
	// CommitmentRequired opens only messages that commit to their data key. The default.
	CommitmentRequired CommitmentPolicy = C.TCKMS_COMMITMENT_REQUIRED
	// CommitmentNotRequiredToOpen opens messages of version 1 of the format too, which do not commit.
	CommitmentNotRequiredToOpen CommitmentPolicy = C.TCKMS_COMMITMENT_NOT_REQUIRED_TO_OPEN
)

// CacheLimits say how long and how much a cached data key serves. A member that is 0 has its default. Times are counted
// in milliseconds, rounded up.
type CacheLimits struct {
	// SealMaxAge is how old a data key that seals may become. Default 5 minutes, at most 24 hours.
	SealMaxAge time.Duration
	// OpenMaxAge is how long a data key that was unwrapped is kept. Default 1 hour, at most 24 hours.
	OpenMaxAge time.Duration
	// MaxMessages is how many messages a data key seals. Default 1048576, at most 4294967296.
	MaxMessages uint64
	// MaxBytes is how many bytes of plaintext a data key seals. Default 1099511627776.
	MaxBytes uint64
	// MaxEntries is how many data keys are kept for sealing, and as many for opening. Default 1000, at most 100000.
	MaxEntries uint64
}

// KeyringOptions are the rules for writing and reading messages. Everything may be left at its zero value, which is the
// library's default. Lengths are in bytes.
type KeyringOptions struct {
	// Cache lets data keys serve more than one message, within its limits. nil means a request for each message.
	Cache *CacheLimits
	// Commitment says which messages are opened.
	Commitment CommitmentPolicy
	// Signing signs messages with ECDSA on P-384 (suite 0578), for readers who must not be able to forge what they can
	// open. It makes sealing and opening much slower. Otherwise the suite is 0478.
	Signing bool
	// FrameLength is that of new messages. A reader holds one frame in memory. Default 65536, at most 2147483647.
	FrameLength int

	// MaxWrappedKeys limits how many wrapped data keys a message may have that is opened. Default 8.
	MaxWrappedKeys int
	// MaxHeaderLength limits the header. Default 524288.
	MaxHeaderLength int
	// MaxFrameLength limits the frames. Default 16777216.
	MaxFrameLength int
	// MaxUnframedLength limits a body without frames, all of which has to be in memory. Default 67108864.
	MaxUnframedLength int64
	// MaxRSAOperations limits the RSA operations that a message can cause when it is opened with private keys. Default 2.
	MaxRSAOperations int
	// TotalTimeout limits how long all key requests of one call take together. Default 30 s, at most an hour.
	TotalTimeout time.Duration
	// ReproducedContext are pairs that messages are bound to without holding them, as some other writers make them.
	ReproducedContext EncryptionContext

	// MaxConcurrentCalls bounds how many calls are in C at once, and so how many threads they block. Default 64. Further
	// calls wait for their turn.
	MaxConcurrentCalls int
}

// Keyring is the keys that wrap the data keys of sealed messages, in order, and the rules for writing and reading
// messages. Keys are added before it is used; then any number of goroutines may seal and open with it at once.
type Keyring struct {
	gate
	handle *C.tckms_keyring
	// Those that were added, which stay until the keyring is freed.
	clients []*Client
	custom  []*customKey
	inUse   bool
}

// NewKeyring makes a keyring without keys.
func NewKeyring(o KeyringOptions) (*Keyring, error) {
	k := &Keyring{gate: newGate(o.MaxConcurrentCalls), handle: C.tckms_keyring_new()}
	// For programs that forget to close. No call and no stream uses it then: they would still refer to it.
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

// change adds something, as long as nothing else uses the keyring.
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

// AddKMS adds CMKs by their key ids, which are not aliases, in the client's region. The first key of a keyring makes
// the data key of a message, every further one wraps it as well: add one for each region or account that has to be able
// to open the messages. The client may be closed afterwards. After an error the keys before the refused one were added.
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

// AddRSAPublicPEM adds the public half of an RSA key of 2048 to 8192 bits, which seals: whoever has the private half can
// open the messages without the service. The namespace has 1 to 512 ASCII characters that do not begin with "aws-kms",
// the name 1 to 512 bytes; a reader finds the key by both.
func (k *Keyring) AddRSAPublicPEM(namespace, name string, pem []byte) error {
	return k.addRSA(C.TCKMS_GO_PUBLIC, namespace, name, pem)
}

// AddRSAPrivatePEM adds the private half, which opens, in PEM form that is not encrypted. It does not take part in
// sealing.
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

// Close ends the keyring: further calls and those that wait for their turn return ErrClosed. Calls that are in C end as
// they would have, writers and readers go on, and the last one frees the keyring and wipes the cache. Close does not
// wait for them, and may be called from anywhere and more than once. The error is always nil.
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

// use holds the keyring, to which nothing can be added any more.
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

// derive gives none: calls share what is in the keyring's cache, and with it the requests for data keys.
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

// Seal seals data of any size: encrypts it here, under a data key that the keyring's keys wrap. The message can be
// opened with no other context, which is in it in clear, and in the key service's audit log.
//
// All of it is in memory, several times; for more than some megabytes there are NewSealWriter and SealFile.
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

// Open opens a message that is whole and has nothing behind it. Nothing of it is given out before all of it is
// authentic, with its signature if it has one.
//
// expected are pairs that have to be in the message's context, else the error is ErrContextMismatch and no key was
// asked. Without any, a message of any context is opened: the context is checked only if you pass the pairs you expect.
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
