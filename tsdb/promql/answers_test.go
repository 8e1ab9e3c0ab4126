package promql

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"quantrac"
	"quantrac/tsdb"
	"quantrac/tsdb/tsdbtest"
)

// countedRegistry is a registry that counts its changes.
type countedRegistry struct {
	*testRegistry
	commit uint64
}

func (r *countedRegistry) Commit() uint64 { return r.commit }

// TestKeptAnswers changes a store in every way, and wants what is answered from
// what was kept to be what is worked out anew.
func TestKeptAnswers(t *testing.T) {
	clock := quantrac.NewManualClock(testNow - 2*hour)
	e := openDB(t, clock)
	newFixture(t, e, clock)
	reg := &countedRegistry{testRegistry: newTestRegistry()}
	c := newClient(t, e.(Store), clock, Options{})
	c.api.reg = reg
	var queries []string
	for _, q := range []string{
		"water_level_meters", "max by (river) (max_over_time(water_level_meters[1h]))", `deriv(water_level_meters{station="tq"}[2h])`,
		"sum by (river) (sum_over_time(water_level_meters[1h]))", "avg(avg_over_time(water_level_meters[2h]))", "min without (station) (min_over_time({__name__=~\"water.*\"}[30m]))",
		`count by (commune) (count_over_time(water_level_meters{__quality__="1,2,3"}[1h]))`, `max(last_over_time(water_level_meters{__revision__="device"}[1h]))`,
		"sum(water_level_meters)", `water_level_meters{river="Hậu"}`, "loose", "avg_over_time(water_level_forecast_meters[3h])",
	} {
		queries = append(queries,
			fmt.Sprintf("/api/v1/query_range?query=%s&start=%d&end=%d&step=1800", q, (testNow-day)/second, (testNow-2*hour)/second),
			fmt.Sprintf("/api/v1/query_range?query=%s&start=%d&end=%d&step=600", q, (testNow-6*hour)/second, testNow/second),
			fmt.Sprintf("/api/v1/query?query=%s&time=%d", q, (testNow-10*minute)/second),
			fmt.Sprintf("/api/v1/query?query=%s&time=%d&asof=%d", q, (testNow-10*minute)/second, (testNow-hour)/second))
	}
	rnd := rand.New(rand.NewPCG(1, 9))
	for round := range 60 {
		how := changeStore(t, e, reg, rnd, round)
		for _, q := range queries {
			want, status := "", 0
			for range 3 { // the third time it is kept, if it can be
				_, got := c.send("GET", q, nil)
				if status, want = c.send("GET", q+"&nocache=1", nil); got != want || status != 200 {
					t.Fatalf("round %d, after %s: %s answers\n%s\nwant %d\n%s", round, how, q, got, status, want)
				}
			}
		}
	}
	st := c.api.Stats()
	if st.Kept < 60*uint64(len(queries)) {
		t.Errorf("%d of %d requests were answered from what was kept", st.Kept, 3*60*len(queries))
	}
	if st.Mended < 200 {
		t.Errorf("%d results were brought up to date", st.Mended)
	}
}

// changeStore changes something and says what.
func changeStore(t *testing.T, e tsdbtest.Engine, reg *countedRegistry, rnd *rand.Rand, round int) string {
	group := quantrac.NewLabels("station", []string{"tq", "hn", "other"}[rnd.IntN(3)])
	at := testNow - quantrac.Millis(rnd.IntN(144))*10*minute
	row := quantrac.Row{Group: group, Time: at, Cells: []quantrac.Cell{{Property: "water_level_meters", Value: float64(round), Quality: quantrac.Quality(round % 4)}}}
	switch rnd.IntN(8) {
	case 0:
		if db, ok := e.(*tsdb.DB); ok && round%2 == 0 {
			if err := db.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
			return "a flush"
		}
		return "nothing"
	case 1:
		reg.commit++
		reg.stations["hn"] = []entry{{quantrac.MinMillis, quantrac.NewLabels("river", []string{"Hậu", "Tiền"}[round%2])}}
		return "a change of the registry"
	case 2:
		appendBatch(t, e, &quantrac.Batch{Kind: quantrac.Corrections, Author: "an", Reason: "staff", Correction: fmt.Sprint("k", round/8), Rows: []quantrac.Row{row}})
		return "a correction"
	case 3:
		if _, err := e.Append(context.Background(), &quantrac.Batch{Kind: quantrac.Revocation, Author: "an", Reason: "wrong", Correction: fmt.Sprint("k", round/8)}); err != nil && quantrac.KindOf(err) != quantrac.NotFound {
			t.Fatal(err)
		}
		return "a revocation"
	case 4:
		if _, err := e.Delete(context.Background(), tsdb.Deletion{Matchers: []*quantrac.Matcher{quantrac.Equals("station", "tq")}, From: at, To: at + hour, Author: "an", Reason: "fault"}); err != nil {
			t.Fatal(err)
		}
		return "a deletion"
	case 5:
		row.Time = testNow + quantrac.Millis(round)*second
		appendBatch(t, e, &quantrac.Batch{Rows: []quantrac.Row{row}})
		return "a row that nobody has asked for yet"
	case 6:
		b := &quantrac.Batch{}
		for i := range 9000 { // more than is remembered
			b.Rows = append(b.Rows, quantrac.Row{Group: group, Time: at - 20*day + quantrac.Millis(i)*second, Cells: row.Cells})
		}
		appendBatch(t, e, b)
		return "many rows"
	}
	appendBatch(t, e, &quantrac.Batch{Rows: []quantrac.Row{row}})
	return "a row"
}

