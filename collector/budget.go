package collector

import "sync"

// budget bounds the memory of what all devices have sent and nobody has dealt
// with yet.
type budget struct {
	most int64

	mu    sync.Mutex
	used  int64
	space chan struct{} // closed, and replaced, when there is room again; nil while nobody waits
}

func newBudget(most int64) budget { return budget{most: most} }

// take takes n bytes and returns nil, or a channel that is closed when it is
// worth trying again. What must be taken is taken over the bound too.
func (b *budget) take(n int, must bool) chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if must || b.used+int64(n) <= b.most {
		b.used += int64(n)
		return nil
	}
	if b.space == nil {
		b.space = make(chan struct{})
	}
	return b.space
}

// give gives n bytes back. Who waits is woken when an eighth is free: one at a
// time would wake them all for nothing.
func (b *budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= int64(n)
	if b.space != nil && b.used <= b.most-b.most/8 {
		close(b.space)
		b.space = nil
	}
}
