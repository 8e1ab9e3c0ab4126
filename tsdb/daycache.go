package tsdb

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"

	"quantrac/tsdb/internal/block"
)

// dayCache keeps pages of days, those used last, within a bound of bytes.
type dayCache struct {
	mu    sync.Mutex
	most  int
	bytes int
	pages map[dayKey]*list.Element
	used  list.List // of *dayPage, the latest in front
}

type dayKey struct {
	block    *blockFile
	property string
	page     int
}

// dayPage is a page of days, with what the index of the block says of their series.
type dayPage struct {
	*block.DaysPage
	key  dayKey
	held []atomic.Pointer[dayHeld] // of each series, when first asked for
}

// dayHeld is what a block holds of a series, days or not.
type dayHeld struct {
	first, last int64 // times of values; first > last where there are none
	maxCommit   uint64
}

// heldOf returns what a block holds of a property of the group at a position.
func (b *blockFile) heldOf(position int, property string, g *block.Group) (*dayHeld, error) {
	if err := b.r.Group(position, g); err != nil {
		return nil, err
	}
	h := &dayHeld{first: 1}
	if k := slices.Index(g.Properties, property); k >= 0 {
		h.first, h.last = g.First[k], g.Last[k]
	}
	for i := range g.Chunks {
		h.maxCommit = max(h.maxCommit, g.Chunks[i].MaxCommit)
	}
	return h, nil
}

// heldOf returns what the block holds of a series of the page.
func (p *dayPage) heldOf(s *block.DaySeries, g *block.Group) (*dayHeld, error) {
	if h := p.held[s.Number].Load(); h != nil {
		return h, nil
	}
	h, err := p.key.block.heldOf(s.Position, p.key.property, g)
	if err == nil {
		p.held[s.Number].Store(h)
	}
	return h, err
}

func (p *dayPage) bytes() int { return p.Bytes() + 32*len(p.held) }

// get returns a page, from its file where it is not kept.
func (c *dayCache) get(k dayKey) (*dayPage, error) {
	if p := c.kept(k); p != nil {
		return p, nil
	}
	read, err := k.block.r.ReadDays(k.property, k.page)
	if err != nil {
		return nil, err
	}
	p := &dayPage{DaysPage: read, key: k, held: make([]atomic.Pointer[dayHeld], read.Series())}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.pages[k]; e != nil { // somebody else was quicker
		return e.Value.(*dayPage), nil
	}
	if c.pages == nil {
		c.pages = map[dayKey]*list.Element{}
	}
	c.pages[k] = c.used.PushFront(p)
	c.bytes += p.bytes()
	for c.bytes > c.most && c.used.Len() > 1 {
		c.remove(c.used.Back())
	}
	return p, nil
}

func (c *dayCache) kept(k dayKey) *dayPage {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.pages[k]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*dayPage)
}

func (c *dayCache) remove(e *list.Element) {
	p := c.used.Remove(e).(*dayPage)
	c.bytes -= p.bytes()
	delete(c.pages, p.key)
}

// drop lets go of the pages of a block.
func (c *dayCache) drop(b *blockFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, e := range c.pages {
		if k.block == b {
			c.remove(e)
		}
	}
}
