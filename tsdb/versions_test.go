package tsdb_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/tsdb"
	"quantrac/tsdb/tsdbtest"
)

// TestVersions: what is read stretch by stretch is what Select and Revisions say,
// which the oracle has judged.
func TestVersions(t *testing.T) {
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		s := newSubject()
		s.options = tsdb.Options{FlushBytes: 1 << 15}
		clock := &tsdbtest.Clock{}
		clock.Set(1_700_000_000_000)
		e, err := s.Open(tsdbtest.Options{Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		scramble(t, rnd, e, clock)
		db := s.open.DB
		for range 10 {
			q := randomQuery(rnd, db)
			sameAsSelect(t, db, q)
			sameAsRevisions(t, db, q)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// scramble writes readings, forecasts, corrections and deletions of three
// stations over some partitions, again and again at the same times.
func scramble(t *testing.T, rnd *rand.Rand, e tsdbtest.Engine, clock *tsdbtest.Clock) {
	t.Helper()
	ctx := context.Background()
	for step := range 150 {
		clock.Set(clock.Now() + quantrac.Millis(rnd.IntN(1e6)))
		b := &quantrac.Batch{Kind: quantrac.Readings}
		group := quantrac.NewLabels("station", fmt.Sprint(rnd.IntN(3)))
		switch rnd.IntN(10) {
		case 0:
			b.Kind, b.Author, b.Reason, b.Correction = quantrac.Corrections, "lan", "checked", fmt.Sprint("c", step%4)
		case 1:
			b.Kind, b.Model, b.Issue = quantrac.Forecasts, "m", clock.Now()
			group = group.With(quantrac.LabelModel, "m")
		case 2:
			b.Kind, b.Author, b.Reason, b.Correction = quantrac.Revocation, "hoa", "wrong", fmt.Sprint("c", rnd.IntN(4))
		}
		for range 1 + rnd.IntN(20) {
			r := quantrac.Row{Group: group, Time: clock.Now() - quantrac.Millis(rnd.IntN(40))*3*86_400_000}
			if rnd.IntN(3) == 0 {
				r.Received = r.Time + 7
			}
			for _, p := range []string{"a_meters", "b_meters"} {
				c := quantrac.Cell{Property: p, Value: float64(rnd.IntN(3)), Quality: quantrac.Quality(rnd.IntN(5))}
				if rnd.IntN(9) == 0 {
					c.Value = math.Float64frombits(0x7ff8000000000002)
				}
				r.Cells = append(r.Cells, c)
			}
			b.Rows = append(b.Rows, r)
		}
		if b.Kind == quantrac.Revocation {
			b.Rows = nil
		}
		if _, err := e.Append(ctx, b); err != nil && quantrac.KindOf(err) != quantrac.NotFound {
			t.Fatal(err)
		}
		if rnd.IntN(12) == 0 {
			if err := e.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if rnd.IntN(40) == 0 {
			if err := e.Compact(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func randomQuery(rnd *rand.Rand, db *tsdb.DB) tsdb.Query {
	q := tsdb.Query{From: quantrac.MinMillis, To: quantrac.MaxMillis, DeviceOnly: rnd.IntN(4) == 0}
	if rnd.IntN(2) == 0 {
		q.From = 1_700_000_000_000 - quantrac.Millis(rnd.IntN(100))*86_400_000
		q.To = q.From + quantrac.Millis(rnd.IntN(60))*86_400_000
	}
	if rnd.IntN(2) == 0 {
		q.AsOfCommit = 1 + rnd.Uint64N(db.Stats().Applied)
	}
	if rnd.IntN(2) == 0 {
		q.Qualities = quantrac.QualitySet(1 + rnd.IntN(31))
	}
	if rnd.IntN(3) == 0 {
		q.Matchers = []*quantrac.Matcher{quantrac.Equals("station", "1")}
	}
	return q
}

func sameAsSelect(t *testing.T, db *tsdb.DB, q tsdb.Query) {
	t.Helper()
	line := func(l quantrac.Labels, at quantrac.Millis, v float64, quality quantrac.Quality) string {
		return fmt.Sprintf("%v %d %x %v", l, at, math.Float64bits(v), quality)
	}
	var got, want []string
	for s, err := range db.Select(context.Background(), q) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Times {
			want = append(want, line(s.Labels, s.Times[i], s.Values[i], s.Qualities[i]))
		}
	}
	for s, err := range db.Versions(context.Background(), tsdb.Export{Query: q}) {
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range s.Revisions {
			got = append(got, line(s.Labels, s.Times[i], r.Value, r.Quality))
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%+v: %d values by Versions, %d by Select, or others", q, len(got), len(want))
	}
}

func sameAsRevisions(t *testing.T, db *tsdb.DB, q tsdb.Query) {
	t.Helper()
	ctx := context.Background()
	line := func(r quantrac.Revision) string {
		bits := math.Float64bits(r.Value)
		r.Value = 0
		return fmt.Sprintf("%x %+v", bits, r)
	}
	q.AsOfCommit, q.DeviceOnly, q.Qualities = 0, false, 0 // as Revisions reads
	var labels quantrac.Labels
	var times []quantrac.Millis
	got, total := map[quantrac.Millis][]string{}, 0
	check := func() {
		for _, at := range slices.Compact(times) {
			revs, err := db.Revisions(ctx, labels, at)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, r := range revs {
				want = append(want, line(r))
			}
			if total += len(want); !slices.Equal(got[at], want) {
				t.Fatalf("%v at %d: got\n%q, want\n%q", labels, int64(at), got[at], want)
			}
		}
		times = times[:0]
		clear(got)
	}
	for s, err := range db.Versions(ctx, tsdb.Export{Query: q, Every: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if !labels.Equal(s.Labels) {
			check()
			labels = s.Labels
		}
		for i, r := range s.Revisions {
			times = append(times, s.Times[i])
			got[s.Times[i]] = append(got[s.Times[i]], line(r))
		}
	}
	check()
	if total < 100 && q.From == quantrac.MinMillis && q.Matchers == nil {
		t.Errorf("%d revisions compared, want more", total)
	}
}

// TestVersionsWanted: what is not wanted is not read, what a principal may not
// see is not there.
func TestVersionsWanted(t *testing.T) {
	s := newSubject()
	clock := &tsdbtest.Clock{}
	clock.Set(1_700_000_000_000)
	e, err := s.Open(tsdbtest.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	scramble(t, rand.New(rand.NewPCG(1, 5)), e, clock)
	read := func(ctx context.Context, want func(quantrac.Labels) bool) (stations []string) {
		for v, err := range s.open.Versions(ctx, tsdb.Export{Query: tsdb.Query{From: quantrac.MinMillis, To: quantrac.MaxMillis}, Want: want}) {
			if err != nil {
				t.Fatal(err)
			}
			stations = append(stations, v.Labels.Station())
		}
		slices.Sort(stations)
		return slices.Compact(stations)
	}
	ctx := context.Background()
	if got := read(ctx, nil); !slices.Equal(got, []string{"0", "1", "2"}) {
		t.Errorf("all: %q", got)
	}
	if got := read(ctx, func(l quantrac.Labels) bool { return l.Station() != "1" }); !slices.Equal(got, []string{"0", "2"}) {
		t.Errorf("wanted: %q", got)
	}
	ctx = quantrac.WithPrincipal(ctx, quantrac.Principal{Role: quantrac.RoleViewer, Stations: []string{"1"}})
	if got := read(ctx, nil); !slices.Equal(got, []string{"1"}) {
		t.Errorf("of station 1: %q", got)
	}
}

// TestHistoryIsFlagged: who follows the journal can tell what was imported.
func TestHistoryIsFlagged(t *testing.T) {
	s := newSubject()
	clock := &tsdbtest.Clock{}
	clock.Set(1_700_000_000_000)
	e, err := s.Open(tsdbtest.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, history := range []bool{false, true} {
		b := quantrac.Batch{History: history, Rows: []quantrac.Row{{
			Group: quantrac.NewLabels("station", "a"), Time: 1, Cells: []quantrac.Cell{{Property: "m", Value: 1}},
		}}}
		if _, err := e.Append(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
	}
	var flags []uint16
	err = s.open.j.Replay(context.Background(), 0, func(e journal.Entry) error {
		flags = append(flags, e.Flags)
		return nil
	})
	if err != nil || !slices.Equal(flags, []uint16{0, quantrac.FlagHistory}) {
		t.Errorf("flags %v, %v", flags, err)
	}
}
