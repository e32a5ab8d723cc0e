package tckms

import (
	"context"
	"sync"
)

// gate bounds how many calls with a handle are in C at once, and keeps the handle from being freed under its users.
type gate struct {
	// One slot for each call in C.
	slots chan struct{}
	// Closed by close, for calls that wait for a slot.
	closing chan struct{}

	mu sync.Mutex
	// How many use the handle. The last one after close frees it.
	users  int
	closed bool
}

func newGate(maxCalls int) gate {
	if maxCalls <= 0 {
		maxCalls = DefaultMaxConcurrentCalls
	}
	return gate{slots: make(chan struct{}, maxCalls), closing: make(chan struct{})}
}

// acquireSlot waits for a slot. A caller that keeps the handle by other means may have one after close too.
func (g *gate) acquireSlot(ctx context.Context, closing <-chan struct{}) error {
	// A context that has ended wins over a slot that is free.
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

// close refuses new calls, and frees the handle when the last user has released it.
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
