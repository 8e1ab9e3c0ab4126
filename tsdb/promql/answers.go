package promql

import (
	"container/list"
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"sync"

	"quantrac"
	"quantrac/tsdb"

	"github.com/VictoriaMetrics/fastcache"
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
	answerBytes    = 64 << 20 // of all answers; memory that is not used is not taken
	maxAnswers     = 1 << 12
	maxAnswer      = 1 << 20 // of one
	maxKeyStations = 64      // a principal of more gets no kept answers
	maxKeyExpr     = 4 << 10 // nor an expression that is longer
)

// answers keeps bodies, outside of what the garbage collector looks at, and by
// request what they were made of, for those used last.
type answers struct {
	mu     sync.Mutex
	kept   map[string]*list.Element
	used   list.List        // of *keptAnswer, the latest in front
	bodies *fastcache.Cache // by serial; made when there is the first
	serial uint64
	seed   maphash.Seed
	asked  [1 << 10]uint64 // hashes of requests that were made once
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

// keptAnswer says of what an answer was made and where its body is.
type keptAnswer struct {
	key    string
	serial [8]byte
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
		if body = a.answers.body(k); len(body) > 0 {
			return body, nil
		}
	}
	if !a.answers.again(key) {
		return nil, nil
	}
	q.again = key
	return nil, func(body []byte, reads *origin) {
		reads.mark, reads.registry = now.mark, now.registry
		a.answers.put(key, body, reads)
	}
}

// answerKey tells requests apart, if that can be done shortly. The expression comes
// as it was sent, with any bytes in it, and stands last and alone: stations are
// quoted, so that no expression reads as stations of somebody else.
func answerKey(ctx context.Context, q *request, limit int) (key string, short bool) {
	p := quantrac.PrincipalFrom(ctx)
	if len(p.Stations) > maxKeyStations || len(q.expr) > maxKeyExpr {
		return "", false
	}
	return fmt.Sprintf("%d %d %d %d %d %d %t %q %s", q.start, q.end, q.step, q.lookback, q.asOf, limit, p.Stations == nil, p.Stations, q.expr), true
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

// body returns the body of an answer, nil where it had to make room.
func (c *answers) body(k *keptAnswer) []byte { return c.bodies.GetBig(nil, k.serial[:]) }

func (c *answers) put(key string, body []byte, of *origin) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bodies == nil {
		c.bodies = fastcache.New(answerBytes)
	}
	k := &keptAnswer{key: key, origin: *of}
	c.serial++ // a body under its own number is never that of another moment
	binary.LittleEndian.PutUint64(k.serial[:], c.serial)
	c.bodies.SetBig(k.serial[:], body)
	if e := c.kept[key]; e != nil {
		c.used.Remove(e)
	}
	c.kept[key] = c.used.PushFront(k)
	for len(c.kept) > maxAnswers {
		delete(c.kept, c.used.Remove(c.used.Back()).(*keptAnswer).key)
	}
}
