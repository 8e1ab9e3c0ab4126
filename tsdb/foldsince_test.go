package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb/internal/decimal"
)

// TestHolding compares with each window looked at by itself.
func TestHolding(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 20_000 {
		w := Windows{First: quantrac.Millis(rnd.IntN(50) - 25), Step: quantrac.Millis(1 + rnd.IntN(9)), Width: quantrac.Millis(1 + rnd.IntN(20)), Count: 1 + rnd.IntN(5)}
		if w.Count == 1 {
			w.Step = quantrac.Millis(rnd.IntN(2))
		}
		at := int64(rnd.IntN(160) - 60)
		k, n := w.holding(at)
		for i := range w.Count {
			if end := w.end(i); (at > end-int64(w.Width) && at <= end) != (i >= k && i < n) {
				t.Fatalf("%+v: windows from %d to before %d hold %d", w, k, n, at)
			}
		}
	}
}

// TestStretches folds stretches, and the same rows one by one.
func TestStretches(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 1))
	for range 5000 {
		var ss []stretch
		var s Series
		at := int64(rnd.IntN(100))
		for range rnd.IntN(5) {
			st := stretch{first: at, places: rnd.IntN(4)}
			for range 1 + rnd.IntN(40) {
				st.after = append(st.after, uint32(at-st.first))
				st.whole = append(st.whole, int32(rnd.IntN(2000)-1000))
				s.Times = append(s.Times, quantrac.Millis(at))
				s.Values = append(s.Values, decimal.Value(int64(st.whole[len(st.whole)-1]), st.places))
				at += int64([]int{10, 10, 10, 11, 30, 300}[rnd.IntN(6)])
			}
			ss = append(ss, st)
		}
		width := quantrac.Millis(1 + rnd.IntN(80))
		w := Windows{First: quantrac.Millis(rnd.IntN(200)) + width, Step: width + quantrac.Millis(rnd.IntN(2)*rnd.IntN(50)), Width: width, Count: rnd.IntN(60)}
		from, _ := w.span()
		for len(ss) > 0 && len(s.Times) > 0 && s.Times[0] < from { // as pieces are cut
			s.Times, s.Values = s.Times[1:], s.Values[1:]
			if ss[0].after, ss[0].whole = ss[0].after[1:], ss[0].whole[1:]; len(ss[0].after) == 0 {
				ss = ss[1:]
			}
		}
		for _, op := range []FoldOp{FoldMin, FoldMax} {
			var got, want Folded
			samples := w.extremesOf(&got, ss, op)
			w.Fold(&want, &s, op)
			total := 0
			for k, n := range want.Counts {
				total += int(n)
				if got.Counts[k] != n || n > 0 && math.Float64bits(got.Values[k]) != math.Float64bits(want.Values[k]) {
					t.Fatalf("op %d, %+v of %v: window %d has %d, %v, want %d, %v", op, w, ss, k, got.Counts[k], got.Values[k], n, want.Values[k])
				}
			}
			if samples != total {
				t.Fatalf("%d samples, want %d", samples, total)
			}
		}
	}
}

// changing is a store that changes at random.
type changing struct {
	t     *testing.T
	db    *DB
	rnd   *rand.Rand
	round int
}

const changingStart = quantrac.Millis(1_790_000_000_000)

func newChanging(t *testing.T) *changing {
	mem := vfs.NewMem()
	clock := quantrac.NewManualClock(changingStart + 1<<40)
	j, err := journal.Open(mem, "journal", journal.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(mem, "tsdb", j, Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), j.Close()); err != nil {
			t.Error(err)
		}
	})
	return &changing{t: t, db: db, rnd: rand.New(rand.NewPCG(6, 2))}
}

