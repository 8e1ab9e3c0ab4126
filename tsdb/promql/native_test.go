package promql

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"quantrac"
	"quantrac/tsdb/tsdbtest"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
)

// TestNative asks random expressions of the shapes that have native paths, and
// near ones, of random data: native paths and Prometheus' engine must say the
// same of the same store, errors and remarks included, bit for bit. What fails
// is made small and printed. QUANTRAC_SEED runs one seed again, QUANTRAC_SEEDS so
// many.
func TestNative(t *testing.T) {
	seeds := []uint64{uint64(time.Now().UnixNano())}
	if n, err := strconv.ParseUint(cmp.Or(os.Getenv("QUANTRAC_SEEDS"), "16"), 10, 64); err == nil {
		for s := range n {
			seeds = append(seeds, s)
		}
	}
	if s, err := strconv.ParseUint(os.Getenv("QUANTRAC_SEED"), 10, 64); err == nil {
		seeds = []uint64{s}
	}
	for name, open := range testStores {
		native, declined, answers := 0, 0, 0
		for _, seed := range seeds {
			d := dice{rand.New(rand.NewPCG(seed, 77))}
			c := nativeCase{open: open, changes: d.changes()}
			api := c.load(t)
			for range 250 {
				c.request, c.most, c.principal = d.request(), 1<<40, nil
				switch d.IntN(12) {
				case 0:
					c.most = 1 + d.IntN(200)
				case 1:
					c.principal = []string{"s1", "s2", "s5"}[:1+d.IntN(3)]
				}
				diff, how := c.difference(api)
				if diff != "" {
					c.shrink(t)
					small, _ := c.difference(c.load(t))
					t.Fatalf("%s, seed %d: %s\nmade small: %s\n%s", name, seed, diff, small, c)
				}
				native, declined, answers = native+how.native, declined+how.declined, answers+how.answers
			}
		}
		t.Logf("%s: %d evaluations compared, %d of them with an answer, %d declined", name, native, answers, declined)
		if n := 250 * len(seeds); len(seeds) > 1 && (native < n/2 || answers < n/4 || declined < n/20) {
			t.Errorf("%s: of %d requests %d were native, %d with an answer, %d declined: that proves little", name, n, native, answers, declined)
		}
	}
}

// nativeCase is data and a request of them.
type nativeCase struct {
	open      func(testing.TB, quantrac.Clock) tsdbtest.Engine
	changes   []change
	request   request
	most      int // samples in memory
	principal []string
}

func (c nativeCase) String() string {
	r := c.request
	out := fmt.Sprintf("%s\nfrom %d to %d by %s, lookback %s, as of %d, %d samples, stations %q\n", r.expr, r.start, r.end, r.step, r.lookback, r.asOf, c.most, c.principal)
	for _, change := range c.changes {
		out += change.String() + "\n"
	}
	return out
}

