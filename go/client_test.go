package tckms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var background = context.Background()

var app = Pairs{"app": "billing", "env": "test"}

const nobodysKey = "00000000-0000-0000-0000-000000000000"

// good fails the test unless the call succeeded.
func good(t testing.TB, value []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func wantStatus(t testing.TB, err error, want Status) *Error {
	t.Helper()
	var failure *Error
	if !errors.As(err, &failure) || failure.Status != want || !errors.Is(err, want) {
		t.Fatalf("the error is %v, not %v", err, want)
	}
	return failure
}

func TestCoreCalls(t *testing.T) {
	for name, e := range map[string]*emulator{"HTTP": plain, "HTTPS": secure} {
		// One context that can end, one that cannot: they take different ways.
		cancellable, cancel := context.WithTimeout(background, time.Hour)
		defer cancel()
		for kind, ctx := range map[string]context.Context{"background": background, "deadline": cancellable} {
			t.Run(name+"/"+kind, func(t *testing.T) { coreCalls(t, e, ctx) })
		}
	}
}

func coreCalls(t *testing.T, e *emulator, ctx context.Context) {
	client, main, other := e.client(t), e.Keys["main"], e.Keys["other"]
	secret := []byte("a secret\x00 of any bytes \xff")

	blob, err := client.Encrypt(ctx, main, secret, app)
	good(t, blob, err)
	for _, key := range []string{main, AnyKey} {
		plaintext, err := client.Decrypt(ctx, key, blob, app)
		if !bytes.Equal(good(t, plaintext, err), secret) {
			t.Errorf("decrypted with key %q: %q", key, plaintext)
		}
	}
	_, err = client.Decrypt(ctx, other, blob, app)
	wantStatus(t, err, ErrKeyMismatch)
	_, err = client.Decrypt(ctx, main, blob, nil)
	wantStatus(t, err, ErrInvalidCiphertext)

	moved, err := client.ReEncrypt(ctx, other, blob, app, Pairs{"app": "other"})
	good(t, moved, err)
	plaintext, err := client.Decrypt(ctx, other, moved, ContextJSON(`{"app":"other"}`))
	if !bytes.Equal(good(t, plaintext, err), secret) {
		t.Errorf("decrypted: %q", plaintext)
	}

	key, wrapped, err := client.GenerateDataKey(ctx, main, 32, app)
	if good(t, key, err); len(key) != 32 {
		t.Errorf("the data key has %d bytes", len(key))
	}
	unwrapped, err := client.Decrypt(ctx, main, wrapped, app)
	if !bytes.Equal(good(t, unwrapped, err), key) {
		t.Error("the data key came back as another one")
	}

	random, err := client.GenerateRandom(ctx, 64)
	if good(t, random, err); len(random) != 64 || bytes.Equal(random, make([]byte, 64)) {
		t.Errorf("random: %x", random)
	}

	reply, err := client.Call(ctx, "DescribeKey", []byte(fmt.Sprintf(`{"KeyId":%q}`, main)))
	var described struct{ KeyMetadata struct{ KeyId string } }
	if err := json.Unmarshal(good(t, reply, err), &described); err != nil || described.KeyMetadata.KeyId != main {
		t.Errorf("DescribeKey: %s", reply)
	}
	_, err = client.Call(ctx, "GetServiceStatus", nil)
	good(t, nil, err)

	stats, err := client.Stats()
	if err != nil || stats.Calls != 12 || stats.FailuresIntegrity != 1 || stats.FailuresRequest != 1 || stats.BytesSent == 0 {
		t.Errorf("stats: %+v, %v", stats, err)
	}
}

func TestCallInfoCoversSuccesses(t *testing.T) {
	client, main := plain.client(t), plain.Keys["main"]
	cancellable, cancel := context.WithTimeout(background, time.Hour)
	defer cancel()
	for _, ctx := range []context.Context{background, cancellable} {
		var first, second CallInfo
		blob, err := client.Encrypt(WithCallInfo(ctx, &first), main, []byte("x"), nil)
		good(t, blob, err)
		_, err = client.Decrypt(WithCallInfo(ctx, &second), AnyKey, blob, nil)
		good(t, nil, err)
		if len(first.RequestID) != 36 || len(second.RequestID) != 36 || first.RequestID == second.RequestID ||
			first.KeyID != main || second.KeyID != main {
			t.Errorf("%+v, %+v", first, second)
		}
		keyring := keyringOf(t, KeyringOptions{}, func(k *Keyring) error { return k.AddKMS(client, main) })
		var sealed, streamed CallInfo
		_, err = keyring.Seal(WithCallInfo(ctx, &sealed), []byte("x"), nil)
		good(t, nil, err)
		w, err := keyring.NewSealWriter(WithCallInfo(ctx, &streamed), io.Discard, nil)
		good(t, nil, err)
		_, err = w.Write(content(1000000))
		good(t, nil, err)
		good(t, nil, w.Close())
		if len(sealed.RequestID) != 36 || len(streamed.RequestID) != 36 || sealed.KeyID != main {
			t.Errorf("%+v, %+v", sealed, streamed)
		}
	}
}

func TestCategoriesAndLevelsHaveNames(t *testing.T) {
	for category, want := range map[Category]string{
		OK.Category(): "ok", ErrInvalidLength.Category(): "argument", ErrNoCredentials.Category(): "credentials",
		ErrTimedOut.Category(): "transport", ErrAuthFailure.Category(): "identity", ErrCMKNotFound.Category(): "request",
		ErrServiceUnavailable.Category(): "unavailable", ErrTruncated.Category(): "integrity", ErrCanceled.Category(): "local", ErrInternal.Category(): "library",
		Status(7).Category(): "unknown",
	} {
		if category.String() != want {
			t.Errorf("%d: %v, not %v", int(category), category, want)
		}
	}
	if names := fmt.Sprint(LogOff, LogError, LogWarn, LogInfo, LogDebug, LogLevel(77)); names != "off error warn info debug unknown" {
		t.Error(names)
	}
}

func TestErrors(t *testing.T) {
	client := plain.client(t)
	_, err := client.Encrypt(background, nobodysKey, []byte("x"), app)
	failure := wantStatus(t, err, ErrCMKNotFound)
	if failure.Code != "ResourceUnavailable.CmkNotFound" || failure.KeyID != nobodysKey || failure.Action != "Encrypt" ||
		len(failure.RequestID) != 36 || failure.HTTPStatus != 200 || failure.Attempts != 1 || failure.Retryable ||
		failure.RetryAfter != 0 || failure.Status.Category() != CategoryRequest {
		t.Errorf("%+v", failure)
	}
	if !strings.HasPrefix(err.Error(), "tckms: TCKMS_ERR_CMK_NOT_FOUND: ") || errors.Is(err, ErrCMKDisabled) {
		t.Error(err)
	}

	plain.fault(t, "Encrypt", 10, `{"kind":"status","status":503,"headers":{"Retry-After":"7"}}`)
	_, err = plain.client(t, func(o *Options) { o.MaxAttempts = 2; o.TotalTimeout = 3 * time.Second }).Encrypt(background, plain.Keys["main"], []byte("x"), nil)
	failure = wantStatus(t, err, ErrHTTPUnavailable)
	if !failure.Retryable || failure.RetryAfter != 7*time.Second || failure.HTTPStatus != 503 {
		t.Errorf("%+v", failure)
	}
}

func TestArgumentsAreNotTruncated(t *testing.T) {
	client, main := plain.client(t), plain.Keys["main"]
	for name, test := range map[string]struct {
		key       string
		plaintext []byte
		pairs     EncryptionContext
		want      Status
	}{
		"NUL in the key id":     {main + "\x00x", []byte("x"), nil, ErrInvalidUTF8},
		"NUL in the context":    {main, []byte("x"), ContextJSON("{}\x00"), ErrInvalidUTF8},
		"not UTF-8":             {main, []byte("x"), Pairs{"a": "\xff"}, ErrInvalidUTF8},
		"no JSON":               {main, []byte("x"), ContextJSON(""), ErrInvalidContext},
		"a context of numbers":  {main, []byte("x"), ContextJSON(`{"a":1}`), ErrInvalidContext},
		"no key":                {"", []byte("x"), nil, ErrMalformedKeyID},
		"no plaintext":          {main, nil, nil, ErrEmptyPlaintext},
		"too much plaintext":    {main, make([]byte, 4097), nil, ErrPlaintextTooLarge},
		"too long of a context": {main, []byte("x"), Pairs{"a": strings.Repeat("x", 1024)}, ErrContextTooLong},
	} {
		_, err := client.Encrypt(background, test.key, test.plaintext, test.pairs)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if nul := strings.HasPrefix(name, "NUL"); nul != strings.Contains(fmt.Sprint(err), "a text contains a NUL byte") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, o := range map[string]Options{
		"region":      {Region: "ap-\x00guangzhou"},
		"endpoint":    {Endpoint: "https://kms\x00"},
		"credentials": {Credentials: StaticCredentials(Identity{SecretID: "id", SecretKey: "k\x00ey"})},
		"fallback":    {Credentials: FirstOf(EnvCredentials(), ProfileCredentials("/a\x00", ""))},
		"role":        {Credentials: RoleCredentials(EnvCredentials(), Role{ARN: "qcs\x00"})},
	} {
		if _, err := NewClient(o); !errors.Is(err, ErrInvalidUTF8) || !strings.Contains(err.Error(), "a text contains a NUL byte") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, size := range []int{0, -1, math.MinInt, 1025, math.MaxInt} {
		_, err := client.GenerateRandom(background, size)
		wantStatus(t, err, ErrInvalidLength)
		_, _, err = client.GenerateDataKey(background, main, size, nil)
		wantStatus(t, err, ErrInvalidLength)
	}
}

func TestEqualContextsAreTheSameText(t *testing.T) {
	want := `{"a":"<&>","b":"2","密":"钥"}`
	for i := 0; i < 100; i++ {
		text, some := Pairs{"b": "2", "密": "钥", "a": "<&>"}.contextJSON()
		if text != want || !some {
			t.Fatalf("%q", text)
		}
	}
	// As every version of Go writes them, and as the library does.
	odd, _ := Pairs{"a": "\b\t\n\f\r\"\\\x01\x1f\x7f/\u2028😀"}.contextJSON()
	if want := `{"a":"\b\t\n\f\r\"\\\u0001\u001f` + "\x7f/\u2028😀" + `"}`; odd != want {
		t.Errorf("%q, not %q", odd, want)
	}
	if _, some := (Pairs{}).contextJSON(); some {
		t.Error("an empty context is not none")
	}
	client := plain.client(t)
	blob, err := client.Encrypt(background, plain.Keys["main"], []byte("x"), Pairs{"b": "2", "a": "1", "c": "3"})
	good(t, blob, err)
	_, err = client.Decrypt(background, "", blob, Pairs{"c": "3", "a": "1", "b": "2"})
	good(t, nil, err)
	_, err = client.Decrypt(background, "", blob, ContextJSON(`{"a":"1","b":"2","c":"3"}`))
	good(t, nil, err)
}

// Every goroutine fails repeatedly with its own names and numbers, and no error may contain those of another.
func TestAnErrorIsNeverAnotherCalls(t *testing.T) {
	const goroutines, calls = 16, 20000
	client := plain.client(t)
	cancellable, cancel := context.WithCancel(background)
	defer cancel()
	var wrong, checked int64
	var wait sync.WaitGroup
	for g := 0; g < goroutines; g++ {
		wait.Add(1)
		go func(g int) {
			defer wait.Done()
			for i := 0; i < calls; i++ {
				number := 1000000 + g*calls + i
				ctx := background
				if i%10 == 0 {
					ctx = cancellable
				}
				want, err := failAs(ctx, client, number)
				if got := fmt.Sprintf("%+v", err); !strings.Contains(got, want) {
					if atomic.AddInt64(&wrong, 1) < 5 {
						t.Errorf("asked for %s and got %s", want, got)
					}
				}
				atomic.AddInt64(&checked, 1)
			}
		}(g)
	}
	wait.Wait()
	if wrong != 0 || checked != goroutines*calls {
		t.Errorf("%d of %d errors are wrong", wrong, checked)
	}
}

// failAs fails with an error that holds a text that no other call's has.
func failAs(ctx context.Context, client *Client, number int) (string, error) {
	switch {
	case number%400 == 0:
		// The service refuses this one.
		key := fmt.Sprintf("00000000-0000-0000-0000-%012d", number)
		_, err := client.Encrypt(ctx, key, []byte("x"), nil)
		var failure *Error
		if errors.As(err, &failure) && failure.Status == ErrCMKNotFound && len(failure.RequestID) == 36 {
			return key, errors.New(failure.KeyID)
		}
		return key, err
	case number%2 == 0:
		_, err := client.Call(ctx, fmt.Sprintf("Key-%d", number), nil)
		var failure *Error
		if errors.As(err, &failure) && failure.Status == ErrMalformedAction {
			return fmt.Sprintf("Key-%d", number), errors.New(failure.Action)
		}
		return fmt.Sprintf("Key-%d", number), err
	default:
		_, _, err := client.GenerateDataKey(ctx, "any", number, nil)
		return fmt.Sprintf("the key length is %d,", number), err
	}
}

// within fails when a step takes much longer than it should. Machines that run tests are slow.
func within(t *testing.T, limit time.Duration, step func()) {
	t.Helper()
	started := time.Now()
	step()
	if took := time.Since(started); took > limit {
		t.Errorf("took %v", took)
	}
}

func TestADeadlineIsTheCallsTimeout(t *testing.T) {
	plain.fault(t, "Encrypt", 1, `{"kind":"delay","ms":20000}`)
	client := plain.client(t)
	ctx, cancel := context.WithTimeout(background, 300*time.Millisecond)
	defer cancel()
	within(t, 5*time.Second, func() {
		_, err := client.Encrypt(ctx, plain.Keys["main"], []byte("x"), nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	// The call in C ends then too, and releases its slot.
	within(t, 10*time.Second, func() {
		for len(client.slots) > 0 {
			time.Sleep(10 * time.Millisecond)
		}
	})
	// The client's own timeout holds where it is sooner.
	plain.fault(t, "Encrypt", 1, `{"kind":"delay","ms":20000}`)
	short := plain.client(t, func(o *Options) { o.TotalTimeout = 200 * time.Millisecond })
	long, cancel := context.WithTimeout(background, time.Hour)
	defer cancel()
	within(t, 5*time.Second, func() {
		_, err := short.Encrypt(long, plain.Keys["main"], []byte("x"), nil)
		wantStatus(t, err, ErrTimedOut)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Error("it is not the context's deadline that was met")
		}
	})
}

func TestAContextThatEndedSendsNothing(t *testing.T) {
	client := plain.client(t)
	ctx, cancel := context.WithCancel(background)
	cancel()
	_, err := client.Encrypt(ctx, plain.Keys["main"], []byte("x"), nil)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if stats, _ := client.Stats(); stats.Calls != 0 {
		t.Errorf("%d calls were made", stats.Calls)
	}
}

func TestCancellationReturnsAtOnce(t *testing.T) {
	plain.fault(t, "Encrypt", 1, `{"kind":"delay","ms":20000}`)
	client := plain.client(t)
	ctx, cancel := context.WithCancel(background)
	time.AfterFunc(100*time.Millisecond, cancel)
	input := []byte("a secret")
	within(t, 1500*time.Millisecond, func() {
		_, err := client.Encrypt(ctx, plain.Keys["main"], input, nil)
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	// The input is the caller's again, whatever the call in the background reads; the race detector would see.
	Wipe(input)
	if !bytes.Equal(input, make([]byte, len(input))) {
		t.Error("not wiped")
	}
	// The call in C ends as well, long before the service answers.
	within(t, 3*time.Second, func() {
		for len(client.slots) > 0 {
			time.Sleep(10 * time.Millisecond)
		}
	})
	// Others go on as before.
	_, err := client.Encrypt(background, plain.Keys["main"], []byte("x"), nil)
	good(t, nil, err)
}

func TestWaitingForASlotEndsWithTheContext(t *testing.T) {
	plain.fault(t, "Encrypt", 1, `{"kind":"delay","ms":1500}`)
	client := plain.client(t, func(o *Options) { o.MaxConcurrentCalls = 1 })
	done := make(chan error)
	go func() {
		_, err := client.Encrypt(background, plain.Keys["main"], []byte("x"), nil)
		done <- err
	}()
	for len(client.slots) == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	within(t, 1200*time.Millisecond, func() {
		_, err := client.Encrypt(ctx, plain.Keys["main"], []byte("x"), nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	good(t, nil, <-done)
}

func TestCloseIsSafeDuringCalls(t *testing.T) {
	plain.fault(t, "Encrypt", 1, `{"kind":"delay","ms":500}`)
	client := plain.client(t, func(o *Options) { o.MaxConcurrentCalls = 1 })
	results := make(chan error, 2)
	call := func() {
		_, err := client.Encrypt(background, plain.Keys["main"], []byte("x"), nil)
		results <- err
	}
	go call()
	for len(client.slots) == 0 {
		time.Sleep(time.Millisecond)
	}
	// This one waits for a slot.
	go call()
	time.Sleep(50 * time.Millisecond)
	client.Close()
	client.Close()
	if err := <-results; !errors.Is(err, ErrClosed) {
		t.Errorf("the one that waited: %v", err)
	}
	if err := <-results; err != nil {
		t.Errorf("the one that was in C: %v", err)
	}
	_, err := client.Encrypt(background, plain.Keys["main"], []byte("x"), nil)
	if !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := client.Stats(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	client.mu.Lock()
	defer client.mu.Unlock()
	if client.handle != nil || client.users != 0 {
		t.Error("the last call did not free the client")
	}
}

func TestCloseRacesWithCalls(t *testing.T) {
	for i := 0; i < 20; i++ {
		client := plain.client(t)
		var wait sync.WaitGroup
		for g := 0; g < 8; g++ {
			wait.Add(1)
			go func() {
				defer wait.Done()
				for {
					_, err := client.Encrypt(background, plain.Keys["main"], nil, nil)
					if errors.Is(err, ErrClosed) {
						return
					}
					if !errors.Is(err, ErrEmptyPlaintext) {
						t.Error(err)
						return
					}
				}
			}()
		}
		client.Close()
		wait.Wait()
	}
}

func TestCredentialsFunc(t *testing.T) {
	var asked int32
	client := plain.client(t, func(o *Options) {
		o.Credentials = CredentialsFunc(func(context.Context) (Identity, error) {
			atomic.AddInt32(&asked, 1)
			return Identity{SecretID: plain.SecretID, SecretKey: plain.SecretKey, Expires: time.Now().Add(time.Hour)}, nil
		})
	})
	for i := 0; i < 3; i++ {
		_, err := client.Encrypt(background, plain.Keys["main"], []byte("x"), nil)
		good(t, nil, err)
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}

	// The next one is tried if the first has none.
	client = plain.client(t, func(o *Options) {
		o.Credentials = FirstOf(CredentialsFunc(func(context.Context) (Identity, error) { return Identity{}, errors.New("none") }), o.Credentials)
	})
	_, err := client.Encrypt(background, plain.Keys["main"], []byte("x"), nil)
	good(t, nil, err)
}

func TestLog(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	client := plain.client(t, func(o *Options) {
		o.LogLevel = LogDebug
		o.Log = func(event LogEvent) {
			mu.Lock()
			lines = append(lines, fmt.Sprint(event.Level, " ", event.Message))
			if event.Action != "Encrypt" || event.Status != OK || event.Attempt != 1 || len(event.RequestID) != 36 || event.Duration > time.Hour {
				t.Errorf("%+v", event)
			}
			mu.Unlock()
			panic("which is lost")
		}
	})
	_, err := client.Encrypt(background, plain.Keys["main"], []byte("x"), nil)
	good(t, nil, err)
	mu.Lock()
	defer mu.Unlock()
	if len(lines) == 0 || !strings.Contains(lines[0], "Encrypt") || !strings.HasPrefix(lines[0], "info ") {
		t.Errorf("%q", lines)
	}
}

func TestOptions(t *testing.T) {
	role := Role{ARN: "qcs::cam::uin/1:roleName/r", SessionName: "session", Duration: time.Minute, ExternalID: "e", Policy: "{}"}
	for name, credentials := range map[string]Credentials{
		"default":         DefaultCredentials(),
		"env":             EnvCredentials(),
		"cvm":             CVMRoleCredentials(""),
		"cvm of a name":   CVMRoleCredentials("role"),
		"oidc":            OIDCCredentials(OIDC{ProviderID: "p", TokenFile: "/nonexistent", RoleARN: role.ARN}),
		"role":            RoleCredentials(EnvCredentials(), role),
		"several":         FirstOf(EnvCredentials(), DefaultCredentials(), CVMRoleCredentials("")),
		"with a token":    StaticCredentials(Identity{SecretID: "id", SecretKey: "key", Token: "token"}),
		"default profile": FirstOf(EnvCredentials(), CVMRoleCredentials("")),
	} {
		client, err := NewClient(Options{
			Region: "ap-guangzhou", Credentials: credentials, Site: SiteInternational, Proxy: "http://127.0.0.1:1",
			InsecureHTTPAllowed: true, RetryUnsafeActions: true, MaxAttempts: 2, RatePerSecond: 100,
			UserAgent: "go-test", Language: "zh-CN", MetadataEndpoint: "http://127.0.0.1:1",
			STSEndpoint: "http://127.0.0.1:1", Endpoint: "http://127.0.0.1:1",
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		client.Close()
	}
	certificates, err := os.ReadFile(secure.CAFile)
	good(t, certificates, err)
	client := secure.client(t, func(o *Options) { o.CAFile = ""; o.CAPEM = certificates })
	_, err = client.Encrypt(background, secure.Keys["main"], []byte("x"), nil)
	good(t, nil, err)

	for name, test := range map[string]struct {
		options Options
		want    Status
	}{
		"nothing":         {Options{}, ErrInvalidRegion},
		"no credentials":  {Options{Region: "ap-guangzhou"}, ErrNoCredentials},
		"region":          {Options{Region: "Nowhere"}, ErrInvalidRegion},
		"timeout":         {Options{TotalTimeout: -1 * time.Hour}, ErrOutOfRange},
		"timeout, long":   {Options{TotalTimeout: math.MaxInt64 / 2}, ErrOutOfRange},
		"attempts":        {Options{MaxAttempts: math.MaxInt}, ErrOutOfRange},
		"CA":              {Options{Region: "ap-guangzhou", Credentials: EnvCredentials(), CAPEM: []byte("x")}, ErrInvalidCABundle},
		"profile":         {Options{Region: "ap-guangzhou", Credentials: ProfileCredentials("/nonexistent", "")}, ErrNoCredentials},
		"default profile": {Options{Region: "ap-guangzhou", Credentials: DefaultProfileCredentials("none-such")}, ErrNoCredentials},
		"tccli":           {Options{Region: "ap-guangzhou", Credentials: TCCLICredentials("/nonexistent")}, ErrNoCredentials},
		"tccli profile":   {Options{Credentials: DefaultTCCLICredentials("a/b")}, ErrInvalidCredentialsFile},
		"pod":             {Options{Credentials: TKEPodCredentials()}, ErrNoCredentials},
		"log":             {Options{Log: func(LogEvent) {}, LogLevel: 77}, ErrOutOfRange},
		"ARN":             {Options{Credentials: RoleCredentials(EnvCredentials(), Role{ARN: "none"})}, ErrInvalidRole},
	} {
		if _, err := NewClient(test.options); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStatuses(t *testing.T) {
	if got := ErrCMKDisabled.String(); got != "TCKMS_ERR_CMK_DISABLED" {
		t.Error(got)
	}
	if ErrCMKDisabled.Category() != CategoryRequest || Status(-5).Category() != CategoryUnknown || OK.Category() != CategoryOK {
		t.Error("categories")
	}
	if ErrCMKDisabled.Error() == "" || Version() == "" {
		t.Error("empty texts")
	}
}
