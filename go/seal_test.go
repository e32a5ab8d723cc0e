package tckms

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// keyring has the CMK "main" and is closed at the end of the test.
func (e *emulator) keyring(t testing.TB, o KeyringOptions) *Keyring {
	t.Helper()
	return keyringOf(t, o, func(k *Keyring) error { return k.AddKMS(e.client(t), e.Keys["main"]) })
}

func keyringOf(t testing.TB, o KeyringOptions, add func(*Keyring) error) *Keyring {
	t.Helper()
	keyring, err := NewKeyring(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyring.Close() })
	if err := add(keyring); err != nil {
		t.Fatal(err)
	}
	return keyring
}

// content is bytes that are not the same in any two places of a small message.
func content(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + i/251)
	}
	return b
}

func sizes(frame int) []int {
	return []int{0, 1, frame - 1, frame, frame + 1, 10 * frame, 1000003}
}

// A way is one of those from a plaintext to a message or back.
type way func(t *testing.T, ctx context.Context, k *Keyring, from []byte) ([]byte, error)

var sealing = map[string]way{
	"Seal": func(t *testing.T, ctx context.Context, k *Keyring, from []byte) ([]byte, error) {
		return k.Seal(ctx, from, app)
	},
	"SealWriter": func(t *testing.T, ctx context.Context, k *Keyring, from []byte) ([]byte, error) {
		var message bytes.Buffer
		w, err := k.NewSealWriter(ctx, &message, app)
		if err != nil {
			return nil, err
		}
		defer w.Abort()
		if _, err := io.Copy(struct{ io.Writer }{w}, bytes.NewReader(from)); err != nil {
			return nil, err
		}
		err = w.Close()
		return message.Bytes(), err
	},
	"SealWriter, in pieces": func(t *testing.T, ctx context.Context, k *Keyring, from []byte) ([]byte, error) {
		var message bytes.Buffer
		w, err := k.NewSealWriter(ctx, &message, app)
		if err != nil {
			return nil, err
		}
		defer w.Abort()
		for step := 1; len(from) > 0; step = step*3 + 1 {
			if step > len(from) {
				step = len(from)
			}
			if n, err := w.Write(from[:step]); n != step || err != nil {
				return nil, fmt.Errorf("wrote %d of %d: %w", n, step, err)
			}
			from = from[step:]
		}
		err = w.Close()
		return message.Bytes(), err
	},
	"SealWriter of a size": func(t *testing.T, ctx context.Context, k *Keyring, from []byte) ([]byte, error) {
		var message bytes.Buffer
		w, err := k.NewSealWriter(ctx, &message, app)
		if err != nil {
			return nil, err
		}
		defer w.Abort()
		if err := w.SetPlaintextSize(int64(len(from))); err != nil {
			return nil, err
		}
		told, err := w.MessageSize()
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(from); err != nil {
			return nil, err
		}
		err = w.Close()
		if told != int64(message.Len()) {
			t.Errorf("the message has %d bytes, and %d were told", message.Len(), told)
		}
		return message.Bytes(), err
	},
	"SealFile": func(t *testing.T, ctx context.Context, k *Keyring, from []byte) ([]byte, error) {
		return overFiles(t, from, func(dst, src *os.File) error {
			return k.SealFile(ctx, dst, src, app, FileOptions{Threads: 2})
		})
	},
}

var opening = map[string]way{
	"Open": func(t *testing.T, ctx context.Context, k *Keyring, from []byte) ([]byte, error) {
		return k.Open(ctx, from, app)
	},
	"OpenReader": func(t *testing.T, ctx context.Context, k *Keyring, from []byte) ([]byte, error) {
		return readAll(ctx, k, bytes.NewReader(from))
	},
	"OpenReader, in pieces": func(t *testing.T, ctx context.Context, k *Keyring, from []byte) ([]byte, error) {
		return readAll(ctx, k, iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(from))))
	},
	"OpenFile": func(t *testing.T, ctx context.Context, k *Keyring, from []byte) ([]byte, error) {
		return overFiles(t, from, func(dst, src *os.File) error {
			return k.OpenFile(ctx, dst, src, app, FileOptions{Threads: 2})
		})
	},
}

