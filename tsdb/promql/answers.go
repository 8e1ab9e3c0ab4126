package promql

import (
	"container/list"
	"context"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"

	"quantrac"
	"quantrac/tsdb"
)

// A dashboard on many screens asks the same over and over, mostly before anything
// has changed. Answers that native paths have made are kept with what they were
// made of, which series and which times, and given again as long as the store and
// the registry say that nothing of it has changed since.

// marker is a store that can say so.
type marker interface {
	Mark() tsdb.Mark
	Unchanged(ctx context.Context, since tsdb.Mark, ms []*quantrac.Matcher, from, to quantrac.Millis) bool
}

// committed is a registry that counts its changes.
type committed interface {
	// Commit returns the number of the last commit that changed it.
	Commit() uint64
}

const (
	maxAnswers     = 32 << 20 // bytes of all answers
	maxAnswer      = 1 << 20  // of one
	maxKeyStations = 64       // a principal of more gets no kept answers
)

// answers keeps bodies, those used last.
type answers struct {
	mu    sync.Mutex
	bytes int
	kept  map[string]*list.Element
	used  list.List // of *keptAnswer, the latest in front
	seed  maphash.Seed
	asked [1 << 10]uint64 // hashes of requests that were made once
}

// again says whether a request has been made before, not long ago: most ask for a
// time that never comes back.
func (c *answers) again(key string) bool {
	h := maphash.String(c.seed, key)
	c.mu.Lock()
	defer c.mu.Unlock()
	at := &c.asked[h%uint64(len(c.asked))]
	before := *at == h
	*at = h
	return before
}

// keptAnswer is an answer and what it was made of.
type keptAnswer struct {
	key  string
	body []byte
	origin
}

// origin says when an answer was made, and of what.
type origin struct {
	mark     tsdb.Mark
	registry uint64
	matchers []*quantrac.Matcher
	from, to quantrac.Millis
}

// recall returns the answer that is kept of a request, nil for none, and what
// keeps one that is made now, nil where it is not to be kept. reads is set to what
// the evaluation reads.
func (a *API) recall(ctx context.Context, q *request, limit int) (body []byte, keep func(body []byte, reads *origin)) {
	store, ok := a.store.(marker)
	reg, counts := a.reg.(committed)
	key, short := answerKey(ctx, q, limit)
	if !ok || !counts || !short || a.o.NoNative || q.anew || q.stats {
		return nil, nil
	}
	now := origin{mark: store.Mark(), registry: reg.Commit()}
	if k := a.answers.get(key); k != nil && k.registry == now.registry && store.Unchanged(ctx, k.mark, k.matchers, k.from, k.to) {
		return k.body, nil
	}
	if !a.answers.again(key) {
		return nil, nil
	}
	return nil, func(body []byte, reads *origin) {
		reads.mark, reads.registry = now.mark, now.registry
		a.answers.put(&keptAnswer{key, body, *reads})
	}
}

// answerKey tells requests apart, if that can be done shortly.
func answerKey(ctx context.Context, q *request, limit int) (key string, short bool) {
	p := quantrac.PrincipalFrom(ctx)
	if len(p.Stations) > maxKeyStations {
		return "", false
	}
	return fmt.Sprintf("%d %d %d %d %d %d %t %s\x00%s", q.start, q.end, q.step, q.lookback, q.asOf, limit, p.Stations == nil,
		strings.Join(p.Stations, "\x00"), q.expr), true
}

func (c *answers) get(key string) *keptAnswer {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.kept[key]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*keptAnswer)
}

func (c *answers) put(k *keptAnswer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.kept[k.key]; e != nil {
		c.remove(e)
	}
	c.kept[k.key] = c.used.PushFront(k)
	for c.bytes += k.size(); c.bytes > maxAnswers; {
		c.remove(c.used.Back())
	}
}

func (c *answers) remove(e *list.Element) {
	k := c.used.Remove(e).(*keptAnswer)
	delete(c.kept, k.key)
	c.bytes -= k.size()
}

func (k *keptAnswer) size() int { return len(k.body) + len(k.key) + 400 }
