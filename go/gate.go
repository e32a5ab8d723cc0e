package tckms

import (
	"context"
	"sync"
)

// gate bounds how many calls with a handle are in C at once, and keeps the handle from being freed under its users.
type gate struct {
	// A place for each call in C.
	places chan struct{}
	// Closed by close, for those who wait for a place.
	closing chan struct{}

	mu sync.Mutex
	// Whoever uses the handle. It is freed by the last one after close.
	users  int
	closed bool
}

func newGate(maxCalls int) gate {
	if maxCalls <= 0 {
		maxCalls = DefaultMaxConcurrentCalls
	}
	return gate{places: make(chan struct{}, maxCalls), closing: make(chan struct{})}
}

// take waits for a place. Whoever has something else that keeps the handle may take one after close too.
func (g *gate) take(ctx context.Context, closing <-chan struct{}) error {
	// A context that has ended goes before a place that is free.
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case g.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-closing:
		return ErrClosed
	}
}

func (g *gate) giveBack() { <-g.places }

// hold makes sure that the handle stays until drop.
func (g *gate) hold() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrClosed
	}
	g.users++
	return nil
}

func (g *gate) drop(free func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users--
	if g.closed && g.users == 0 {
		free()
	}
}

// enter waits for a place and holds the handle.
func (g *gate) enter(ctx context.Context) error {
	if err := g.take(ctx, g.closing); err != nil {
		return err
	}
	if err := g.hold(); err != nil {
		g.giveBack()
		return err
	}
	return nil
}

// close lets nobody in any more, and frees the handle as soon as nobody uses it.
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