func readAll(ctx context.Context, k *Keyring, from io.Reader) ([]byte, error) {
	r, err := k.NewOpenReader(ctx, from, app)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// overFiles gives the input in a file, and returns what came into another one.
func overFiles(t *testing.T, input []byte, work func(dst, src *os.File) error) ([]byte, error) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "in"), input, 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := os.Open(filepath.Join(folder, "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(filepath.Join(folder, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	if err := work(dst, src); err != nil {
		return nil, err
	}
	return os.ReadFile(dst.Name())
}

func TestEverySizeSurvivesInEveryCombination(t *testing.T) {
	// One context that can end, one that cannot: they take different ways.
	cancellable, cancel := context.WithCancel(background)
	defer cancel()
	const frame = 4096
	keyring := plain.keyring(t, KeyringOptions{FrameLength: frame, Cache: &CacheLimits{}})
	for kind, ctx := range map[string]context.Context{"background": background, "cancellable": cancellable} {
		for _, size := range sizes(frame) {
			plaintext := content(size)
			for sealedBy, seal := range sealing {
				message, err := seal(t, ctx, keyring, plaintext)
				if err != nil {
					t.Fatalf("%s, %d bytes by %s: %v", kind, size, sealedBy, err)
				}
				for openedBy, open := range opening {
					opened, err := open(t, ctx, keyring, message)
					if err != nil || !bytes.Equal(opened, plaintext) {
						t.Errorf("%s, %d bytes by %s and %s: %d bytes, %v", kind, size, sealedBy, openedBy, len(opened), err)
					}
				}
			}
		}
	}
}

// Frames that are longer than what goes through a stream with one call.
func TestLongAndShortFramesSurvive(t *testing.T) {
	plaintext := content(1000003)
	for _, frame := range []int{0, 1000, 1 << 20} {
		keyring := plain.keyring(t, KeyringOptions{FrameLength: frame, Cache: &CacheLimits{}})
		for sealedBy, seal := range sealing {
			message, err := seal(t, background, keyring, plaintext)
			good(t, message, err)
			for openedBy, open := range opening {
				opened, err := open(t, background, keyring, message)
				if err != nil || !bytes.Equal(opened, plaintext) {
					t.Errorf("frames of %d by %s and %s: %d bytes, %v", frame, sealedBy, openedBy, len(opened), err)
				}
			}
		}
	}
}

func TestEveryChangeAndTruncationIsDetected(t *testing.T) {
	options := KeyringOptions{FrameLength: 100, Cache: &CacheLimits{}, MaxFrameLength: 1000}
	keyring := plain.keyring(t, options)
	plaintext := content(250)
	message, err := keyring.Seal(background, plaintext, app)
	good(t, message, err)
	for name, open := range opening {
		for at := range message {
			// A keyring limits the requests for messages that do not open.
			if at%50 == 0 {
				keyring = plain.keyring(t, options)
			}
			flipped := append([]byte(nil), message...)
			flipped[at] ^= 1 << (at % 8)
			if _, err := open(t, background, keyring, flipped); !isRefused(err) {
				t.Errorf("%s, byte %d of %d flipped: %v", name, at, len(message), err)
			}
			_, err := open(t, background, keyring, message[:at])
			wantStatus(t, err, ErrTruncated)
		}
		if _, err := open(t, background, keyring, append(append([]byte(nil), message...), 0)); !isRefused(err) {
			t.Errorf("%s, one byte more: %v", name, err)
		}
	}
}

// isRefused reports whether the library, or for a change of the wrapped data key the service, detected a change.
func isRefused(err error) bool {
	var failure *Error
	return errors.As(err, &failure) && !failure.Retryable &&
		(failure.Status.Category() == CategoryIntegrity || failure.Status == ErrInvalidCiphertext)
}

// What comes out of a cut message is its true beginning, and never followed by io.EOF.
func TestATruncatedMessageHasNoEnd(t *testing.T) {
	keyring := plain.keyring(t, KeyringOptions{FrameLength: 100})
	plaintext := content(250)
	message, err := keyring.Seal(background, plaintext, app)
	good(t, message, err)
	r, err := keyring.NewOpenReader(background, bytes.NewReader(message[:len(message)-1]), app)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	begun, err := io.ReadAll(r)
	wantStatus(t, err, ErrTruncated)
	if !bytes.Equal(begun, plaintext[:200]) {
		t.Errorf("%d bytes came out", len(begun))
	}
	if _, again := r.Read(make([]byte, 1)); again != err {
		t.Errorf("the next Read says %v", again)
	}
}