func (c *changing) row() quantrac.Row {
	return quantrac.Row{
		Group: quantrac.NewLabels("station", fmt.Sprint("s", c.rnd.IntN(6+c.round/20))),
		Time:  changingStart + quantrac.Millis(c.rnd.IntN(300))*600_000,
		Cells: []quantrac.Cell{{Property: []string{"a", "b"}[c.rnd.IntN(2)], Value: float64(c.rnd.IntN(1000)) / 100, Quality: quantrac.Quality(c.rnd.IntN(int(quantrac.Missing)))}},
	}
}

// change changes the store and says how.
func (c *changing) change() string {
	c.round++
	ctx := context.Background()
	b := &quantrac.Batch{}
	for range 1 + c.rnd.IntN(20) {
		b.Rows = append(b.Rows, c.row())
	}
	how, err := "rows", error(nil)
	switch c.rnd.IntN(9) {
	case 0:
		how, err = "a flush", errors.Join(c.db.Flush(ctx), c.db.Compact(ctx))
		b = nil
	case 1:
		how = "corrections"
		b.Kind, b.Author, b.Reason, b.Correction = quantrac.Corrections, "an", "staff", fmt.Sprint("k", c.round/8)
	case 2:
		how = "a revocation"
		b = &quantrac.Batch{Kind: quantrac.Revocation, Author: "an", Reason: "wrong", Correction: fmt.Sprint("k", c.round/8)}
	case 3:
		how = "many rows"
		for range 2 * maxAgain {
			b.Rows = append(b.Rows, c.row())
		}
	}
	if b != nil {
		_, err = c.db.Append(ctx, b)
	}
	if err != nil && quantrac.KindOf(err) != quantrac.NotFound {
		c.t.Fatal(err)
	}
	return how
}

// TestFoldSince brings what series came to up to date as a store changes, and
// compares with what they come to.
func TestFoldSince(t *testing.T) {
	c := newChanging(t)
	ctx := context.Background()
	q := Query{Matchers: []*quantrac.Matcher{quantrac.Equals(quantrac.LabelMetric, "a")}, Anew: true}
	type window struct {
		n uint32
		v uint64
	}
	for round, followed := 0, 0; round < 8 || followed < 100; round++ {
		q.Qualities, q.DeviceOnly = []quantrac.QualitySet{0, quantrac.AllQualities}[c.rnd.IntN(2)], c.rnd.IntN(4) == 0
		w := Windows{First: changingStart + quantrac.Millis(c.rnd.IntN(100))*hourLen, Step: hourLen, Width: hourLen * quantrac.Millis(1+c.rnd.IntN(3)), Count: 1 + c.rnd.IntN(90)}
		if c.rnd.IntN(2) == 0 {
			w.Step *= 2
		}
		op := FoldOp(c.rnd.IntN(7))
		kept := map[string][]window{}
		take := func(f *Folded, k, n int) bool {
			ws := kept[f.Labels.Key()]
			if ws == nil {
				ws = make([]window, w.Count)
			}
			for i := k; i < n; i++ {
				if ws[i] = (window{}); f.Counts[i] > 0 {
					ws[i] = window{f.Counts[i], math.Float64bits(f.Values[i])}
				}
			}
			kept[f.Labels.Key()] = ws
			return true
		}
		fold := func() {
			clear(kept)
			for f, err := range c.db.Fold(ctx, q, w, op) {
				if err != nil {
					t.Fatal(err)
				}
				take(f, 0, w.Count)
			}
		}
		since := c.db.Mark()
		fold()
		for range 30 {
			how := c.change()
			now, ok, err := c.db.FoldSince(ctx, since, q, w, op, take)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				since = c.db.Mark()
				fold()
				continue
			}
			since = now
			followed++
			got := map[string][]window{}
			for key, ws := range kept {
				if slices.ContainsFunc(ws, func(x window) bool { return x.n > 0 }) {
					got[key] = ws
				}
			}
			fold()
			if a, b := fmt.Sprint(got), fmt.Sprint(kept); a != b {
				t.Fatalf("round %d, %+v, op %d, after %s:\n%s\nwant\n%s", round, w, op, how, a, b)
			}
		}
	}
	q.Qualities, q.DeviceOnly = 0, false
	past := q
	past.AsOfCommit = 1
	for _, no := range []struct {
		q Query
		w Windows
	}{{past, Windows{Width: 1, Count: 1}}, {q, Windows{Width: 24 * hourLen, Count: 1}}} {
		if _, ok, err := c.db.FoldSince(ctx, c.db.Mark(), no.q, no.w, FoldMax, nil); ok || err != nil {
			t.Errorf("%+v of %+v: %t, %v", no.w, no.q, ok, err)
		}
	}
}

