package tckms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// vaultError is an error of the program's own, as errors.As finds it.
type vaultError struct{ number int }

func (e *vaultError) Error() string { return fmt.Sprintf("the vault is closed (%d)", e.number) }

var errVault = errors.New("no vault")

// wantVaultError fails the test unless an error carries those of the program's function.
func wantVaultError(t testing.TB, err error, number int) {
	t.Helper()
	var own *vaultError
	if !errors.As(err, &own) || own.number != number || !errors.Is(err, errVault) || !strings.Contains(err.Error(), own.Error()) {
		t.Errorf("the error is %v", err)
	}
}

func vaultFailure(number int) error {
	return fmt.Errorf("%w, and %v", &vaultAndMore{&vaultError{number}}, number)
}

// vaultAndMore is found as errVault too.
type vaultAndMore struct{ *vaultError }

func (e *vaultAndMore) Is(target error) bool { return target == errVault }
func (e *vaultAndMore) Unwrap() error        { return e.vaultError }

func failingCredentials(number int) Credentials {
	return CredentialsFunc(func(context.Context) (Identity, error) { return Identity{}, vaultFailure(number) })
}

func TestErrorsOfCredentialsFunctionsAreWrapped(t *testing.T) {
	client := plain.client(t, func(o *Options) { o.Credentials = failingCredentials(1) })
	cancellable, cancel := context.WithTimeout(background, time.Hour)
	defer cancel()
	// The function is not called again at once; its error is returned again.
	for _, ctx := range []context.Context{background, cancellable, background} {
		_, err := client.Encrypt(ctx, plain.Keys["main"], []byte("x"), nil)
		wantStatus(t, err, ErrCredentialsCallbackFailed)
		wantVaultError(t, err, 1)
	}
	// So is it where the client is in a keyring.
	keyring := keyringOf(t, KeyringOptions{}, func(k *Keyring) error { return k.AddKMS(client, plain.Keys["main"]) })
	for name, seal := range sealing {
		_, err := seal(t, background, keyring, []byte("x"))
		if !errors.Is(err, errVault) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// All of several that were asked, each with its own.
	client = plain.client(t, func(o *Options) { o.Credentials = FirstOf(failingCredentials(1), failingCredentials(2)) })
	_, err := client.Encrypt(background, plain.Keys["main"], []byte("x"), nil)
	wantVaultError(t, err, 1)
	if !strings.Contains(err.Error(), "closed (2)") {
		t.Error(err)
	}
	// A failure that does not concern credentials does not include an earlier one.
	client = plain.client(t, func(o *Options) { o.Credentials = FirstOf(failingCredentials(1), o.Credentials) })
	for i := 0; i < 2; i++ {
		_, err = client.Encrypt(background, nobodysKey, []byte("x"), nil)
		if wantStatus(t, err, ErrCMKNotFound); errors.Is(err, errVault) {
			t.Error(err)
		}
	}
}

func TestCredentialsFunctionsThatPanicOrSupplyNothing(t *testing.T) {
	for name, test := range map[string]struct {
		supply func(context.Context) (Identity, error)
		want   error
	}{
		"panic with an error": {func(context.Context) (Identity, error) { panic(vaultFailure(1)) }, errVault},
		"panic with nil":      {func(context.Context) (Identity, error) { panic(nil) }, ErrCredentialsCallbackFailed},
		"nothing":             {func(context.Context) (Identity, error) { return Identity{}, nil }, ErrMalformedCredentials},
		"a NUL":               {func(context.Context) (Identity, error) { return Identity{SecretID: "a\x00"}, nil }, ErrInvalidUTF8},
	} {
		client := plain.client(t, func(o *Options) { o.Credentials = CredentialsFunc(test.supply) })
		_, err := client.Encrypt(background, plain.Keys["main"], []byte("x"), nil)
		wantStatus(t, err, ErrCredentialsCallbackFailed)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, test := range map[string]struct {
		err       error
		want      Status
		retryable bool
	}{
		"a status":          {ErrServiceUnavailable, ErrServiceUnavailable, true},
		"a wrapped status":  {fmt.Errorf("the vault: %w", ErrServiceUnavailable), ErrServiceUnavailable, true},
		"an error of calls": {&Error{Status: ErrUnauthorizedOperation}, ErrUnauthorizedOperation, false},
		"a deadline":        {context.DeadlineExceeded, ErrTimedOut, true},
		"another error":     {vaultFailure(1), ErrCredentialsCallbackFailed, false},
	} {
		client := plain.client(t, func(o *Options) {
			o.Credentials = CredentialsFunc(func(context.Context) (Identity, error) { return Identity{}, test.err })
		})
		_, err := client.Encrypt(background, plain.Keys["main"], []byte("x"), nil)
		wantStatus(t, err, test.want)
		var failure *Error
		if !errors.As(err, &failure) || failure.Retryable != test.retryable || !errors.Is(err, test.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	client := plain.client(t, func(o *Options) {
		o.Credentials = CredentialsFunc(func(context.Context) (Identity, error) { panic("out of order") })
	})
	_, err := client.Encrypt(background, plain.Keys["main"], []byte("x"), nil)
	if !strings.Contains(err.Error(), "out of order") {
		t.Error(err)
	}
}

// xor is a scheme without security.
func xor(bytes []byte) []byte {
	out := make([]byte, len(bytes))
	for i, b := range bytes {
		out[i] = b ^ 0x5a
	}
	return out
}

func xorKey(seen func(ContextJSON)) CustomKey {
	return CustomKey{
		ProviderID: "xor",
		Wrap: func(_ context.Context, pairs ContextJSON, dataKey []byte) (WrappedKey, error) {
			seen(pairs)
			return WrappedKey{Info: []byte("5a"), Wrapped: xor(dataKey)}, nil
		},
		Unwrap: func(_ context.Context, pairs ContextJSON, wrapped WrappedKey, dataKey []byte) error {
			seen(pairs)
			if wrapped.ProviderID != "xor" || string(wrapped.Info) != "5a" {
				return ErrNoMatchingKey
			}
			copy(dataKey, xor(wrapped.Wrapped))
			return nil
		},
	}
}

func TestCustomKeysSealAndOpen(t *testing.T) {
	var contexts []ContextJSON
	key := xorKey(func(pairs ContextJSON) { contexts = append(contexts, pairs) })
	generating := key
	generating.Generate = func(ctx context.Context, pairs ContextJSON, dataKey []byte) (WrappedKey, error) {
		copy(dataKey, content(len(dataKey)))
		return key.Wrap(ctx, pairs, dataKey)
	}
	for name, key := range map[string]CustomKey{"wraps": key, "generates": generating} {
		contexts = nil
		keyring := keyringOf(t, KeyringOptions{}, func(k *Keyring) error { return k.AddCustom(key) })
		for sealedBy, seal := range sealing {
			message, err := seal(t, background, keyring, content(1000))
			good(t, message, err)
			plaintext, err := keyring.Open(background, message, app)
			if err != nil || !bytes.Equal(plaintext, content(1000)) {
				t.Errorf("%s, %s: %v", name, sealedBy, err)
			}
		}
		if len(contexts) != 2*len(sealing) || contexts[0] != `{"app":"billing","env":"test"}` {
			t.Errorf("%s: the contexts were %q", name, contexts)
		}
	}
	// Beside a CMK, whose data key it wraps; and alone to open.
	both := keyringOf(t, KeyringOptions{}, func(k *Keyring) error {
		if err := k.AddKMS(plain.client(t), plain.Keys["main"]); err != nil {
			return err
		}
		return k.AddCustom(key)
	})
	message, err := both.Seal(background, []byte("x"), nil)
	good(t, message, err)
	alone := keyringOf(t, KeyringOptions{}, func(k *Keyring) error { return k.AddCustom(key) })
	plaintext, err := alone.Open(background, message, nil)
	if string(good(t, plaintext, err)) != "x" || contexts[len(contexts)-1] != "{}" {
		t.Errorf("%q, %q", plaintext, contexts)
	}
}

// A client may be called within a custom key: a CMK in a way of the program's own.
func TestACustomKeyMayCallTheService(t *testing.T) {
	client, main := plain.client(t), plain.Keys["main"]
	key := CustomKey{
		ProviderID: "by-hand",
		Wrap: func(_ context.Context, pairs ContextJSON, dataKey []byte) (WrappedKey, error) {
			blob, err := client.Encrypt(background, main, dataKey, pairs)
			return WrappedKey{Wrapped: blob}, err
		},
		Unwrap: func(_ context.Context, pairs ContextJSON, wrapped WrappedKey, dataKey []byte) error {
			plaintext, err := client.Decrypt(background, main, wrapped.Wrapped, pairs)
			copy(dataKey, plaintext)
			return err
		},
	}
	keyring := keyringOf(t, KeyringOptions{}, func(k *Keyring) error { return k.AddCustom(key) })
	message, err := keyring.Seal(background, []byte("x"), app)
	good(t, message, err)
	plaintext, err := keyring.Open(background, message, app)
	good(t, plaintext, err)
	// What the service says comes through, and an outage stays one.
	plain.fault(t, "Decrypt", 100, `{"kind":"error","code":"InternalError"}`)
	_, err = keyring.Open(background, message, app)
	var within *Error
	failure := wantStatus(t, err, ErrServiceInternalError)
	if !failure.Retryable || !errors.As(failure.Unwrap(), &within) || len(within.RequestID) != 36 {
		t.Errorf("%+v", failure)
	}
}

func TestErrorsOfCustomKeysAreWrapped(t *testing.T) {
	fails := func(err error) CustomKey {
		return CustomKey{
			ProviderID: "xor",
			Wrap:       func(context.Context, ContextJSON, []byte) (WrappedKey, error) { return WrappedKey{}, err },
			Unwrap:     func(context.Context, ContextJSON, WrappedKey, []byte) error { return err },
		}
	}
	message, err := keyringOf(t, KeyringOptions{}, func(k *Keyring) error { return k.AddCustom(xorKey(func(ContextJSON) {})) }).
		Seal(background, []byte("x"), app)
	good(t, message, err)
	for name, test := range map[string]struct {
		err       error
		want      Status
		retryable bool
	}{
		"its own":        {vaultFailure(1), ErrCustomKeyFailed, false},
		"an outage":      {fmt.Errorf("%w: %v", ErrServiceUnavailable, "later"), ErrServiceUnavailable, true},
		"not its own":    {ErrNoMatchingKey, ErrNoMatchingKey, false},
		"success":        {fmt.Errorf("%w", OK), ErrCustomKeyFailed, false},
		"out of time":    {context.DeadlineExceeded, ErrTimedOut, true},
		"an *Error":      {&Error{Status: ErrCMKDisabled, RequestID: "r"}, ErrCMKDisabled, false},
		"unknown status": {Status(123456), ErrCustomKeyFailed, false},
	} {
		keyring := keyringOf(t, KeyringOptions{}, func(k *Keyring) error { return k.AddCustom(fails(test.err)) })
		check := func(by string, err error) {
			failure := wantStatus(t, err, test.want)
			if failure.Retryable != test.retryable || !errors.Is(err, test.err) {
				t.Errorf("%s, %s: retryable %v, %v", name, by, failure.Retryable, err)
			}
		}
		for by, seal := range sealing {
			_, err := seal(t, background, keyring, []byte("x"))
			check(by, err)
		}
		for by, open := range opening {
			_, err := open(t, background, keyring, message)
			check(by, err)
		}
	}
	panics := CustomKey{
		ProviderID: "xor",
		Generate:   func(context.Context, ContextJSON, []byte) (WrappedKey, error) { panic(vaultFailure(2)) },
		Wrap:       func(context.Context, ContextJSON, []byte) (WrappedKey, error) { panic("not asked") },
		Unwrap:     func(context.Context, ContextJSON, WrappedKey, []byte) error { panic(vaultFailure(3)) },
	}
	keyring := keyringOf(t, KeyringOptions{}, func(k *Keyring) error { return k.AddCustom(panics) })
	_, err = keyring.Seal(background, nil, nil)
	wantVaultError(t, err, 2)
	_, err = keyring.Open(background, message, nil)
	wantVaultError(t, err, 3)

	// One that wraps nothing.
	keyring = keyringOf(t, KeyringOptions{}, func(k *Keyring) error { return k.AddCustom(fails(nil)) })
	_, err = keyring.Seal(background, nil, nil)
	wantStatus(t, err, ErrInvalidLength)
}

// The error is that of the outage, and nothing of the key that cannot open the message is found in it.
func TestAnOutageIsNotMistakenForAKeyThatDoesNotFit(t *testing.T) {
	client := plain.client(t, func(o *Options) { o.MaxAttempts = 1 })
	both := func(key CustomKey) *Keyring {
		return keyringOf(t, KeyringOptions{}, func(k *Keyring) error {
			if err := k.AddCustom(key); err != nil {
				return err
			}
			return k.AddKMS(client, plain.Keys["main"])
		})
	}
	key := xorKey(func(ContextJSON) {})
	message, err := both(key).Seal(background, []byte("x"), app)
	good(t, message, err)
	key.Unwrap = func(context.Context, ContextJSON, WrappedKey, []byte) error {
		return fmt.Errorf("%w: %v", ErrNoMatchingKey, "not mine")
	}
	plain.fault(t, "Decrypt", 100, `{"kind":"status","status":503}`)
	for name, open := range opening {
		_, err := open(t, background, both(key), message)
		if failure := wantStatus(t, err, ErrHTTPUnavailable); !failure.Retryable || errors.Is(err, ErrNoMatchingKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every goroutine's key fails with its own numbers, and no error may contain those of another.
func TestAnErrorOfACustomKeyIsNeverAnotherCalls(t *testing.T) {
	const goroutines, calls = 16, 500
	keyring := keyringOf(t, KeyringOptions{}, func(k *Keyring) error {
		return k.AddCustom(CustomKey{ProviderID: "x", Wrap: func(_ context.Context, pairs ContextJSON, _ []byte) (WrappedKey, error) {
			var number int
			_, err := fmt.Sscanf(string(pairs), `{"number":"%d"}`, &number)
			if err != nil {
				t.Error(err)
			}
			return WrappedKey{}, vaultFailure(number)
		}})
	})
	cancellable, cancel := context.WithCancel(background)
	defer cancel()
	var wait sync.WaitGroup
	for g := 0; g < goroutines; g++ {
		wait.Add(1)
		go func(g int) {
			defer wait.Done()
			for i := 0; i < calls; i++ {
				number, ctx := g*calls+i, background
				if i%10 == 0 {
					ctx = cancellable
				}
				pairs := Pairs{"number": fmt.Sprint(number)}
				_, err := keyring.Seal(ctx, nil, pairs)
				wantVaultError(t, err, number)
				w, err := keyring.NewSealWriter(ctx, io.Discard, pairs)
				if err != nil {
					t.Error(err)
					return
				}
				wantVaultError(t, w.Close(), number)
			}
		}(g)
	}
	wait.Wait()
}

// Where another call asks the key for all of them, all get its error.
func TestCallsThatShareAFailureShareItsError(t *testing.T) {
	var asked int32
	key := CustomKey{ProviderID: "x", Wrap: func(context.Context, ContextJSON, []byte) (WrappedKey, error) {
		atomic.AddInt32(&asked, 1)
		time.Sleep(200 * time.Millisecond)
		return WrappedKey{}, vaultFailure(7)
	}}
	keyring := keyringOf(t, KeyringOptions{Cache: &CacheLimits{}}, func(k *Keyring) error { return k.AddCustom(key) })
	var wait sync.WaitGroup
	for i := 0; i < 16; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			_, err := keyring.Seal(background, nil, nil)
			wantVaultError(t, err, 7)
		}()
	}
	wait.Wait()
	if asked == 16 {
		t.Error("every call asked for itself")
	}
}

func TestKeyringsBlockFewThreads(t *testing.T) {
	const limit, goroutines = 4, 200
	var now, most int32
	key := CustomKey{ProviderID: "x", Wrap: func(_ context.Context, _ ContextJSON, dataKey []byte) (WrappedKey, error) {
		if n := atomic.AddInt32(&now, 1); n > atomic.LoadInt32(&most) {
			atomic.StoreInt32(&most, n)
		}
		time.Sleep(2 * time.Millisecond)
		atomic.AddInt32(&now, -1)
		return WrappedKey{Wrapped: xor(dataKey)}, nil
	}}
	keyring := keyringOf(t, KeyringOptions{MaxConcurrentCalls: limit}, func(k *Keyring) error { return k.AddCustom(key) })
	before := threads(t)
	var wait sync.WaitGroup
	for i := 0; i < goroutines; i++ {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			if i%2 == 0 {
				_, err := keyring.Seal(background, nil, nil)
				if err != nil {
					t.Error(err)
				}
				return
			}
			w, err := keyring.NewSealWriter(background, io.Discard, nil)
			if err == nil {
				err = w.Close()
			}
			if err != nil {
				t.Error(err)
			}
		}(i)
	}
	wait.Wait()
	if most > limit || threads(t) > before+limit+24 {
		t.Errorf("%d calls at once, %d threads before and %d after", most, before, threads(t))
	}
}

// C lets go of what it was given, so that the garbage collector can have it.
func TestNothingOfTheProgramIsKept(t *testing.T) {
	const all = 6
	var freed int32
	func() {
		for i := 0; i < all/2; i++ {
			held := [2]*[1024]byte{{}, {}}
			for _, h := range held {
				runtime.SetFinalizer(h, func(*[1024]byte) { atomic.AddInt32(&freed, 1) })
			}
			options := plain.options()
			options.Credentials = CredentialsFunc(func(context.Context) (Identity, error) { return Identity{}, vaultFailure(int(held[0][0])) })
			client, err := NewClient(options)
			if err != nil {
				t.Fatal(err)
			}
			keyring, err := NewKeyring(KeyringOptions{})
			if err == nil {
				err = keyring.AddCustom(CustomKey{ProviderID: "x", Wrap: func(context.Context, ContextJSON, []byte) (WrappedKey, error) {
					return WrappedKey{}, vaultFailure(int(held[1][0]))
				}})
			}
			if err == nil {
				err = keyring.AddKMS(client, plain.Keys["main"])
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = keyring.Seal(background, nil, nil)
			wantVaultError(t, err, 0)
			_, err = client.Encrypt(background, plain.Keys["main"], []byte("x"), nil)
			wantVaultError(t, err, 0)
			if i == 0 {
				// The others are not closed, which the finalizers make up for.
				client.Close()
				keyring.Close()
			}
		}
	}()
	for end := time.Now().Add(20 * time.Second); atomic.LoadInt32(&freed) < all; {
		if time.Now().After(end) {
			t.Fatalf("%d of %d were freed", freed, all)
		}
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
}

// A program that forgets its writers and readers does not keep what they hold.
func TestForgottenStreamsAreFreed(t *testing.T) {
	keyring := keyringOf(t, KeyringOptions{}, func(k *Keyring) error { return k.AddCustom(xorKey(func(ContextJSON) {})) })
	message, err := keyring.Seal(background, content(100000), app)
	good(t, message, err)
	func() {
		for i := 0; i < 10; i++ {
			w, err := keyring.NewSealWriter(background, io.Discard, app)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Write([]byte("x"))
			good(t, nil, err)
			r, err := keyring.NewOpenReader(background, bytes.NewReader(message), app)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadFull(r, make([]byte, 10))
			good(t, nil, err)
		}
	}()
	users := func() int {
		keyring.mu.Lock()
		defer keyring.mu.Unlock()
		return keyring.users
	}
	for end := time.Now().Add(20 * time.Second); users() > 0; {
		if time.Now().After(end) {
			t.Fatalf("%d streams are left", users())
		}
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
}

// A file call asks its keys on threads of the library's own.
func TestFileCallsCarryErrorsOfCustomKeys(t *testing.T) {
	keyring := keyringOf(t, KeyringOptions{}, func(k *Keyring) error {
		return k.AddCustom(CustomKey{ProviderID: "x", Wrap: func(context.Context, ContextJSON, []byte) (WrappedKey, error) { return WrappedKey{}, vaultFailure(5) }})
	})
	_, err := overFiles(t, content(10), func(dst, src *os.File) error {
		return keyring.SealFile(background, dst, src, app, FileOptions{})
	})
	wantVaultError(t, err, 5)
}

type contextKey struct{}

// Each function is called with the context of the call that waits for it.
func TestCallbacksGetTheContextOfTheirCall(t *testing.T) {
	var mu sync.Mutex
	seen := map[string][]any{}
	note := func(what string, ctx context.Context) {
		mu.Lock()
		defer mu.Unlock()
		seen[what] = append(seen[what], ctx.Value(contextKey{}))
	}
	client := plain.client(t, func(o *Options) {
		o.Credentials = CredentialsFunc(func(ctx context.Context) (Identity, error) {
			note("credentials", ctx)
			return Identity{SecretID: plain.SecretID, SecretKey: plain.SecretKey}, nil
		})
	})
	key := xorKey(func(ContextJSON) {})
	keyring := keyringOf(t, KeyringOptions{}, func(k *Keyring) error {
		wrap, unwrap := key.Wrap, key.Unwrap
		key.Wrap = func(ctx context.Context, pairs ContextJSON, dataKey []byte) (WrappedKey, error) {
			note("wrap", ctx)
			return wrap(ctx, pairs, dataKey)
		}
		key.Unwrap = func(ctx context.Context, pairs ContextJSON, wrapped WrappedKey, dataKey []byte) error {
			note("unwrap", ctx)
			return unwrap(ctx, pairs, wrapped, dataKey)
		}
		return k.AddCustom(key)
	})
	mine := context.WithValue(background, contextKey{}, "mine")
	cancellable, cancel := context.WithCancel(mine)
	defer cancel()
	_, err := client.Encrypt(mine, plain.Keys["main"], []byte("x"), nil)
	good(t, nil, err)
	for _, ctx := range []context.Context{mine, cancellable} {
		message, err := keyring.Seal(ctx, []byte("x"), app)
		good(t, message, err)
		_, err = keyring.Open(ctx, message, app)
		good(t, nil, err)
		_, err = overFiles(t, []byte("x"), func(dst, src *os.File) error {
			return keyring.SealFile(ctx, dst, src, app, FileOptions{Progress: func(ctx context.Context, _, _ int64) error {
				note("progress", ctx)
				return nil
			}})
		})
		good(t, nil, err)
	}
	for what, least := range map[string]int{"credentials": 1, "wrap": 2, "unwrap": 2, "progress": 1} {
		found := 0
		for _, value := range seen[what] {
			// The library's own threads have no call.
			if value == "mine" {
				found++
			} else if value != nil {
				t.Errorf("%s: %v", what, value)
			}
		}
		if found < least {
			t.Errorf("%s: %v", what, seen[what])
		}
	}
}