func TestAnotherContextIsRefusedBeforeAnyRequest(t *testing.T) {
	client := plain.client(t)
	keyring := keyringOf(t, KeyringOptions{}, func(k *Keyring) error { return k.AddKMS(client, plain.Keys["main"]) })
	message, err := keyring.Seal(background, []byte("x"), Pairs{"tenant": "7", "purpose": "backup"})
	good(t, message, err)
	before, _ := client.Stats()
	for _, wrong := range []EncryptionContext{Pairs{"tenant": "8"}, Pairs{"other": "7"}, ContextJSON(`{"tenant":"8"}`)} {
		_, err := keyring.Open(background, message, wrong)
		wantStatus(t, err, ErrContextMismatch)
		r, err := keyring.NewOpenReader(background, bytes.NewReader(message), wrong)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(r)
		wantStatus(t, err, ErrContextMismatch)
		_, err = overFiles(t, message, func(dst, src *os.File) error {
			return keyring.OpenFile(background, dst, src, wrong, FileOptions{})
		})
		wantStatus(t, err, ErrContextMismatch)
	}
	if after, _ := client.Stats(); after.Calls != before.Calls {
		t.Errorf("%d requests were made", after.Calls-before.Calls)
	}
	for _, right := range []EncryptionContext{nil, Pairs{}, Pairs{"tenant": "7"}, ContextJSON(`{"purpose":"backup"}`)} {
		_, err := keyring.Open(background, message, right)
		good(t, nil, err)
	}
	_, err = keyring.Seal(background, nil, Pairs{"aws-crypto-x": "1"})
	wantStatus(t, err, ErrReservedContextKey)
	_, err = keyring.NewSealWriter(background, io.Discard, ContextJSON("no JSON"))
	wantStatus(t, err, ErrInvalidContext)
}

func TestAnOutageIsRetryableAndNeverABadMessage(t *testing.T) {
	keyring := keyringOf(t, KeyringOptions{}, func(k *Keyring) error {
		return k.AddKMS(plain.client(t, func(o *Options) { o.MaxAttempts = 1 }), plain.Keys["main"])
	})
	message, err := keyring.Seal(background, content(1000), app)
	good(t, message, err)
	plain.fault(t, "Decrypt", 100, `{"kind":"status","status":503}`)
	for name, open := range opening {
		_, err := open(t, background, keyring, message)
		if failure := wantStatus(t, err, ErrHTTPUnavailable); !failure.Retryable || failure.Action != "Decrypt" {
			t.Errorf("%s: %+v", name, failure)
		}
	}
	plain.fault(t, "GenerateDataKey", 100, `{"kind":"status","status":503}`)
	for name, seal := range sealing {
		_, err := seal(t, background, keyring, content(1000))
		if failure := wantStatus(t, err, ErrHTTPUnavailable); !failure.Retryable || failure.Action != "GenerateDataKey" {
			t.Errorf("%s: %+v", name, failure)
		}
	}
}

func TestCancellationOfSealingReturnsAtOnce(t *testing.T) {
	plain.fault(t, "GenerateDataKey", 100, `{"kind":"delay","ms":5000}`)
	keyring := plain.keyring(t, KeyringOptions{})
	for name, seal := range sealing {
		if name == "SealFile" {
			// It waits until nothing uses the files any more.
			continue
		}
		ctx, cancel := context.WithCancel(background)
		time.AfterFunc(100*time.Millisecond, cancel)
		input := content(1000)
		within(t, 4*time.Second, func() {
			if _, err := seal(t, ctx, keyring, input); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		})
		// The input is the caller's again, whatever the call in the background reads; the race detector would see.
		Wipe(input)
		if _, err := seal(t, ctx, keyring, input); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, with a context that has ended: %v", name, err)
		}
	}
	// Calls in the background end, and give back what they hold.
	keyring.Close()
	within(t, 30*time.Second, func() {
		for freed := false; !freed; time.Sleep(10 * time.Millisecond) {
			keyring.mu.Lock()
			freed = keyring.handle == nil
			keyring.mu.Unlock()
		}
	})
}

