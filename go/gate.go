package tckms

import (
	"context"
	"sync"
)

// gate limits the number of calls with a handle that are in C at once, and keeps the handle alive while it
// is used.
type gate struct {
	// One slot for each call in C.
	slots chan struct{}
	// Closed by close, for calls that wait for a slot.
	closing chan struct{}

	mu sync.Mutex
	// The number of users of the handle. After close, the last one frees it.
	users  int
	closed bool
}

func newGate(maxCalls int) gate {
	if maxCalls <= 0 {
		maxCalls = DefaultMaxConcurrentCalls
	}
	return gate{slots: make(chan struct{}, maxCalls), closing: make(chan struct{})}
}

// acquireSlot waits for a slot. A caller that retains the handle in another way may get one even after
// close.
func (g *gate) acquireSlot(ctx context.Context, closing <-chan struct{}) error {
	// A context that has ended takes precedence over a free slot.
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-closing:
		return ErrClosed
	}
}

func (g *gate) releaseSlot() { <-g.slots }

// retain keeps the handle until release.
func (g *gate) retain() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrClosed
	}
	g.users++
	return nil
}

func (g *gate) release(free func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users--
	if g.closed && g.users == 0 {
		free()
	}
}

// enter waits for a slot and retains the handle.
func (g *gate) enter(ctx context.Context) error {
	if err := g.acquireSlot(ctx, g.closing); err != nil {
		return err
	}
	if err := g.retain(); err != nil {
		g.releaseSlot()
		return err
	}
	return nil
}

// close refuses new calls. The handle is freed when the last user has released it.
func (g *gate) close(free func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.closed = true
	close(g.closing)
	if g.users == 0 {
		free()
	}
}
