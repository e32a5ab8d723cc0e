package tckms

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// threads is how many this process has.
func threads(t *testing.T) int {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var count int
		if _, err := fmt.Sscanf(lines.Text(), "Threads: %d", &count); err == nil {
			return count
		}
	}
	t.Fatal("/proc/self/status does not tell")
	return 0
}

// slowService answers GenerateRandom after a while, with as many bytes of zero as asked for here: 16.
func slowService(t *testing.T, wait time.Duration) *httptest.Server {
	var calls int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(wait)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"Response":{"Plaintext":"AAAAAAAAAAAAAAAAAAAAAA==","RequestId":"%036d"}}`, atomic.AddInt64(&calls, 1))
	}))
	t.Cleanup(server.Close)
	return server
}

// mostThreads watches the number of threads while something runs.
func mostThreads(t *testing.T, run func()) int {
	most := 0
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				if now := threads(t); now > most {
					most = now
				}
			}
		}
	}()
	run()
	close(stop)
	<-watched
	return most
}

// manyCalls makes a call on each of many goroutines at once.
func manyCalls(t *testing.T, client *Client, goroutines int) {
	var wait sync.WaitGroup
	var failed int32
	for i := 0; i < goroutines; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			random, err := client.GenerateRandom(background, 16)
			if err != nil || len(random) != 16 {
				if atomic.AddInt32(&failed, 1) < 5 {
					t.Error(err)
				}
			}
		}()
	}
	wait.Wait()
}

// threadsOf has 10,000 goroutines make a call each, against a service that takes 50 ms.
func threadsOf(t *testing.T, maxCalls int, change func(*Options)) (before, most int) {
	server := slowService(t, 50*time.Millisecond)
	client := plain.client(t, func(o *Options) {
		o.Endpoint = strings.Replace(server.URL, "localhost", "127.0.0.1", 1)
		o.MaxConcurrentCalls, o.MaxConnections = maxCalls, maxCalls
		if change != nil {
			change(o)
		}
	})
	before = threads(t)
	most = mostThreads(t, func() { manyCalls(t, client, 10000) })
	t.Logf("%d threads at most, %d before", most, before)
	return before, most
}

// No call holds a thread while it waits for the service: what there is more is Go's own, and the network's thread.
func TestCallsHoldNoThread(t *testing.T) {
	for _, maxCalls := range []int{DefaultMaxConcurrentCalls, 1000} {
		before, most := threadsOf(t, maxCalls, nil)
		if most-before >= 20 {
			t.Errorf("%d calls at once: %d threads at most, %d before", maxCalls, most, before)
		}
	}
}

// A credentials function gets the context of its call, on its thread. MaxConcurrentCalls limits these.
func TestThreadsAreBounded(t *testing.T) {
	before, most := threadsOf(t, 0, func(o *Options) {
		o.Credentials = CredentialsFunc(func(context.Context) (Identity, error) {
			return Identity{SecretID: plain.SecretID, SecretKey: plain.SecretKey}, nil
		})
	})
	// The slots, and some for Go's own work and the network's.
	limit := before + DefaultMaxConcurrentCalls + 24
	if most > limit || most < DefaultMaxConcurrentCalls {
		t.Errorf("%d threads at most, %d before, %d is the limit", most, before, limit)
	}
}

// The log function of a queued call runs before the call returns, and does not hold up other calls.
func TestALogFunctionMayMakeCalls(t *testing.T) {
	var client *Client
	var lines int32
	nested := make(chan error, 1)
	client = plain.client(t, func(o *Options) {
		o.LogLevel = LogDebug
		o.Log = func(LogEvent) {
			if atomic.AddInt32(&lines, 1) == 1 {
				_, err := client.GenerateRandom(background, 16)
				nested <- err
			}
		}
	})
	if _, err := client.GenerateRandom(background, 16); err != nil {
		t.Error(err)
	}
	if atomic.LoadInt32(&lines) < 2 {
		t.Errorf("%d events when the call returned", lines)
	}
	if err := <-nested; err != nil {
		t.Error(err)
	}
}

// Calls by way of the queue, beside calls that block a thread each.
func BenchmarkCalls(b *testing.B) {
	for _, way := range []string{"queued", "blocking"} {
		for _, goroutines := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s-%d", way, goroutines), func(b *testing.B) {
				client, err := NewClient(plain.options())
				if err != nil {
					b.Fatal(err)
				}
				defer client.Close()
				if way == "blocking" {
					client.startQueue.Do(func() {})
				}
				b.SetParallelism((goroutines + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
				call := func() {
					if _, err := client.GenerateRandom(background, 16); err != nil {
						b.Error(err)
					}
				}
				b.ResetTimer()
				if goroutines == 1 {
					for i := 0; i < b.N; i++ {
						call()
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						call()
					}
				})
			})
		}
	}
}
