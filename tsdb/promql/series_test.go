package promql

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"quantrac"
	"quantrac/tsdb"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// TestCursor compares the cursor with the list of samples and markers written
// out.
func TestCursor(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		s := &series{stale: quantrac.Millis(rnd.IntN(4) * 3)} // 0: none
		type item struct {
			t quantrac.Millis
			v float64
		}
		var want []item
		at := quantrac.Millis(0)
		n := rnd.IntN(6)
		for i := range n {
			at += quantrac.Millis(1 + rnd.IntN(12))
			if k := len(s.times); k > 0 && s.stale > 0 && at > s.times[k-1]+s.stale {
				want = append(want, item{s.times[k-1] + s.stale, staleNaN})
			}
			s.times, s.values = append(s.times, at), append(s.values, float64(i))
			want = append(want, item{at, float64(i)})
		}
		if n > 0 && s.stale > 0 {
			want = append(want, item{at + s.stale, staleNaN})
		}
		c := s.Iterator(nil)
		pos := -1
		for range 12 {
			var got chunkenc.ValueType
			if rnd.IntN(2) == 0 {
				got = c.Next()
				pos = min(pos+1, len(want))
			} else {
				to := quantrac.Millis(rnd.IntN(80))
				got = c.Seek(int64(to))
				pos = max(pos, 0)
				for pos < len(want) && want[pos].t < to {
					pos++
				}
			}
			if (got == chunkenc.ValNone) != (pos >= len(want)) {
				t.Fatalf("%v stale %d: %v at %d of %v", s.times, s.stale, got, pos, want)
			}
			if got == chunkenc.ValNone {
				continue
			}
			at, v := c.At()
			if quantrac.Millis(at) != want[pos].t || c.AtT() != at || math.Float64bits(v) != math.Float64bits(want[pos].v) {
				t.Fatalf("%v stale %d: (%d, %v), want %v", s.times, s.stale, at, v, want[pos])
			}
		}
		if c.Next() != chunkenc.ValNone && c.Seek(math.MaxInt64) != chunkenc.ValNone {
			t.Fatal("no end")
		}
		if s.Iterator(c) != c {
			t.Fatal("the cursor is not used again")
		}
	}
}

// spyStore answers nothing but a few series, and writes down what was asked.
type spyStore struct {
	asked  []string
	labels []quantrac.Labels
}

func (s *spyStore) Select(ctx context.Context, q tsdb.Query) iter.Seq2[*tsdb.Series, error] {
	s.asked = append(s.asked, fmt.Sprintf("select %v %d..%d %v", q.Matchers, q.From, q.To, quantrac.PrincipalFrom(ctx).Stations))
	return func(func(*tsdb.Series, error) bool) {}
}

func (s *spyStore) Fold(ctx context.Context, q tsdb.Query, w tsdb.Windows, op tsdb.FoldOp) iter.Seq2[*tsdb.Folded, error] {
	how := fmt.Sprint(op)
	if w.By != nil {
		how, w.By = "by itself", nil
	}
	if q.Anew {
		how += " anew"
	}
	s.asked = append(s.asked, fmt.Sprintf("fold %v %d+%d*%d<%d %s %v", q.Matchers, int64(w.First), int64(w.Step), w.Count, int64(w.Width), how, quantrac.PrincipalFrom(ctx).Stations))
	return func(func(*tsdb.Folded, error) bool) {}
}

func (s *spyStore) Latest(_ context.Context, ms []*quantrac.Matcher) ([]tsdb.Last, error) {
	s.asked = append(s.asked, fmt.Sprintf("latest %v", ms))
	return nil, nil
}

func (s *spyStore) Series(_ context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis) ([]quantrac.Labels, error) {
	var out []quantrac.Labels
	for _, ls := range s.labels {
		if quantrac.MatchAll(ls, ms) {
			out = append(out, ls)
		}
	}
	return out, nil
}

func (s *spyStore) LabelNames(context.Context, []*quantrac.Matcher, quantrac.Millis, quantrac.Millis) ([]string, error) {
	return nil, nil
}

func (s *spyStore) LabelValues(context.Context, string, []*quantrac.Matcher, quantrac.Millis, quantrac.Millis, int) ([]string, error) {
	return nil, nil
}

