package main

import (
	"context"
	"iter"
	"slices"

	"quantrac"
	"quantrac/internal/exchange"
	"quantrac/tsdb"
	"quantrac/tsdb/promql"
)

// outgoing is what an export takes out of the store.
type outgoing struct {
	db         *tsdb.DB
	selections []promql.Selection
	from, to   quantrac.Millis
	commit     uint64          // what is read is what was known then, whatever is written meanwhile
	every      bool            // revisions
	after      quantrac.Labels // the series up to this one are left out; nil for none
}

// query is what one selection reads.
func (o *outgoing) query(s *promql.Selection) tsdb.Query {
	q := s.Query
	q.From, q.To, q.AsOfCommit = o.from, o.to, o.commit
	return q
}

// labelNames returns the names of the labels of all series that may come.
func (o *outgoing) labelNames(ctx context.Context) ([]string, error) {
	var out []string
	for i := range o.selections {
		s := &o.selections[i]
		ctx, ok := s.Restrict(ctx)
		if !ok {
			continue
		}
		names, err := o.db.LabelNames(ctx, s.Query.Matchers, o.from, o.to)
		if err != nil {
			return nil, err
		}
		out = append(out, names...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// branch is the series of one selection as they come.
type branch struct {
	head *tsdb.Versions // nil at the end
	next func() (*tsdb.Versions, error, bool)
	left int // series that have not come
}

func (b *branch) step() error {
	v, err, ok := b.next()
	if err != nil {
		return err
	}
	if b.head, b.left = nil, 0; ok {
		b.head, b.left = v, v.Of-v.Index
	}
	return nil
}

// each gives the stretches of all series that pass, sorted by their labels, each
// series once, by the first selection that has it. left is how many series have
// not come to their end, or a few more.
func (o *outgoing) each(ctx context.Context, show func(s *exchange.Stretch, left int) error) error {
	var branches []*branch
	for i := range o.selections {
		s := &o.selections[i]
		ctx, ok := s.Restrict(ctx)
		if !ok {
			continue
		}
		next, stop := iter.Pull2(o.db.Versions(ctx, tsdb.Export{Query: o.query(s), Every: o.every, Want: func(ls quantrac.Labels) bool {
			return (o.after == nil || ls.Compare(o.after) > 0) && s.Wants(ls)
		}}))
		defer stop()
		b := &branch{next: next}
		if err := b.step(); err != nil {
			return err
		}
		branches = append(branches, b)
	}
	for {
		var least *branch
		left := 0
		for _, b := range branches {
			if left += b.left; b.head != nil && (least == nil || b.head.Labels.Compare(least.head.Labels) < 0) {
				least = b
			}
		}
		if least == nil {
			return ctx.Err()
		}
		if err := o.series(branches, least, left, show); err != nil {
			return err
		}
	}
}

// series shows the series at which a branch stands, and steps over it in all.
func (o *outgoing) series(branches []*branch, from *branch, left int, show func(*exchange.Stretch, int) error) error {
	labels := from.head.Labels
	for from.head != nil && from.head.Labels.Equal(labels) {
		v := from.head
		if err := show(&exchange.Stretch{Labels: v.Labels, Times: v.Times, Revisions: v.Revisions}, left); err != nil {
			return err
		}
		if err := from.step(); err != nil {
			return err
		}
	}
	for _, b := range branches {
		for b.head != nil && b.head.Labels.Equal(labels) {
			if err := b.step(); err != nil {
				return err
			}
		}
	}
	return nil
}
