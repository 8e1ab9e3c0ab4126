package tsdbtest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"quantrac"
	"quantrac/tsdb"
)

// change makes a batch of the directive and writes it.
func (r *runner) change(ctx context.Context, a args) (string, error) {
	b := &quantrac.Batch{Author: a.text("author"), Reason: a.text("reason"), Correction: a.text("id")}
	var said strings.Builder
	var err error
	switch a.Cmd {
	case "delete":
		return r.delete(ctx, a, b)
	case "correct":
		b.Kind = quantrac.Corrections
	case "revoke":
		b.Kind = quantrac.Revocation
	case "forecast":
		b.Kind, b.Model = quantrac.Forecasts, a.text("model")
		if b.Issue, err = a.millis("issue", 0); err != nil {
			return "", err
		}
	}
	if b.Rows, err = parseRows(a.Input); err != nil {
		return "", err
	}
	switch a.Cmd {
	case "admit":
		installed, err := a.millis("installed", 0)
		if err != nil {
			return "", err
		}
		var rows []quantrac.Row
		for _, row := range b.Rows {
			v := quantrac.CheckTime(row.Time, r.clock.Now(), installed)
			fmt.Fprintf(&said, "%s %v\n", formatTime(row.Time), v)
			if !v.Quarantine() {
				rows = append(rows, row)
			}
		}
		if b.Rows = rows; len(rows) == 0 {
			return said.String(), nil
		}
	case "repeat":
		if err := repeat(a, b); err != nil {
			return "", err
		}
	}
	rc, err := r.engine.Append(ctx, b)
	r.note(rc, b.Kind)
	return said.String() + receipt(rc), err
}

func repeat(a args, b *quantrac.Batch) error {
	n, err := strconv.Atoi(a.text("n"))
	if err != nil {
		return err
	}
	step, err := time.ParseDuration(a.text("step"))
	if err != nil {
		return err
	}
	by, err := strconv.ParseFloat("0"+a.text("by"), 64)
	if err != nil {
		return err
	}
	first := b.Rows[0]
	b.Rows = nil
	for i := range n {
		row := first
		row.Time = first.Time.Add(time.Duration(i) * step)
		row.Cells = nil
		for _, c := range first.Cells {
			c.Value += float64(i) * by
			row.Cells = append(row.Cells, c)
		}
		b.Rows = append(b.Rows, row)
	}
	return nil
}

func (r *runner) delete(ctx context.Context, a args, b *quantrac.Batch) (string, error) {
	ms, err := parseSelector(a.Input)
	if err != nil {
		return "", err
	}
	del := tsdb.Deletion{Matchers: ms, Author: b.Author, Reason: b.Reason, Correction: b.Correction}
	if del.From, del.To, err = a.span(); err != nil {
		return "", err
	}
	rc, err := r.engine.Delete(ctx, del)
	r.note(rc, quantrac.Corrections)
	return receipt(rc), err
}

// note keeps a commit that was made.
func (r *runner) note(rc quantrac.Receipt, kind quantrac.BatchKind) {
	r.last = max(r.last, rc.Commit.Time)
	if rc.Commit.Number != 0 {
		r.made = append(r.made, rc.Commit)
	}
	if at := second(rc.Commit.Time); r.firsts[at] == 0 && (rc.Stored > 0 || kind == quantrac.Revocation) {
		r.firsts[at] = rc.Commit.Number
	}
}

// first tells of a commit the first one of its second: more is not kept for ever of
// a reading that nothing has changed.
func (r *runner) first(c quantrac.Commit) uint64 { return r.firsts[second(c.Time)] }

// endOfSecond returns the number of the last commit made in the second of another.
func (r *runner) endOfSecond(number uint64) uint64 {
	for i, c := range r.made {
		if c.Number >= number && (i+1 == len(r.made) || second(r.made[i+1].Time) > second(c.Time)) {
			return c.Number
		}
	}
	return number
}

// receipt writes a receipt; what is zero is left out.
func receipt(rc quantrac.Receipt) string {
	if rc.Commit.Number == 0 {
		return "nothing to do\n"
	}
	out := fmt.Sprintf("commit %d at %s: stored %d", rc.Commit.Number, formatTime(rc.Commit.Time), rc.Stored)
	for _, f := range []struct {
		n    int
		name string
	}{{rc.Redelivered, "redelivered"}, {rc.Collisions, "collisions"}, {rc.Ahead, "ahead"}} {
		if f.n > 0 {
			out += fmt.Sprintf(", %s %d", f.name, f.n)
		}
	}
	return out + "\n"
}

func (r *runner) addMetadata(a args) error {
	m := metadata{station: a.text("station")}
	var err error
	if m.from, err = a.millis("from", quantrac.MinMillis); err != nil {
		return err
	}
	var pairs []string
	for _, k := range registryKeys {
		pairs = append(pairs, k, a.text(k))
	}
	m.labels = quantrac.NewLabels(pairs...)
	r.meta = append(r.meta, m)
	return nil
}

// join adds what the registry said at an instant, as a query does.
func (r *runner) join(ls quantrac.Labels, at quantrac.Millis) quantrac.Labels {
	var in *metadata
	for i := range r.meta {
		if m := &r.meta[i]; m.station == ls.Station() && m.from <= at {
			in = m
		}
	}
	if in != nil {
		for _, l := range in.labels {
			ls = ls.With(l.Name, l.Value)
		}
	}
	return ls
}
