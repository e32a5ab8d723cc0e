package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"sync"
	"time"
)

// derivedClient is a client for one call that a context can cancel; nil if it is not needed.
type derivedClient struct {
	// Whether the context's deadline is sooner than the client's total timeout.
	bounded bool

	mu sync.Mutex
	// nil when the call has ended.
	handle *C.tckms_client
}

// derive makes a client whose total timeout ends with the context, if that is earlier.
func (c *Client) derive(ctx context.Context) (*derivedClient, error) {
	d := &derivedClient{}
	timeout := c.total
	if left, bounded := c.timeLeft(ctx); bounded {
		timeout, d.bounded = left, true
	}
	ms := C.int64_t(timeout / time.Millisecond)
	if ms < 1 {
		ms = 1
	}
	if err := checked(C.tckms_go_client_derive_timeout(c.handle, ms, &d.handle)); err != nil {
		return nil, err
	}
	return d, nil
}

// borrow returns the client for its call.
func (d *derivedClient) borrow() *C.tckms_client {
	if d == nil {
		return nil
	}
	return d.handle
}

func (d *derivedClient) isBounded() bool { return d != nil && d.bounded }

// cancel ends the call if it still runs.
func (d *derivedClient) cancel() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.handle != nil {
		C.tckms_go_client_cancel(d.handle)
	}
}

// free is called when the call has ended.
func (d *derivedClient) free() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	C.tckms_client_free(d.handle)
	d.handle = nil
}
