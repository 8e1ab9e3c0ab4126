package tsdb_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// meanwhile is a context that does something when it is first asked who asks.
type meanwhile struct {
	context.Context
	once *sync.Once
	do   func()
}

func (m meanwhile) Value(key any) any {
	m.once.Do(m.do)
	return m.Context.Value(key)
}

// TestUnchanged: a moment stays what it was for reads of other groups and times, and
// while that is found out, which may take long, commits go on.
func TestUnchanged(t *testing.T) {
	db, _ := openDB(t, vfs.NewMem(), quantrac.NewManualClock(workStart+1<<40), tsdb.Options{})
	mustAppend(t, db, readings(row("a", 0, "v", 1.0)))
	since := db.Mark()
	b := &quantrac.Batch{}
	for i := range 1000 {
		b.Rows = append(b.Rows, row(fmt.Sprint("s", i%100), i, "v", 1.0))
	}
	mustAppend(t, db, b)
	like := func(pattern string) []*quantrac.Matcher {
		m, err := quantrac.NewMatcher(quantrac.MatchRegexp, "station", pattern)
		if err != nil {
			t.Fatal(err)
		}
		return []*quantrac.Matcher{m, quantrac.Equals(quantrac.LabelMetric, "v")}
	}
	at := func(slot int) quantrac.Millis { return row("", slot).Time }
	for _, tt := range []struct {
		pattern  string
		from, to int
		stations []string
		want     bool
	}{
		{"s7", 0, 1000, nil, false},
		{"s7", 0, 1000, []string{"s7"}, false},
		{"s7", 0, 1000, []string{"s8"}, true},
		{"s7", 0, 1000, []string{}, true},
		{"s7", 8, 106, nil, true}, // between its rows
		{"s7", 8, 107, nil, false},
		{"s7", 7, 7, nil, false},
		{"a|s101", 0, 1000, nil, true},
		{".*", 1000, 2000, nil, true},
	} {
		ctx := quantrac.WithPrincipal(context.Background(), quantrac.Principal{Stations: tt.stations})
		ctx = meanwhile{ctx, &sync.Once{}, func() { mustAppend(t, db, readings(row("other", 5000, "v", 1.0))) }}
		if got := db.Unchanged(ctx, since, like(tt.pattern), at(tt.from), at(tt.to)); got != tt.want {
			t.Errorf("%+v: %t", tt, got)
		}
	}
}
