package tckms

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
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

// Each call blocks a thread while it is in C. 10,000 goroutines must not make 10,000 of them.
func TestThreadsAreBounded(t *testing.T) {
	const goroutines = 10000
	before := threads(t)
	server := slowService(t, 20*time.Millisecond)
	client := plain.client(t, func(o *Options) { o.Endpoint = strings.Replace(server.URL, "localhost", "127.0.0.1", 1) })
	var most int32
	stop := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				if now := int32(threads(t)); now > most {
					most = now
				}
			}
		}
	}()
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
	close(stop)
	<-watched
	// The slots, and some for Go's own work and the network's.
	limit := int32(before + DefaultMaxConcurrentCalls + 24)
	if most > limit || most < DefaultMaxConcurrentCalls {
		t.Errorf("%d threads at most, %d before, %d is the limit", most, before, limit)
	}
	t.Logf("%d goroutines, %d threads at most, %d before", goroutines, most, before)
}
