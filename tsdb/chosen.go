package tsdb

import (
	"strconv"
	"sync"

	"quantrac"
)

// choices keeps which series matchers choose, with their labels: the same matchers
// are asked for over and over, and which series there are changes seldom. What is
// kept stands until a series comes or goes.
type choices struct {
	mu         sync.Mutex
	generation uint64 // of the order of all series
	kept       map[string][]target
	series     int // of all that is kept
}

const (
	maxChosen    = 1 << 15 // series of all that is kept, about 300 bytes each
	maxChoices   = 1 << 10
	maxChoiceKey = 8 << 10 // bytes; longer lists of matchers and stations are not kept
)

// choiceKey tells matchers and a principal's stations apart, false where it would
// be long.
func choiceKey(ms []*quantrac.Matcher, stations []string) (key []byte, short bool) {
	size := 0
	for _, m := range ms {
		size += len(m.Name) + len(m.Value) + 8
	}
	for _, s := range stations {
		size += len(s) + 3
	}
	if size > maxChoiceKey {
		return nil, false
	}
	if key = make([]byte, 0, size+8); stations == nil {
		key = append(key, '*')
	}
	for _, s := range stations {
		key = strconv.AppendQuote(key, s)
	}
	for _, m := range ms {
		key = strconv.AppendInt(append(key, ' '), int64(m.Kind), 10)
		key = strconv.AppendQuote(strconv.AppendQuote(key, m.Name), m.Value)
	}
	return key, true
}

// get returns what is kept as of a generation.
func (c *choices) get(key []byte, generation uint64) ([]target, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return nil, false
	}
	ts, ok := c.kept[string(key)]
	return ts, ok
}

// put keeps what has been chosen while the order was of a generation.
func (c *choices) put(key []byte, ts []target, generation uint64) {
	if len(ts) > maxChosen/2 {
		return
	}
	made := make([]quantrac.Labels, len(ts))
	for i := range ts {
		made[i] = ts[i].labels()
		ts[i].made = &made[i]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation > generation {
		return
	}
	if c.generation < generation || c.kept == nil {
		c.generation, c.kept, c.series = generation, map[string][]target{}, 0
	}
	c.series += len(ts) - len(c.kept[string(key)])
	c.kept[string(key)] = ts
	for old, list := range c.kept { // in no order: any may go
		if c.series <= maxChosen && len(c.kept) <= maxChoices {
			return
		}
		if old != string(key) {
			delete(c.kept, old)
			c.series -= len(list)
		}
	}
}
