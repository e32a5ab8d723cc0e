package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// AnyKey makes Decrypt accept any CMK, and ReEncrypt use the same CMK.
const AnyKey = ""

// Client is a client of the key service. Any number of goroutines may use it at once.
type Client struct {
	gate
	total  time.Duration
	handle *C.tckms_client
	// The program's credentials functions.
	providers []*credentialsProvider
	// Made by the first call that can use it.
	startQueue sync.Once
	calls      *callQueue
}

// NewClient creates a client. It opens no connection: the first call does.
func NewClient(o Options) (*Client, error) {
	config := newConfig()
	defer config.free()
	for _, set := range o.settings() {
		if err := set(config); err != nil {
			return nil, err
		}
	}
	var handle *C.tckms_client
	if err := checked(C.tckms_go_client_new(config.handle, &handle)); err != nil {
		return nil, err
	}
	total := o.TotalTimeout
	if total == 0 {
		total = defaultTotalTimeout
	}
	return newClient(handle, config, total, o.MaxConcurrentCalls), nil
}

// NewClientFromEnv creates a client from the environment: DefaultCredentials, TENCENTCLOUD_REGION, and, if set,
// TCKMS_ENDPOINT, TCKMS_STS_ENDPOINT, TCKMS_CA_FILE, TCKMS_PROXY and TCKMS_INSECURE_HTTP_ALLOWED. In a program with
// more privileges than the user who started it, all of them count as not set.
func NewClientFromEnv() (*Client, error) {
	var handle *C.tckms_client
	if err := checked(C.tckms_go_client_new_from_env(&handle)); err != nil {
		return nil, err
	}
	return newClient(handle, &config{}, defaultTotalTimeout, 0), nil
}

func newClient(handle *C.tckms_client, made *config, total time.Duration, maxCalls int) *Client {
	client := &Client{gate: newGate(maxCalls), total: total, handle: handle, providers: made.providers}
	// For programs that do not close the client. No call is in C then, because it would refer to the client.
	runtime.SetFinalizer(client, func(c *Client) { _ = c.Close() })
	return client
}

// Close closes the client: further calls, and calls that wait for a slot, return ErrClosed. Calls that are in C run to
// their end, and the last one frees the connections and the credentials. Keyrings to which it was added continue to use
// it. Close does not wait for them, and may be called on any goroutine and more than once. The error is always nil.
func (c *Client) Close() error {
	c.gate.close(c.free)
	runtime.SetFinalizer(c, nil)
	return nil
}

// free is called once, when the handle is no longer used.
func (c *Client) free() {
	c.calls.close()
	C.tckms_client_free(c.handle)
	c.handle = nil
}

func (c *Client) leave() {
	c.releaseSlot()
	c.release(c.free)
}

func (c *Client) hasCallbacks() bool { return len(c.providers) > 0 }

// lastReports may be older than the call: the library does not call a function that has just failed, and returns the
// same error.
func (c *Client) lastReports(time.Time) []report {
	var all []report
	for _, p := range c.providers {
		all = append(all, p.last.since(time.Time{})...)
	}
	return all
}

// Encrypt encrypts 1 to 4096 bytes under a CMK. The result is a CiphertextBlob, opaque text.
func (c *Client) Encrypt(ctx context.Context, keyID string, plaintext []byte, encCtx EncryptionContext) ([]byte, error) {
	r := newRequest("Encrypt")
	key, pairs := r.text(keyID), r.encryptionContext(encCtx)
	input, size := r.bytes(plaintext)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_encrypt(c.handle, how, key, input, size, pairs)
	}
	r.submit = func(t terms) C.tckms_go_outcome {
		return C.tckms_go_submit_encrypt(t, key, input, size, pairs)
	}
	blob, _, err := r.do(ctx, c)
	return blob, err
}

// Decrypt decrypts a CiphertextBlob. keyID is the expected CMK, or AnyKey; if the reply is about another one, the error
// is ErrKeyMismatch.
func (c *Client) Decrypt(ctx context.Context, keyID string, blob []byte, encCtx EncryptionContext) ([]byte, error) {
	r := newRequest("Decrypt")
	key, pairs := r.optional(keyID), r.encryptionContext(encCtx)
	input, size := r.bytes(blob)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_decrypt(c.handle, how, key, input, size, pairs)
	}
	r.submit = func(t terms) C.tckms_go_outcome {
		return C.tckms_go_submit_decrypt(t, key, input, size, pairs)
	}
	plaintext, _, err := r.do(ctx, c)
	return plaintext, err
}