// TestReads says what the store is asked for: the time that evaluations can
// see, to the millisecond, and no series that metadata rule out.
func TestReads(t *testing.T) {
	l := quantrac.NewLabels
	store := &spyStore{labels: []quantrac.Labels{
		l("__name__", "water_level_meters", "station", "hn"),
		l("__name__", "water_level_meters", "station", "tq"),
		l("__name__", "loose"),
	}}
	api := New(store, newTestRegistry(), Options{})
	from, to := quantrac.Millis(100*hour), 110*hour
	f := func(expr string, lookback time.Duration, want ...string) {
		t.Helper()
		store.asked = nil
		_, _, done, err := api.run(context.Background(), request{expr: expr, start: from, end: to, step: time.Hour, lookback: lookback})
		if err != nil {
			t.Fatal(err)
		}
		done()
		if fmt.Sprint(store.asked) != fmt.Sprint(want) {
			t.Errorf("%s asks\n%q, want\n%q", expr, store.asked, want)
		}
	}
	span := func(ms string, from, to quantrac.Millis, stations string) string {
		return fmt.Sprintf("select [%s] %d..%d [%s]", ms, from, to, stations)
	}
	fold := func(ms string, width quantrac.Millis, stations string) string {
		return fmt.Sprintf("fold [%s] %d+%d*11<%d by itself [%s]", ms, int64(from), int64(hour), int64(width), stations)
	}
	level := `__name__="water_level_meters"`
	const stale = 31 * minute
	f("water_level_meters", 0, span(level, from-stale+1, to, ""))
	f("loose", 0, span(`__name__="loose"`, from-5*minute+1, to, ""))
	f("nothing", 0)
	f("water_level_meters offset 1h", 0, span(level, from-hour-stale+1, to-hour, ""))
	f("water_level_meters @ 360000", 0, `latest [__name__="water_level_meters" model=""]`)
	f("water_level_meters", 7*time.Minute, span(level, from-7*minute+1, to, ""))
	f("rate(water_level_meters[10m])", 0, fold(level, 10*minute, ""))
	f("max_over_time(water_level_meters[1h:10m])", 0, span(level, from-hour-stale+1, to, ""))
	f(`water_level_meters{river="Tiền"}`, 0, span(level, from-stale+1, to, "tq"))
	f(`water_level_meters{river!="Tiền"}`, 0, span(level, from-stale+1, to, ""))
	f(`water_level_meters{river="Mekong"}`, 0)
	f(`rate(water_level_meters{river=~"T.*",station=~"tq|hn",a=~"b",c=~".+",d!~".+"}[1m])`, 0,
		fold(`station=~"tq|hn" a="b" c!="" d="" `+level, minute, "tq"))
	// Series of unequal staleness are read apart.
	store.asked = nil
	if _, err := api.Range(context.Background(), `{__name__=~".+"}`, from, to, time.Hour); err != nil {
		t.Fatal(err)
	}
	a, b := span(`__name__!=""`, from-stale+1, to, "hn tq"), span(`__name__!=""`, from-5*minute+1, to, "")
	if got := fmt.Sprint(store.asked); got != fmt.Sprint([]string{a, b}) && got != fmt.Sprint([]string{b, a}) {
		t.Errorf("asked %s, want %s and %s", got, a, b)
	}
	// The present is read from the table of last values.
	store.asked = nil
	if _, err := api.Instant(context.Background(), "loose", from); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(store.asked), `[latest [__name__="loose" model=""]]`; got != want {
		t.Errorf("an instant asks %s, want %s", got, want)
	}
}

func TestThin(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var times []quantrac.Millis
		var values []float64
		at := quantrac.Millis(0)
		for i := range rnd.IntN(60) {
			at += quantrac.Millis(1 + rnd.IntN(9))
			times, values = append(times, at), append(values, float64(i))
		}
		first, step := quantrac.Millis(rnd.IntN(50)), quantrac.Millis(1+rnd.IntN(60))
		last := first + quantrac.Millis(rnd.IntN(300))
		ts, vs := thin(times, values, first, last, step)
		steps := int((last-first)/step) + 1
		if len(ts) > 2*steps || len(ts) != len(vs) {
			t.Fatalf("%d and %d are kept for %d steps", len(ts), len(vs), steps)
		}
		newest := func(ts []quantrac.Millis, vs []float64, at quantrac.Millis) float64 {
			i, _ := slices.BinarySearch(ts, at+1)
			if i == 0 {
				return -1
			}
			return vs[i-1] + float64(ts[i-1])/1000
		}
		for at := first; at <= last; at += step {
			if got, want := newest(ts, vs, at), newest(times, values, at); got != want {
				t.Fatalf("thinned to %v: at %d %v, want %v", ts, at, got, want)
			}
		}
	}
}