// TestKeptAnswersArePersonal asks as principals of different stations.
func TestKeptAnswersArePersonal(t *testing.T) {
	clock := quantrac.NewManualClock(testNow - 2*hour)
	e := openDB(t, clock)
	newFixture(t, e, clock)
	api := New(e.(Store), &countedRegistry{testRegistry: newTestRegistry()}, Options{Clock: clock})
	q := request{expr: "water_level_meters", start: testNow - hour, end: testNow, step: 1}
	for range 4 {
		keys := map[string]bool{}
		for _, stations := range [][]string{nil, {}, {"hn"}, {"tq"}, {"hn", "tq"}} {
			ctx := quantrac.WithPrincipal(context.Background(), quantrac.Principal{Stations: stations})
			key, ok := answerKey(ctx, &q, 0)
			if keys[key] || !ok {
				t.Errorf("%v has the key of somebody else", stations)
			}
			keys[key] = true
			body, keep := api.recall(ctx, &q, 0)
			if want := strings.Join(stations, ","); body != nil && string(body) != want {
				t.Errorf("%v gets the answer of %s", stations, body)
			} else if keep != nil {
				keep([]byte(want), &origin{from: testNow - day, to: testNow})
			}
		}
	}
	// An expression that goes on where the stations of somebody else do.
	key := func(expr string, stations ...string) string {
		k, _ := answerKey(quantrac.WithPrincipal(context.Background(), quantrac.Principal{Stations: stations}), &request{expr: expr}, 0)
		return k
	}
	for _, between := range []string{" ", "\x00", "\" \"", "] ", "\"] "} {
		for _, expr := range []string{"tq" + between + "up", between + "tq" + between + "up"} {
			if key(expr, "hn") == key("up", "hn", "tq") {
				t.Errorf("a principal of hn who asks %q gets what one of hn and tq is answered", expr)
			}
		}
	}
	many := make([]string, maxKeyStations+1)
	if _, ok := answerKey(quantrac.WithPrincipal(context.Background(), quantrac.Principal{Stations: many}), &q, 0); ok {
		t.Error("a principal of many stations has a key")
	}
	if k := key("up #" + strings.Repeat("x", maxKeyExpr)); k != "" {
		t.Errorf("a long expression has a key of %d bytes", len(k))
	}
}

// TestAnswersHaveABound keeps more than there is room for.
func TestAnswersHaveABound(t *testing.T) {
	c := &New(&spyStore{}, nil, Options{}).answers
	for i := range 2 * maxAnswers {
		c.put(fmt.Sprint(i), fmt.Append(nil, "answer ", i), &origin{})
		c.put("again", []byte("the same"), &origin{})
	}
	if len(c.kept) != maxAnswers || c.used.Len() != maxAnswers || c.get("0") != nil {
		t.Errorf("%d are kept by key, %d in order, want %d", len(c.kept), c.used.Len(), maxAnswers)
	}
	for i := 2*maxAnswers - 100; i < 2*maxAnswers; i++ {
		if k := c.get(fmt.Sprint(i)); k == nil || string(c.body(k)) != fmt.Sprint("answer ", i) {
			t.Errorf("answer %d is not there", i)
		}
	}
	// Large ones may push one another out, and then are not there at all.
	big := make([]byte, maxAnswer)
	for i := range 200 {
		big[0], big[maxAnswer-1] = byte(i), byte(i)
		c.put(fmt.Sprint("big ", i), big, &origin{})
		if got := c.body(c.get(fmt.Sprint("big ", i))); got != nil && !bytes.Equal(got, big) {
			t.Fatalf("answer %d is not what it was", i)
		}
	}
}

// movingRegistry changes right after it has said which stations pass.
type movingRegistry struct {
	*countedRegistry
	move func()
}

func (r *movingRegistry) Stations(at quantrac.Millis, ms []*quantrac.Matcher) []string {
	out := r.countedRegistry.Stations(at, ms)
	if r.move != nil {
		r.move()
		r.move = nil
	}
	return out
}

// TestAnswersRegistryMoves: what is kept of an aggregation is not filed under a registry
// that has changed while it was worked out.
func TestAnswersRegistryMoves(t *testing.T) {
	clock := quantrac.NewManualClock(testNow - 2*hour)
	e := openDB(t, clock)
	newFixture(t, e, clock)
	reg := &movingRegistry{countedRegistry: &countedRegistry{testRegistry: newTestRegistry()}}
	c := newClient(t, e.(Store), clock, Options{})
	c.api.reg = reg
	q := fmt.Sprintf("/api/v1/query_range?query=%s&start=%d&end=%d&step=600", `sum(max_over_time(water_level_meters{river="Tiền"}[1h]))`, (testNow-day)/second, (testNow-6*hour)/second)
	c.send("GET", q, nil)
	reg.move = func() {
		reg.stations["hn"] = []entry{{quantrac.MinMillis, quantrac.NewLabels("river", "Tiền")}}
		reg.commit++
	}
	c.send("GET", q, nil) // under way while the registry changes
	// A late row of a station that was there, so that the kept body is not given.
	for i := range 3 {
		put(t, e, quantrac.NewLabels("station", "tq"), "water_level_meters", testNow-10*hour+quantrac.Millis(i)*second, minute, float64(i))
		_, got := c.send("GET", q, nil)
		_, want := c.send("GET", q+"&nocache=1", nil)
		if got != want {
			t.Errorf("round %d: kept %.200s\nanew %.200s", i, got, want)
		}
	}
}