func TestADeadlineEndsSealing(t *testing.T) {
	plain.fault(t, "GenerateDataKey", 1, `{"kind":"delay","ms":5000}`)
	ctx, cancel := context.WithTimeout(background, 100*time.Millisecond)
	defer cancel()
	within(t, 4*time.Second, func() {
		_, err := plain.keyring(t, KeyringOptions{}).Seal(ctx, []byte("x"), nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// A pipe that gives nothing more: only the context can end the call.
func TestCancellationEndsAWaitingFileCall(t *testing.T) {
	keyring := plain.keyring(t, KeyringOptions{})
	src, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	defer feed.Close()
	fmt.Fprint(feed, "the beginning")
	dst, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	ctx, cancel := context.WithCancel(background)
	time.AfterFunc(300*time.Millisecond, cancel)
	within(t, 5*time.Second, func() {
		err := keyring.SealFile(ctx, dst, src, app, FileOptions{})
		wantStatus(t, err, ErrCanceled)
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	// The pipe is as usable for Go as before.
	if err := src.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Errorf("the pipe is no longer non-blocking: %v", err)
	}
}

func TestProgressIsReportedAndCanCancel(t *testing.T) {
	keyring := plain.keyring(t, KeyringOptions{})
	plaintext := content(5000000)
	var last [2]int64
	message, err := overFiles(t, plaintext, func(dst, src *os.File) error {
		return keyring.SealFile(background, dst, src, app, FileOptions{Progress: func(_ context.Context, done, total int64) error {
			last = [2]int64{done, total}
			return nil
		}})
	})
	good(t, message, err)
	if last != [2]int64{5000000, 5000000} {
		t.Errorf("the last progress was %d", last)
	}

	src, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	go func() {
		_, _ = feed.Write(message)
		feed.Close()
	}()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	err = keyring.OpenFile(background, out, src, app, FileOptions{Progress: func(_ context.Context, done, total int64) error {
		last = [2]int64{done, total}
		return nil
	}})
	// The header may be counted or not. At the end the total is known.
	if err != nil || last[0] < 5000000 || last[0] > int64(len(message)) || last[1] != last[0] {
		t.Errorf("of a pipe, the last progress was %d for %d bytes, %v", last, len(message), err)
	}
	opened, err := os.ReadFile(out.Name())
	if !bytes.Equal(good(t, opened, err), plaintext) {
		t.Error("another plaintext came out")
	}

	endless, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer endless.Close()
	enough := errors.New("enough")
	for name, stop := range map[string]func(ctx context.Context, done, total int64) error{
		"error": func(context.Context, int64, int64) error { return enough },
		"panic": func(context.Context, int64, int64) error { panic(enough) },
	} {
		_, err := overFiles(t, nil, func(dst, _ *os.File) error {
			return keyring.SealFile(background, dst, endless, app, FileOptions{Progress: stop})
		})
		if !errors.Is(err, enough) || !errors.Is(err, ErrCanceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFilesThatFail(t *testing.T) {
	keyring := plain.keyring(t, KeyringOptions{})
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	_, err = overFiles(t, content(100), func(dst, src *os.File) error {
		return keyring.SealFile(background, full, src, app, FileOptions{})
	})
	if failure := wantStatus(t, err, ErrDescriptorFailed); failure.Errno != syscall.ENOSPC {
		t.Error(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	reader.Close()
	_, err = overFiles(t, content(100), func(dst, src *os.File) error {
		return keyring.SealFile(background, writer, src, app, FileOptions{})
	})
	if failure := wantStatus(t, err, ErrDescriptorFailed); failure.Errno != syscall.EPIPE {
		t.Error(err)
	}
	_, err = overFiles(t, content(100), func(dst, src *os.File) error {
		src.Close()
		return keyring.SealFile(background, dst, src, app, FileOptions{})
	})
	if !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	_, err = overFiles(t, content(100), func(dst, src *os.File) error {
		return keyring.SealFile(background, dst, src, app, FileOptions{Threads: -1})
	})
	wantStatus(t, err, ErrOutOfRange)
}

type failingWriter struct{ limit int }

var errFull = errors.New("full")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.limit -= len(p); w.limit < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestErrorsOfTheUnderlyingStreamAreUnchanged(t *testing.T) {
	keyring := plain.keyring(t, KeyringOptions{Cache: &CacheLimits{}})
	for _, limit := range []int{0, 100, 100000} {
		w, err := keyring.NewSealWriter(background, &failingWriter{limit}, app)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Write(content(1000000))
		if err != errFull || w.Close() != errFull {
			t.Errorf("%v, then %v", err, w.Close())
		}
	}
	message, err := keyring.Seal(background, content(1000000), app)
	good(t, message, err)
	for _, at := range []int64{0, 100, 100000} {
		r, err := keyring.NewOpenReader(background, io.MultiReader(io.LimitReader(bytes.NewReader(message), at), iotest.ErrReader(errFull)), app)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); err != errFull {
			t.Error(err)
		}
	}
	r, err := keyring.NewOpenReader(background, idleReader{}, app)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); err != io.ErrNoProgress {
		t.Error(err)
	}
}

type idleReader struct{}

func (idleReader) Read([]byte) (int, error) { return 0, nil }

// A source that failed must not look like one that ended.
func TestAnAbortedMessageHasNoEnd(t *testing.T) {
	keyring := plain.keyring(t, KeyringOptions{FrameLength: 100})
	var message bytes.Buffer
	func() {
		w, err := keyring.NewSealWriter(background, &message, app)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		_, err = w.Write(content(250))
		good(t, nil, err)
		w.Abort()
		if _, err := w.Write([]byte("x")); !errors.Is(err, ErrAborted) {
			t.Error(err)
		}
		if err := w.Close(); !errors.Is(err, ErrAborted) {
			t.Error(err)
		}
	}()
	if message.Len() < 200 {
		t.Errorf("only %d bytes came out", message.Len())
	}
	_, err := keyring.Open(background, message.Bytes(), app)
	wantStatus(t, err, ErrTruncated)
}

// What is sealed comes out when its frame is full, and what is opened when its frame is there: two programs that talk
// through messages never wait for each other.
func TestFramesAreNotKeptBack(t *testing.T) {
	keyring := plain.keyring(t, KeyringOptions{FrameLength: 100000, Cache: &CacheLimits{}})
	from, to := io.Pipe()
	w, err := keyring.NewSealWriter(background, to, app)
	if err != nil {
		t.Fatal(err)
	}
	r, err := keyring.NewOpenReader(background, from, app)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	answered := make(chan struct{})
	go func() {
		// One byte more, since a last frame may always come.
		_, _ = w.Write(content(200001))
		<-answered
		_ = to.CloseWithError(w.Close())
	}()
	begun := make([]byte, 200000)
	if _, err := io.ReadFull(r, begun); err != nil || !bytes.Equal(begun, content(200000)) {
		t.Error(err)
	}
	close(answered)
	rest, err := io.ReadAll(r)
	if good(t, rest, err); len(rest) != 1 {
		t.Errorf("%d bytes are the rest", len(rest))
	}
}

func TestSizesAndBoundsAreKept(t *testing.T) {
	client := plain.client(t)
	keyring := keyringOf(t, KeyringOptions{Cache: &CacheLimits{}}, func(k *Keyring) error { return k.AddKMS(client, plain.Keys["main"]) })
	write := func(set func(*SealWriter) error, size int) ([]byte, error) {
		var message bytes.Buffer
		w, err := keyring.NewSealWriter(background, &message, app)
		if err != nil {
			return nil, err
		}
		defer w.Abort()
		if err := set(w); err != nil {
			return nil, err
		}
		if _, err := w.Write(content(size)); err != nil {
			return nil, err
		}
		err = w.Close()
		return message.Bytes(), err
	}
	size := func(n int64) func(*SealWriter) error {
		return func(w *SealWriter) error { return w.SetPlaintextSize(n) }
	}
	bound := func(n int64) func(*SealWriter) error {
		return func(w *SealWriter) error { return w.SetPlaintextBound(n) }
	}
	for name, test := range map[string]struct {
		set  func(*SealWriter) error
		size int
		want Status
	}{
		"as said":         {size(1000), 1000, OK},
		"less than said":  {size(1000), 999, ErrPlaintextSize},
		"more than said":  {size(1000), 1001, ErrPlaintextSize},
		"negative":        {size(-1), 0, ErrOutOfRange},
		"bound":           {bound(1000), 999, OK},
		"above the bound": {bound(1000), 1001, ErrPlaintextSize},
		"negative bound":  {bound(-1), 0, ErrOutOfRange},
	} {
		_, err := write(test.set, test.size)
		if test.want == OK && err != nil || test.want != OK && !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	message, err := write(size(1000), 1000)
	good(t, message, err)
	if stats, _ := client.Stats(); stats.Calls != 1 {
		t.Errorf("with the cache, %d requests were made", stats.Calls)
	}
	r, err := keyring.NewOpenReader(background, bytes.NewReader(message), app)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetPlaintextBound(999); err != nil {
		t.Error(err)
	}
	_, err = io.ReadAll(r)
	wantStatus(t, err, ErrPlaintextSize)
	w, err := keyring.NewSealWriter(background, io.Discard, app)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.MessageSize()
	wantStatus(t, err, ErrInvalidState)
}

func TestSignedStreamsAreRefusedUnlessAllowed(t *testing.T) {
	keyring := plain.keyring(t, KeyringOptions{Signing: true, FrameLength: 100})
	message, err := keyring.Seal(background, content(250), app)
	good(t, message, err)
	plaintext, err := keyring.Open(background, message, app)
	if !bytes.Equal(good(t, plaintext, err), content(250)) {
		t.Error("another plaintext came out")
	}
	_, err = readAll(background, keyring, bytes.NewReader(message))
	wantStatus(t, err, ErrSignedNotAllowed)
	r, err := keyring.NewOpenReader(background, bytes.NewReader(message), app)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.AllowSigned(); err != nil {
		t.Fatal(err)
	}
	plaintext, err = io.ReadAll(r)
	if !bytes.Equal(good(t, plaintext, err), content(250)) {
		t.Error("another plaintext came out")
	}
	for _, allowed := range []bool{false, true} {
		_, err = overFiles(t, message, func(dst, src *os.File) error {
			return keyring.OpenFile(background, dst, src, app, FileOptions{SignedAllowed: allowed})
		})
		if allowed != (err == nil) {
			t.Errorf("allowed: %v, %v", allowed, err)
		}
	}
}

func TestTheCacheMakesFewRequests(t *testing.T) {
	client := plain.client(t)
	keyring := keyringOf(t, KeyringOptions{Cache: &CacheLimits{MaxMessages: 10}}, func(k *Keyring) error {
		return k.AddKMS(client, plain.Keys["main"])
	})
	for i := 0; i < 30; i++ {
		message, err := keyring.Seal(background, content(i), app)
		good(t, message, err)
		_, err = keyring.Open(background, message, app)
		good(t, nil, err)
	}
	if stats, _ := client.Stats(); stats.Calls != 6 {
		t.Errorf("%d requests were made for 3 data keys", stats.Calls)
	}
}

// rsaPair makes an escrow key.
func rsaPair(t *testing.T) (public, private []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte, err error) []byte {
		good(t, der, err)
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	public = encode("PUBLIC KEY", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(key)
	return public, encode("PRIVATE KEY", der, err)
}

func TestSeveralCMKsAndAnEscrowKeyOpenAlone(t *testing.T) {
	public, private := rsaPair(t)
	client, main, other := plain.client(t), plain.Keys["main"], plain.Keys["other"]
	all := keyringOf(t, KeyringOptions{}, func(k *Keyring) error {
		if err := k.AddKMS(client, main, other); err != nil {
			return err
		}
		return k.AddRSAPublicPEM("escrow", "2026", public)
	})
	message, err := all.Seal(background, []byte("x"), app)
	good(t, message, err)
	for name, add := range map[string]func(*Keyring) error{
		"main":   func(k *Keyring) error { return k.AddKMS(client, main) },
		"other":  func(k *Keyring) error { return k.AddKMS(client, other) },
		"escrow": func(k *Keyring) error { return k.AddRSAPrivatePEM("escrow", "2026", private) },
	} {
		plaintext, err := keyringOf(t, KeyringOptions{}, add).Open(background, message, app)
		if err != nil || string(plaintext) != "x" {
			t.Errorf("%s: %q, %v", name, plaintext, err)
		}
	}
	_, err = keyringOf(t, KeyringOptions{}, func(k *Keyring) error {
		return k.AddRSAPrivatePEM("escrow", "2027", private)
	}).Open(background, message, app)
	wantStatus(t, err, ErrNoMatchingKey)
	_, err = keyringOf(t, KeyringOptions{}, func(*Keyring) error { return nil }).Seal(background, nil, nil)
	wantStatus(t, err, ErrNoUsableKey)
}

func TestMessageInfoReadsTheHeader(t *testing.T) {
	keyring := plain.keyring(t, KeyringOptions{FrameLength: 1000})
	message, err := keyring.Seal(background, []byte("x"), app)
	good(t, message, err)
	info, err := MessageInfo(message)
	if err != nil || info.Version != 2 || info.Suite != "0478" || !info.Committing || info.Signed || len(info.MessageID) != 64 ||
		info.Context["app"] != app["app"] || len(info.WrappedKeys) != 1 || info.FrameLength != 1000 || info.HeaderLength == 0 {
		t.Errorf("%+v, %v", info, err)
	}
	key := info.WrappedKeys[0]
	if key.ProviderID != "tencent-kms" || key.Info != "ap-guangzhou/"+plain.Keys["main"] || key.InfoHex != "" || key.WrappedLength == 0 {
		t.Errorf("%+v", key)
	}
	_, err = MessageInfo(message[:info.HeaderLength])
	good(t, nil, err)
	_, err = MessageInfo(message[:info.HeaderLength-1])
	wantStatus(t, err, ErrTruncated)
	_, err = MessageInfo([]byte("no message"))
	wantStatus(t, err, ErrNotAMessage)
}

func TestKeyringOptionsAndKeysAreChecked(t *testing.T) {
	for name, o := range map[string]KeyringOptions{
		"policy":        {Commitment: 7},
		"frame":         {FrameLength: -1},
		"wrapped keys":  {MaxWrappedKeys: 65536},
		"header":        {MaxHeaderLength: -1},
		"frames":        {MaxFrameLength: 1 << 40},
		"unframed":      {MaxUnframedLength: -1},
		"RSA":           {MaxRSAOperations: -1},
		"timeout":       {TotalTimeout: 2 * time.Hour},
		"age":           {Cache: &CacheLimits{SealMaxAge: 25 * time.Hour}},
		"negative age":  {Cache: &CacheLimits{OpenMaxAge: -time.Second}},
		"many messages": {Cache: &CacheLimits{MaxMessages: 1 << 40}},
		"many entries":  {Cache: &CacheLimits{MaxEntries: 1 << 40}},
	} {
		if _, err := NewKeyring(o); !errors.Is(err, ErrOutOfRange) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := NewKeyring(KeyringOptions{ReproducedContext: ContextJSON("no JSON")})
	wantStatus(t, err, ErrInvalidContext)
	keyring := keyringOf(t, KeyringOptions{
		Commitment: CommitmentNotRequiredToOpen, MaxWrappedKeys: 3, MaxHeaderLength: 10000, MaxFrameLength: 10000,
		MaxUnframedLength: 10000, MaxRSAOperations: 1, TotalTimeout: time.Minute, ReproducedContext: Pairs{"a": "b"}, Cache: &CacheLimits{SealMaxAge: time.Microsecond, MaxBytes: 1},
	}, func(*Keyring) error { return nil })
	wantStatus(t, keyring.AddKMS(plain.client(t), plain.Keys["main"], "alias/no"), ErrMalformedKeyID)
	wantStatus(t, keyring.AddRSAPublicPEM("aws-kms", "x", nil), ErrInvalidKeyName)
	wantStatus(t, keyring.AddRSAPrivatePEM("escrow", "x", []byte("no PEM")), ErrInvalidPEM)
	wantStatus(t, keyring.AddCustom(CustomKey{ProviderID: "aws-kms"}), ErrInvalidKeyName)
	message, err := keyring.Seal(background, []byte("x"), nil)
	good(t, message, err)
	// After the first use, all keys have been added.
	if err := keyring.AddKMS(plain.client(t), plain.Keys["other"]); !errors.Is(err, ErrKeyringInUse) {
		t.Error(err)
	}
}

func TestClosingAKeyring(t *testing.T) {
	client := plain.client(t)
	keyring := keyringOf(t, KeyringOptions{}, func(k *Keyring) error { return k.AddKMS(client, plain.Keys["main"]) })
	// The keyring has what it needs of the client.
	client.Close()
	message, err := keyring.Seal(background, []byte("x"), app)
	good(t, message, err)
	var later bytes.Buffer
	w, err := keyring.NewSealWriter(background, &later, app)
	if err != nil {
		t.Fatal(err)
	}
	r, err := keyring.NewOpenReader(background, bytes.NewReader(message), app)
	if err != nil {
		t.Fatal(err)
	}
	keyring.Close()
	keyring.Close()
	for name, call := range map[string]func() error{
		"Seal":     func() error { _, err := keyring.Seal(background, nil, nil); return err },
		"Open":     func() error { _, err := keyring.Open(background, message, nil); return err },
		"AddKMS":   func() error { return keyring.AddKMS(plain.client(t), plain.Keys["main"]) },
		"Writer":   func() error { _, err := keyring.NewSealWriter(background, io.Discard, nil); return err },
		"Reader":   func() error { _, err := keyring.NewOpenReader(background, &later, nil); return err },
		"SealFile": func() error { return keyring.SealFile(background, os.Stdout, os.Stdin, nil, FileOptions{}) },
	} {
		if err := call(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := keyringOf(t, KeyringOptions{}, func(*Keyring) error { return nil }).AddKMS(client, plain.Keys["main"]); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed client was added: %v", err)
	}
	// Streams go on, and the last one frees the keyring and the client.
	plaintext, err := io.ReadAll(r)
	good(t, plaintext, err)
	_, err = w.Write([]byte("x"))
	good(t, nil, err)
	if keyring.handle == nil {
		t.Error("the keyring was freed under the writer")
	}
	if err := w.Close(); err != nil || later.Len() == 0 {
		t.Errorf("%d bytes, %v", later.Len(), err)
	}
	if keyring.handle != nil || client.handle != nil {
		t.Error("the last stream did not free the keyring and its client")
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := w.SetPlaintextSize(1); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// findTool looks where TCKMS_SEAL says, in PATH, and where `make build` puts it.
func findTool(t *testing.T) string {
	if path := os.Getenv("TCKMS_SEAL"); path != "" {
		return path
	}
	if path, err := exec.LookPath("tckms-seal"); err == nil {
		return path
	}
	path, err := filepath.Abs("../target/dist/tckms-seal")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatal("tckms-seal is neither in PATH nor built: run `make build`, or name it in TCKMS_SEAL")
	}
	return path
}

func TestTheToolAndGoReadEachOther(t *testing.T) {
	tool, main := findTool(t), plain.Keys["main"]
	run := func(input []byte, arguments ...string) []byte {
		t.Helper()
		command := exec.Command(tool, arguments...)
		command.Stdin = bytes.NewReader(input)
		var complaints strings.Builder
		command.Stderr = &complaints
		output, err := command.Output()
		if err != nil {
			t.Fatalf("%v: %v: %s", command, err, complaints.String())
		}
		return output
	}
	keyring := plain.keyring(t, KeyringOptions{})
	for _, size := range sizes(65536) {
		plaintext := content(size)
		message, err := keyring.Seal(background, plaintext, Pairs{"tenant": "7"})
		good(t, message, err)
		if opened := run(message, "-d", "-k", main, "-c", "tenant=7"); !bytes.Equal(opened, plaintext) {
			t.Errorf("the tool opened %d bytes as %d others", size, len(opened))
		}
		opened, err := keyring.Open(background, run(plaintext, "-k", main, "-c", "tenant=7"), Pairs{"tenant": "7"})
		if err != nil || !bytes.Equal(opened, plaintext) {
			t.Errorf("Go opened %d bytes as %d others: %v", size, len(opened), err)
		}
	}
}

func TestAnErrnoIsFound(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	source, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	err = plain.keyring(t, KeyringOptions{}).SealFile(background, full, source, app, FileOptions{})
	if !errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EIO) || !errors.Is(err, ErrDescriptorFailed) {
		t.Error(err)
	}
	_, err = NewClient(Options{Region: "ap-guangzhou", CAFile: "/nonexistent"})
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	if errors.Is(&Error{Status: ErrInternal}, syscall.Errno(0)) {
		t.Error("no number is found as 0")
	}
}