// ReEncrypt re-encrypts a CiphertextBlob under another CMK or context, without its plaintext leaving the service. keyID
// is the new CMK, or AnyKey for the same.
func (c *Client) ReEncrypt(ctx context.Context, keyID string, blob []byte, source, destination EncryptionContext) ([]byte, error) {
	r := newRequest("ReEncrypt")
	key, from, to := r.optional(keyID), r.encryptionContext(source), r.encryptionContext(destination)
	input, size := r.bytes(blob)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_reencrypt(c.handle, how, key, input, size, from, to)
	}
	r.submit = func(t terms) C.tckms_go_outcome {
		return C.tckms_go_submit_reencrypt(t, key, input, size, from, to)
	}
	reencrypted, _, err := r.do(ctx, c)
	return reencrypted, err
}

// GenerateDataKey generates a data key of 1 to 1024 bytes. Store the ciphertext with the data, and Wipe the plaintext
// after use.
func (c *Client) GenerateDataKey(ctx context.Context, keyID string, size int, encCtx EncryptionContext) (plaintext, ciphertext []byte, err error) {
	r := newRequest("GenerateDataKey")
	key, pairs := r.text(keyID), r.encryptionContext(encCtx)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_generate_data_key(c.handle, how, key, length(size), pairs)
	}
	r.submit = func(t terms) C.tckms_go_outcome {
		return C.tckms_go_submit_generate_data_key(t, key, length(size), pairs)
	}
	return r.do(ctx, c)
}

// GenerateRandom returns 1 to 1024 random bytes from the service's hardware.
func (c *Client) GenerateRandom(ctx context.Context, size int) ([]byte, error) {
	r := newRequest("GenerateRandom")
	r.free = func(outcome *C.tckms_go_outcome) { C.tckms_go_random_free(outcome) }
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_generate_random(c.handle, how, length(size))
	}
	r.submit = func(t terms) C.tckms_go_outcome {
		return C.tckms_go_submit_generate_random(t, length(size))
	}
	random, _, err := r.do(ctx, c)
	return random, err
}

// Call sends any action of the KMS API with its parameters, a JSON object or nil for none, and returns the JSON object
// under "Response". An action that creates something is not sent again if it may have been executed, unless
// Options.RetryUnsafeActions allows it.
func (c *Client) Call(ctx context.Context, action string, requestJSON []byte) ([]byte, error) {
	r := newRequest(action)
	name, parameters := r.text(action), r.optional(string(requestJSON))
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_call(c.handle, how, name, parameters)
	}
	r.submit = func(t terms) C.tckms_go_outcome {
		return C.tckms_go_submit_call(t, name, parameters)
	}
	response, _, err := r.do(ctx, c)
	return response, err
}

// length converts a number so that a negative one stays out of range.
func length(size int) C.size_t {
	if size < 0 {
		return 0
	}
	return C.size_t(size)
}

// Stats are the counters of a client since it was created.
type Stats struct {
	// Calls, successful or not.
	Calls uint64
	// Retries are attempts after the first of a call.
	Retries uint64
	// Throttles are replies with RequestLimitExceeded or HTTP 429.
	Throttles uint64
	// The calls that failed, by category.
	FailuresArgument, FailuresCredentials, FailuresTransport, FailuresIdentity              uint64
	FailuresRequest, FailuresUnavailable, FailuresIntegrity, FailuresLocal, FailuresLibrary uint64
	// Bytes of bodies, without headers and TLS.
	BytesSent, BytesReceived uint64
	// ConnectionsOpened is the number of connections that were opened.
	ConnectionsOpened uint64
	// ConnectionsOpen and ConnectionsIdle are the number of connections now, and of those that no call uses.
	ConnectionsOpen, ConnectionsIdle uint64
	// CallsWaiting is the number of calls that wait for a connection now.
	CallsWaiting uint64
}

// Stats reads the client's counters.
func (c *Client) Stats() (Stats, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return Stats{}, ErrClosed
	}
	var s C.tckms_stats
	if err := checked(C.tckms_go_client_stats(c.handle, &s)); err != nil {
		return Stats{}, err
	}
	return Stats{
		Calls:               uint64(s.calls),
		Retries:             uint64(s.retries),
		Throttles:           uint64(s.throttles),
		FailuresArgument:    uint64(s.failures_argument),
		FailuresCredentials: uint64(s.failures_credentials),
		FailuresTransport:   uint64(s.failures_transport),
		FailuresIdentity:    uint64(s.failures_identity),
		FailuresRequest:     uint64(s.failures_request),
		FailuresUnavailable: uint64(s.failures_unavailable),
		FailuresIntegrity:   uint64(s.failures_integrity),
		FailuresLocal:       uint64(s.failures_local),
		FailuresLibrary:     uint64(s.failures_library),
		BytesSent:           uint64(s.bytes_sent),
		BytesReceived:       uint64(s.bytes_received),
		ConnectionsOpened:   uint64(s.connections_opened),
		ConnectionsOpen:     uint64(s.connections_open),
		ConnectionsIdle:     uint64(s.connections_idle),
		CallsWaiting:        uint64(s.calls_waiting),
	}, nil
}

// Version is the version of the running library, such as "0.1.0".
func Version() string { return C.GoString(C.tckms_version()) }
