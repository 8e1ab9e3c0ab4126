package tsdb

import (
	"container/list"
	"sync"

	"quantrac/tsdb/internal/block"
)

// dayCache keeps pages of days, those used last, within a bound of bytes.
type dayCache struct {
	mu    sync.Mutex
	most  int
	bytes int
	pages map[dayKey]*list.Element
	used  list.List // of *dayEntry, the latest in front
}

type dayKey struct {
	block    *blockFile
	property string
	page     int
}

type dayEntry struct {
	key  dayKey
	page *block.DaysPage
}

// get returns a page, from its file where it is not kept.
func (c *dayCache) get(k dayKey) (*block.DaysPage, error) {
	if p := c.kept(k); p != nil {
		return p, nil
	}
	p, err := k.block.r.ReadDays(k.property, k.page)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.pages[k]; e != nil { // somebody else was quicker
		return e.Value.(*dayEntry).page, nil
	}
	if c.pages == nil {
		c.pages = map[dayKey]*list.Element{}
	}
	c.pages[k] = c.used.PushFront(&dayEntry{k, p})
	c.bytes += p.Bytes()
	for c.bytes > c.most && c.used.Len() > 1 {
		c.remove(c.used.Back())
	}
	return p, nil
}

func (c *dayCache) kept(k dayKey) *block.DaysPage {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.pages[k]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*dayEntry).page
}

func (c *dayCache) remove(e *list.Element) {
	d := c.used.Remove(e).(*dayEntry)
	c.bytes -= d.page.Bytes()
	delete(c.pages, d.key)
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