const hourLen = quantrac.Millis(3_600_000)

// TestChoicesHaveABound asks for more than is kept.
func TestChoicesHaveABound(t *testing.T) {
	var c choices
	g := &group{}
	list := make([]target, 100)
	for i := range list {
		list[i] = target{g: g, s: &series{metric: &metric{"a"}}}
	}
	for i := range 4 * maxChoices {
		key, _ := choiceKey([]*quantrac.Matcher{quantrac.Equals("a", fmt.Sprint(i))}, nil)
		c.put(key, slices.Clone(list), 7)
		if ts, ok := c.get(key, 7); !ok || len(ts) != len(list) {
			t.Fatalf("%d: %d series", i, len(ts))
		}
	}
	n := 0
	for _, ts := range c.kept {
		n += len(ts)
	}
	if n != c.series || n > maxChosen || len(c.kept) > maxChoices {
		t.Errorf("%d series kept, %d counted; %d lists", n, c.series, len(c.kept))
	}
	key, _ := choiceKey(nil, nil)
	c.put(key, list, 6)
	if _, ok := c.get(key, 7); ok {
		t.Error("what was chosen before a series came is kept")
	}
	keys := map[string]bool{}
	for _, stations := range [][]string{nil, {}, {"a"}, {"b"}, {"a", "b"}, {`a" "b`}} {
		for _, ms := range [][]*quantrac.Matcher{nil, {quantrac.Equals("a", "b")}, {quantrac.Equals("a", `b" "c`)}} {
			key, ok := choiceKey(ms, stations)
			if keys[string(key)] || !ok {
				t.Errorf("%v of %q have the key of others", ms, stations)
			}
			keys[string(key)] = true
		}
	}
	if _, ok := choiceKey(nil, make([]string, maxChoiceKey)); ok {
		t.Error("a long list of stations has a key")
	}
}

// TestEntriesAreLetGo reads groups of blocks when too many are kept.
func TestEntriesAreLetGo(t *testing.T) {
	c := newChanging(t)
	for range 50 {
		c.change()
	}
	if err := c.db.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	read := func() string {
		out := ""
		for s, err := range c.db.Select(context.Background(), Query{To: quantrac.MaxMillis}) {
			out += fmt.Sprintln(s, err)
		}
		return out
	}
	want := read()
	if n := c.db.entries.Load(); n == 0 {
		t.Error("no entries are kept")
	}
	c.db.entries.Store(maxEntries - 3)
	for _, b := range c.db.apply.state.blocks {
		b.entries.Store(nil)
	}
	for range 3 {
		if got := read(); got != want {
			t.Fatalf("reads\n%s\nwant\n%s", got, want)
		}
	}
	if n := c.db.entries.Load(); n > maxEntries/2 {
		t.Errorf("%d entries are counted", n)
	}
}

