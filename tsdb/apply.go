package tsdb

import (
	"sync"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/tsdb/internal/block"
	"quantrac/tsdb/internal/commits"
	"quantrac/tsdb/internal/rows"
)

// Applying turns a durable record into state. It decides nothing that is not
// in the record or follows from the records before it, so that the journal
// replayed gives the same state again.

// applier is what the applying goroutine keeps from commit to commit; who holds
// apply for writing may use it.
type applier struct {
	dec    batchDecoder
	groups []*group // of the batch's table
	shapes []*shape // of the batch's table
	known  map[string]*shape
	row    rows.Row
	humans map[*group]bool // all groups with rows by people
	key    []byte          // of a group, while the store is opened
	found  lookup
	noted  []arrival // rows of the commit that the head's filter is to be told of
	warm   int       // groups of the table up to here have been fetched
	word   int64     // of what was fetched, so that it is
	// covering is of the late row at hand.
	covering []block.Chunk
	sc       scratch
	lone     loneRows
}

// maxShapes bounds the lists of properties remembered, should every row have
// one of its own.
const maxShapes = 4096

// counts is what became of a commit, of which its receipt says the first two.
type counts struct{ stored, redelivered, rows, bytes int }

// receipts hands the counts of a commit from the goroutine that applied it to
// the one that waits for it.
type receipts struct {
	mu      sync.Mutex
	waiting int
	m       map[uint64]counts
}

func (r *receipts) wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting++
}

func (r *receipts) put(number uint64, c counts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting > 0 {
		r.m[number] = c
	}
}

func (r *receipts) take(number uint64) counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.m[number]
	delete(r.m, number)
	if r.waiting--; r.waiting == 0 {
		clear(r.m) // of commits that nobody of ours waited for
	}
	return c
}

// onCommit is called by the journal with every commit, in order.
func (db *DB) onCommit(e journal.Entry) {
	if err := db.applyEntry(e, false); err != nil {
		db.stats.readErrors.Add(1)
		db.o.Logger.Error("tsdb: a commit could not be applied", "commit", e.Number, "error", err)
	}
	if db.full() {
		db.wakeFlush()
	}
}

// applyEntry applies a commit unless it has been. An error is one of decoding;
// with strict the commit then counts as not applied.
func (db *DB) applyEntry(e journal.Entry, strict bool) error {
	a := &db.apply
	a.Lock()
	defer a.Unlock()
	if a.closed || e.Number <= a.applied {
		return nil
	}
	if e.Number > a.applied+1 {
		a.missed = e.Number // it will be met again: the journal is still being replayed
		return nil
	}
	var err error
	if e.Kind == quantrac.RecordBatch {
		err = db.applyBatch(e)
	}
	if err == nil || !strict {
		a.applied = e.Number
		db.hold.Pass(e.Number)
	}
	return err
}

func (db *DB) applyBatch(e journal.Entry) error {
	w := &db.apply.w
	if err := w.dec.open(e.Data); err != nil {
		return err
	}
	if w.known == nil {
		w.known = map[string]*shape{}
	}
	w.groups, w.shapes = w.groups[:0], w.shapes[:0]
	for _, key := range w.dec.groups {
		w.groups = append(w.groups, db.groupOf(key))
	}
	for _, s := range w.dec.shapes {
		sh := w.known[string(s.key)]
		if sh == nil {
			if len(w.known) >= maxShapes {
				clear(w.known)
			}
			sh = &shape{props: s.props}
			w.known[string(s.key)] = sh
		}
		w.shapes = append(w.shapes, sh)
	}
	var c counts
	h := db.apply.state.heads[len(db.apply.state.heads)-1]
	w.warm, w.noted = 0, w.noted[:0]
	for w.dec.next() {
		if w.dec.group >= w.warm {
			w.fetch(h, w.dec.group)
		}
		db.applyRow(h, e.Commit, &c)
	}
	for _, a := range w.noted { // all at once, so that the places are fetched together
		h.present.note(a.group, a.time)
	}
	h.rows.Add(int64(c.rows))
	h.bytes.Add(int64(c.bytes))
	h.filter(db.o.FlushBytes)
	db.stats.stored.Add(uint64(c.stored))
	db.stats.redelivered.Add(uint64(c.redelivered))
	if c.stored > 0 || w.dec.head.Kind == quantrac.Revocation {
		h.bytes.Add(16)
		db.log.Add(e.Commit, change(e.Number, &w.dec.head))
	}
	if w.dec.head.Kind == quantrac.Revocation {
		db.forgetLast(e.Number)
	}
	db.receipts.put(e.Number, c)
	return w.dec.err
}

// fetchAhead is how many groups are fetched at once.
const fetchAhead = 32