// load makes a store of the data.
func (c nativeCase) load(t testing.TB) *API {
	clock := quantrac.NewManualClock(testNow - 3*hour)
	e := c.open(t, clock)
	for _, change := range c.changes {
		clock.Set(change.at)
		var err error
		if change.batch == nil {
			err = e.Flush(context.Background())
		} else {
			_, err = e.Append(context.Background(), change.batch)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return New(e, nativeRegistry(), Options{Clock: clock})
}

// tally counts cases by how they went.
type tally struct{ native, declined, answers int }

// difference evaluates both ways and says where they differ.
func (c nativeCase) difference(api *API) (string, tally) {
	ctx := context.Background()
	if c.principal != nil {
		ctx = quantrac.WithPrincipal(ctx, quantrac.Principal{Stations: c.principal})
	}
	v, expr, aerr := api.prepare(&c.request)
	if aerr != nil {
		return "", tally{} // neither is asked
	}
	v.maxSamples = c.most
	mem := &memory{pool: &api.points}
	defer mem.release()
	got, notes, err := v.native(ctx, expr, newGrid(c.request.start, c.request.end, c.request.step), mem)
	if errors.Is(err, errDeclined) {
		return "", tally{declined: 1}
	}
	res, done := c.byEngine(ctx, api)
	defer done()
	how := tally{native: 1}
	if last, _ := shapeOf(expr); err == nil && errors.As(res.Err, new(promql.ErrTooManySamples)) && last.isLast() && c.request.step == 0 {
		return "", how // the table of last values has one sample where the engine reads all of the window
	}
	if err != nil || res.Err != nil {
		if fmt.Sprint(err) != fmt.Sprint(res.Err) {
			return fmt.Sprintf("native path: %v\nengine: %v", err, res.Err), how
		}
		return "", how
	}
	how.answers = min(1, len(got.list))
	a, b := spell(got.engineValue(), c.lenient(expr)), spell(res.Value, c.lenient(expr))
	a, b = append(a, render(got)), append(b, render(res.Value))
	a, b = append(a, remarks(notes, c.request.expr)...), append(b, remarks(res.Warnings, c.request.expr)...)
	if slices.Equal(a, b) {
		return "", how
	}
	return "native path:\n" + strings.Join(a, "\n") + "\nengine:\n" + strings.Join(b, "\n"), how
}

// byEngine evaluates with an engine that may hold as much as the case says. What
// our querier reads for it is not limited: a native path does not hold that.
func (c nativeCase) byEngine(ctx context.Context, api *API) (*promql.Result, func()) {
	o := engineOptions(Options{MaxSamples: c.most, Timeout: time.Minute})
	v, _, _ := api.prepare(&c.request)
	v.maxSamples = 1 << 40
	limited := &API{engine: promql.NewEngine(o)}
	q, res, aerr := limited.engineRun(ctx, v, &c.request)
	if aerr != nil {
		return &promql.Result{Err: aerr}, func() {}
	}
	return res, q.Close
}

// lenient says whether one NaN is as good as another: what is calculated with
// one may be either.
func (c nativeCase) lenient(expr parser.Expr) bool {
	s, _ := shapeOf(expr)
	calculated := s.agg != nil && (s.agg.Op == parser.SUM || s.agg.Op == parser.AVG)
	return calculated || s.call != nil && (s.function.value != nil || strings.Contains(s.call.Func.Name, "sum_") || strings.Contains(s.call.Func.Name, "avg_"))
}

// render writes a result as JSON.
func render(v parser.Value) string {
	var out bytes.Buffer
	w := newWriter(context.Background(), &out, &buffers{})
	w.value(v)
	w.close()
	return out.String()
}

// remarks returns annotations sorted: they come in no order.
func remarks(notes annotations.Annotations, expr string) []string {
	warnings, infos := notes.AsStrings(expr, 0, 0)
	out := append(warnings, infos...)
	slices.Sort(out)
	return out
}

// spell writes a result out, every value by its bits.
func spell(v parser.Value, lenient bool) []string {
	value := func(f float64) string {
		if f != f && lenient {
			return "NaN"
		}
		return fmt.Sprintf("%v(%x)", f, math.Float64bits(f))
	}
	out := []string{string(v.Type())}
	switch v := v.(type) {
	case promql.Vector:
		for _, s := range v {
			out = append(out, fmt.Sprint(s.Metric, " ", s.T, " ", value(s.F)))
		}
	case promql.Matrix:
		for _, s := range v {
			line := s.Metric.String()
			for _, p := range s.Floats {
				line += fmt.Sprint(" ", p.T, " ", value(p.F))
			}
			out = append(out, line)
		}
	}
	return out
}

// shrink leaves out changes, rows and times as long as the two still differ.
func (c *nativeCase) shrink(t testing.TB) {
	differs := func() bool {
		diff, _ := c.difference(c.load(t))
		return diff != ""
	}
	c.changes = leaveOut(c.changes, func(cs []change) bool { c.changes = cs; return differs() })
	for i := range c.changes {
		if b := c.changes[i].batch; b != nil {
			b.Rows = leaveOut(b.Rows, func(rows []quantrac.Row) bool { b.Rows = rows; return len(rows) > 0 && differs() })
		}
	}
	for step := quantrac.Millis(c.request.step.Milliseconds()); step > 0 && c.request.start+step <= c.request.end; {
		if c.request.start += step; !differs() {
			c.request.start -= step
			break
		}
	}
}

// leaveOut returns what is left of a list when as much as possible is left out,
// many at a time and then one by one, while fails says that it fails.
func leaveOut[T any](list []T, fails func([]T) bool) []T {
	for n := (len(list) + 1) / 2; n > 0; n /= 2 {
		for at := 0; at+n <= len(list); {
			shorter := slices.Delete(slices.Clone(list), at, at+n)
			if fails(shorter) {
				list = shorter
			} else {
				at += n
			}
		}
	}
	fails(list) // what was tried last may have been too short
	return list
}

// TestLargeAnswer writes one that is written by several goroutines.
func TestLargeAnswer(t *testing.T) {
	r := &rows{kind: parser.ValueTypeMatrix, mem: &memory{pool: &sync.Pool{}}}
	g := newGrid(testNow-90*minute, testNow, 10*time.Minute)
	var c columns
	for i := range 3000 {
		c.reset(g.steps)
		for k := range g.steps {
			if (i+k)%7 > 0 {
				c.set(k, float64(i)/float64(k+1))
			}
		}
		r.add(quantrac.NewLabels("__name__", "x", "station", fmt.Sprint("s", i)), g, c)
	}
	if got, want := render(r), render(r.engineValue()); got != want {
		t.Errorf("%d bytes are not those of the engine's result, %d", len(got), len(want))
	}
	w := newWriter(context.Background(), refusing{}, &buffers{})
	w.value(r)
	w.close()
	if w.err == nil {
		t.Error("a connection that takes nothing is no error")
	}
}

type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errors.New("no") }

func TestLeaveOut(t *testing.T) {
	list := []int{9, 1, 9, 9, 2, 9, 9, 9, 3, 9, 9}
	got := leaveOut(list, func(l []int) bool {
		return slices.Contains(l, 1) && slices.Contains(l, 2) && slices.Contains(l, 3)
	})
	if !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("left are %v", got)
	}
}