// TestFoldOneWindow: windows that are not folded by days are not so either when one of
// them alone is folded again.
func TestFoldOneWindow(t *testing.T) {
	for _, w := range []Windows{
		{Step: 36 * hourLen, Width: 24 * hourLen, Count: 10},
		{Step: hourLen, Width: 24 * hourLen, Count: 200},
		{Step: 36 * hourLen, Width: 36 * hourLen, Count: 8},
	} {
		for _, op := range []FoldOp{FoldSum, FoldAvg} {
			c := newChanging(t)
			ctx := context.Background()
			put := func(at quantrac.Millis, v float64) {
				if _, err := c.db.Append(ctx, &quantrac.Batch{Rows: []quantrac.Row{{Group: quantrac.NewLabels("station", "a"), Time: at, Cells: []quantrac.Cell{{Property: "a", Value: v}}}}}); err != nil {
					t.Fatal(err)
				}
			}
			b := &quantrac.Batch{}
			for i := range 144 * 20 {
				b.Rows = append(b.Rows, quantrac.Row{Group: quantrac.NewLabels("station", "a"), Time: changingStart + quantrac.Millis(i)*600_000,
					Cells: []quantrac.Cell{{Property: "a", Value: float64(c.rnd.IntN(1e6)) / 1000}}})
			}
			if _, err := c.db.Append(ctx, b); err != nil {
				t.Fatal(err)
			}
			if err := c.db.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			w.First = changingStart + 48*hourLen
			end := quantrac.Millis(w.end(w.Count - 1))
			q := Query{}
			read := func(anew bool) (out Folded) {
				q.Anew = anew
				for f, err := range c.db.Fold(ctx, q, w, op) {
					if err != nil {
						t.Fatal(err)
					}
					out.Counts, out.Values = append(out.Counts, f.Counts...), append(out.Values, f.Values...)
				}
				return out
			}
			read(false)
			for i := range 12 {
				since := c.db.Mark()
				put(end-quantrac.Millis(i)*1000-1, float64(i)/7)
				want := read(true)
				_, ok, err := c.db.FoldSince(ctx, since, q, w, op, func(f *Folded, k, n int) bool {
					for ; k < n; k++ {
						if f.Counts[k] != want.Counts[k] || math.Float64bits(f.Values[k]) != math.Float64bits(want.Values[k]) {
							t.Errorf("op %d step %dh width %dh: FoldSince window %d of %d: %d %v, Fold %d %v", op, w.Step/hourLen, w.Width/hourLen, k, w.Count, f.Counts[k], f.Values[k], want.Counts[k], want.Values[k])
						}
					}
					return true
				})
				if !ok || err != nil {
					t.Fatal(ok, err)
				}
				got := read(false)
				for k := range got.Counts {
					if got.Counts[k] != want.Counts[k] || math.Float64bits(got.Values[k]) != math.Float64bits(want.Values[k]) {
						t.Errorf("op %d step %dh width %dh: kept window %d: %v, anew %v", op, w.Step/hourLen, w.Width/hourLen, k, got.Values[k], want.Values[k])
					}
				}
			}
		}
	}
}

// TestLastMeanwhile wants a row that comes while the last value is looked up to be
// the last, though the one who looks reads as of before it.
func TestLastMeanwhile(t *testing.T) {
	c := newChanging(t)
	row := c.row()
	row.Cells[0].Quality = quantrac.Good
	send := func(at quantrac.Millis, v float64) {
		row.Time, row.Cells[0].Value = at, v
		if _, err := c.db.Append(t.Context(), &quantrac.Batch{Rows: []quantrac.Row{row}}); err != nil {
			t.Fatal(err)
		}
	}
	send(changingStart, 1)
	c.db.groups.at(0).one.set(lastUnknown, lastValue{}, 0)
	unknown, next, v := c.db.unknownLasts(0, 1)
	defer v.release()
	if len(unknown) != 1 || next != 1 {
		t.Fatalf("%d series are unknown up to %d, want 1 up to 1", len(unknown), next)
	}
	send(changingStart+1, 2)
	var out []Last
	if err := c.db.resolveLast(t.Context(), v, unknown, &out); err != nil {
		t.Fatal(err)
	}
	if got, err := c.db.Latest(t.Context(), nil); err != nil || len(got) != 1 || got[0].Value != 2 {
		t.Errorf("the last are %v, %v, want the value 2", got, err)
	}
}