// fetch reads a word of all that applying rows of the groups from one on will touch.
// The rows of a batch come group by group, and what a group has lies in a dozen
// places that have not been touched for thousands of others: asked for together they
// come in the time of one.
func (w *applier) fetch(h *head, from int) {
	w.warm = min(from+fetchAhead, len(w.groups))
	for _, g := range w.groups[from:w.warm] {
		w.word += g.one.first + g.one.last
		if hg := h.known(g.id); hg != nil {
			w.word += hg.first.Last()
		}
	}
	for _, g := range w.groups[from:w.warm] {
		if g.count > 1 { // more is there, then, and was not made by a reader just now
			for _, s := range g.more.series {
				w.word += s.first + s.last // mostly in two lines; a reader may be setting what lies between
			}
		}
		if hg := h.known(g.id); hg != nil && hg.first.Len() > 0 {
			w.word += hg.first.Place()
			if hg.late != nil {
				w.word += hg.late.list[0].Last()
			}
		}
	}
}

// change is what a person did by a batch, nil for devices and models.
func change(number uint64, b *quantrac.Batch) *commits.Change {
	if b.Layer() != quantrac.LayerHuman {
		return nil
	}
	return &commits.Change{Commit: number, Author: b.Author, Reason: b.Reason, Correction: b.Correction, Revocation: b.Kind == quantrac.Revocation}
}

// forgetLast makes the last values unknown of every series that people have
// touched, and what is kept of them: a revocation may bring back or take away
// any value.
func (db *DB) forgetLast(commit uint64) {
	db.apply.recent.epoch.Add(1)
	for g := range db.apply.w.humans {
		g.mu.Lock()
		for i := range int(g.count) {
			g.at(i).set(lastUnknown, lastValue{}, 0)
		}
		g.forgetFolds()
		g.touched = commit
		g.mu.Unlock()
	}
}

// applyRow adds the row that the decoder stands on.
func (db *DB) applyRow(h *head, commit quantrac.Commit, c *counts) {
	w := &db.apply.w
	g := w.groups[w.dec.group]
	r := &w.row
	r.Time, r.Received, r.Commit = int64(w.dec.time), int64(w.dec.received), commit.Number
	r.Kind = rowKind(w.dec.head.Kind)
	r.Cols = db.columns(g, w.shapes[w.dec.shape])
	r.Values = w.dec.values
	r.Quality = r.Quality[:0]
	for _, q := range w.dec.qualities {
		r.Quality = append(r.Quality, uint8(q))
	}
	stored := len(r.Cols)
	if r.Kind == rows.Reading && r.Time <= g.newest() {
		stored -= db.dropRedelivered(g, r)
	}
	c.stored += stored
	c.redelivered += len(r.Cols) - stored
	if stored == 0 {
		return
	}
	h.reach(r.Time)
	if h.present != nil {
		w.noted = append(w.noted, arrival{group: g.id, time: r.Time})
	}
	g.mu.Lock()
	size := h.add(g.id, r, int(g.count))
	if r.Kind == rows.Human && !g.humans() {
		g.rare().humans = true
		w.humans[g] = true
	}
	// Nothing of the group lies at the row's time: what is seen there is the row.
	alone, humans := r.Time > g.newest(), g.humans()
	for i, col := range r.Cols {
		if r.Quality[i] != rows.Absent {
			s := g.at(col)
			s.extend(r.Time)
			s.observe(r, i, commit, alone, humans)
		}
	}
	g.touched = commit.Number
	if g.more != nil {
		for _, f := range g.more.folds {
			f.forget(r.Time)
		}
	}
	g.reach(r.Time)
	g.mu.Unlock()
	db.apply.recent.add(commit.Number, r.Time, g.id)
	c.rows++
	c.bytes += size
}

func rowKind(k quantrac.BatchKind) uint8 {
	switch k {
	case quantrac.Corrections:
		return rows.Human
	case quantrac.Forecasts:
		return rows.Forecast
	}
	return rows.Reading
}

// observe brings the last value up to date with a cell that has been added,
// the newest revision at its time in its layer. The group's mu is held.
func (s *series) observe(r *rows.Row, i int, commit quantrac.Commit, alone, humans bool) {
	switch {
	case s.state == lastUnknown:
		s.changes++ // who is looking it up may read as of before the cell
		return
	case s.state == lastKnown && r.Time < s.value.time:
		return // what is seen at the last value's time stays
	case r.Kind == rows.Human, humans && !alone:
		// A person's word may stand over the cell, or be gone: look it up.
		s.set(lastUnknown, lastValue{}, 0)
		return
	}
	if !countsAsLast(r.Quality[i], r.Time, commit) {
		if s.state == lastKnown && r.Time == s.value.time {
			s.set(lastUnknown, lastValue{}, 0) // the one before it in time
		}
		return
	}
	// As set, but without a value that is made aside and copied for every reading.
	v := &s.value
	v.time, v.value, v.received, v.commit = r.Time, r.Values[i], r.Received, commit
	s.state, s.quality = lastKnown, r.Quality[i]
	s.changes++
}

// countsAsLast says whether a visible value may be a last value. The time of the
// commit is taken as it is once files of commits have been merged, so that
// merging makes no difference.
func countsAsLast(q uint8, t int64, commit quantrac.Commit) bool {
	return quantrac.DefaultQualities.Has(quality(q)) && t <= int64(commits.UpToSecond(commit.Time).Add(quantrac.MaxAhead))
}
