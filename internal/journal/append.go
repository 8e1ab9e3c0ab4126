package journal

import (
	"context"
	"sync/atomic"

	"quantrac"
)

// Limits of what is written and synced together. A call larger than
// groupBytes makes a group of its own.
const (
	groupBytes   = 8 << 20
	groupRecords = 1 << 16 // the index in a frame has 16 bits
)

// group is the Append calls that are written and synced together. The caller
// that begins it leads: it waits for its turn to write, writes for all, and
// wakes the others.
type group struct {
	buf      []byte // frames, not finished
	calls    []call
	records  int
	done     chan struct{} // closed when the calls know their fate; nil while the leader is alone
	finished bool          // of the leader
	readers  atomic.Int32  // calls that have not yet read their fate
}

// call is one Append in a group.
type call struct {
	start, end int // its frames in buf
	records    int
	priority   bool
	first      quantrac.Commit // of its first record
	err        error
}

// Append makes records durable, in order, and returns their commits. All
// succeed or none. The context counts until the records are queued; from then
// on the outcome is waited for, which takes a write and a sync of the disk or
// two.
//
// Errors: Invalid for a call that is too large, Unavailable for what may be
// tried again (disk full or failing, journal closed), the context's.
func (j *Journal) Append(ctx context.Context, recs ...Record) ([]quantrac.Commit, error) {
	if len(recs) == 0 {
		return nil, nil
	}
	size, priority, err := j.checkCall(recs)
	if err != nil {
		return nil, err
	}
	g, i, leader, err := j.join(ctx, recs, size, priority)
	if err != nil {
		return nil, err
	}
	if leader {
		j.lead(g)
	} else {
		<-g.done
	}
	first, err := g.calls[i].first, g.calls[i].err
	if g.readers.Add(-1) == 0 {
		j.recycle(g)
	}
	if err != nil {
		return nil, err
	}
	commits := make([]quantrac.Commit, len(recs))
	for k := range commits {
		commits[k] = quantrac.Commit{Number: first.Number + uint64(k), Time: first.Time}
	}
	return commits, nil
}

// checkCall measures a call and refuses what is too large.
func (j *Journal) checkCall(recs []Record) (size int, priority bool, err error) {
	priority = true
	for i := range recs {
		size += len(recs[i].Data)
		priority = priority && recs[i].Priority
	}
	if size > j.o.MaxRecordBytes {
		return 0, false, quantrac.Errorf(quantrac.Invalid, "journal: an append of %d bytes in %d record(s) is too large, at most %d are taken", size, len(recs), j.o.MaxRecordBytes)
	}
	if len(recs) > groupRecords {
		return 0, false, quantrac.Errorf(quantrac.Invalid, "journal: an append of %d records is too large, at most %d are taken", len(recs), groupRecords)
	}
	return size + len(recs)*frameSize, priority, nil
}

// join puts a call into the group that is gathering and tells its place there.
// Who begins a group leads it.
func (j *Journal) join(ctx context.Context, recs []Record, size int, priority bool) (g *group, i int, leader bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, false, err
	}
	q := &j.queue
	q.Lock()
	for {
		if q.closing {
			q.Unlock()
			return nil, 0, false, j.errClosed()
		}
		g = q.pending
		if g == nil || len(g.buf)+size <= groupBytes && g.records+len(recs) <= groupRecords {
			break
		}
		if q.room == nil {
			q.room = make(chan struct{})
		}
		room := q.room
		q.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return nil, 0, false, ctx.Err()
		}
		q.Lock()
	}
	defer q.Unlock()
	if g == nil {
		g, leader = j.newGroup(), true
		q.pending = g
		q.leaders.Add(1)
	} else if g.done == nil {
		g.done = make(chan struct{})
	}
	start := len(g.buf)
	for k := range recs {
		var bits uint8
		if k < len(recs)-1 {
			bits = bitMore
		}
		g.buf = appendFrame(g.buf, &recs[k], bits)
	}
	g.calls = append(g.calls, call{start: start, end: len(g.buf), records: len(recs), priority: priority})
	g.records += len(recs)
	g.readers.Add(1)
	return g, len(g.calls) - 1, leader, nil
}

// newGroup returns an empty group. The queue is locked.
func (j *Journal) newGroup() *group {
	if n := len(j.queue.free); n > 0 {
		g := j.queue.free[n-1]
		j.queue.free = j.queue.free[:n-1]
		return g
	}
	return &group{}
}

// recycle keeps a group for reuse once its last caller has left.
func (j *Journal) recycle(g *group) {
	if cap(g.buf) > groupBytes {
		g.buf = nil
	}
	clear(g.calls)
	g.buf, g.calls, g.records, g.done, g.finished = g.buf[:0], g.calls[:0], 0, nil, false
	j.queue.Lock()
	defer j.queue.Unlock()
	if len(j.queue.free) < 4 {
		j.queue.free = append(j.queue.free, g)
	}
}

// lead waits for the turn to write, closes the group to further calls, and
// settles it.
func (j *Journal) lead(g *group) {
	j.w.mu.Lock()
	defer j.queue.leaders.Done()
	defer func() {
		if !g.finished { // a callback panicked: nobody may wait for ever
			j.w.broken = quantrac.Errorf(quantrac.Unavailable, "journal %s: a commit callback panicked; restart the service", j.dir)
			g.fail(j.w.broken)
		}
		j.w.mu.Unlock()
		if g.done != nil {
			close(g.done)
		}
	}()
	q := &j.queue
	q.Lock()
	q.pending = nil
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
	q.Unlock()
	j.w.commit(g)
	g.finished = true
}

// fail settles every call that has no error yet.
func (g *group) fail(err error) {
	for i := range g.calls {
		if g.calls[i].err == nil {
			g.calls[i].err = err
		}
	}
}

// refuse settles the calls without priority and takes their frames out. It
// returns whether any call is left.
func (g *group) refuse(err error) bool {
	out, left := g.buf[:0], 0
	for i := range g.calls {
		c := &g.calls[i]
		if c.err != nil {
			continue
		}
		if !c.priority {
			c.err = err
			continue
		}
		start := len(out)
		out = append(out, g.buf[c.start:c.end]...)
		c.start, c.end = start, len(out)
		left++
	}
	g.buf = out
	return left > 0
}

// number finishes the frames with the commits that follow last, at time now,
// and returns the last of them.
func (g *group) number(last quantrac.Commit, now quantrac.Millis) quantrac.Commit {
	next := quantrac.Commit{Number: last.Number + 1, Time: now}
	index := 0
	for i := range g.calls {
		c := &g.calls[i]
		if c.err != nil {
			continue
		}
		c.first = next
		for at := c.start; at < c.end; {
			n := frameLen(g.buf[at:])
			finishFrame(g.buf[at:at+n], index, next)
			at += n
			index++
			next.Number++
		}
	}
	next.Number--
	return next
}
