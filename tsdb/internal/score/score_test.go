package score

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"quantrac/internal/scorecard"
	"quantrac/tsdb/internal/score/load"
	"quantrac/tsdb/internal/score/store"
)

func TestTable(t *testing.T) {
	var f Figures
	f.Set("cpu", "s", "A", 0.2)
	f.Set("cpu", "s", "B", 0.755)
	f.Set("bytes", "B", "B", 1234)
	f.fail("B", "open", errors.New("no answer"))
	var out strings.Builder
	if err := f.Table(&out, []string{"A", "B"}); err != nil {
		t.Fatal(err)
	}
	want := "what   unit  A    B\n" +
		"cpu    s     0.2  0.755 (3.77×)\n" +
		"bytes  B     –    1234\n" +
		"not measured: B, open: no answer\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestBar(t *testing.T) {
	var f Figures
	f.Set("cpu", "s", store.Ours, 1)
	f.Set("cpu", "s", store.Victoria, 4)
	f.Set("alone", "s", store.Ours, 1)
	f.Set("theirs", "s", store.Victoria, 1)
	f.Set("warm", "ms", store.Ours, 2)
	for _, c := range []struct {
		bar  bar
		want scorecard.Row
	}{
		{faster(4, "cpu", store.Victoria), scorecard.Row{Name: "cpu", Measured: "1 to 4 s: 0.25×", Wanted: "4× less than VictoriaMetrics", OK: true}},
		{faster(5, "cpu", store.Victoria), scorecard.Row{Name: "cpu", Measured: "1 to 4 s: 0.25×", Wanted: "5× less than VictoriaMetrics"}},
		{atMost(0.55, "cpu", store.Victoria), scorecard.Row{Name: "cpu", Measured: "1 to 4 s: 0.25×", Wanted: "≤ 0.55× of VictoriaMetrics", OK: true}},
		{atMost(1, "alone", store.Victoria), scorecard.Row{Name: "alone", Measured: "1 s; no peer", Wanted: "≤ 1× of VictoriaMetrics"}},
		{atMost(1, "theirs", store.Victoria), scorecard.Row{Name: "theirs", Measured: "not measured", Wanted: "≤ 1× of VictoriaMetrics"}},
		{bar{"warm", store.Victoria, "cpu", 1, " otherwise"}, scorecard.Row{Name: "warm", Measured: "2 to 4 ms: 0.5×", Wanted: "≤ 1× of VictoriaMetrics otherwise", OK: true}},
	} {
		if got := c.bar.row(&f); got != c.want {
			t.Errorf("got %+v, want %+v", got, c.want)
		}
	}
}

// TestCardWithoutPeers wants every wanted figure on the card, and none held,
// where nothing was measured.
func TestCardWithoutPeers(t *testing.T) {
	b := New(t.Context(), Options{Scale: Reduced(), Ours: store.Quantrac("none")})
	card := b.Card()
	if held, wanted := scorecard.Count(card); held != 0 || wanted < 20 {
		t.Errorf("%d of %d held, want 0 of 20 or more: %+v", held, wanted, card)
	}
}

func TestPhaseUnknown(t *testing.T) {
	b := New(t.Context(), Options{Scale: Tiny(), Ours: store.Quantrac("none")})
	if err := b.Run("network", "netwrk"); err == nil || !strings.Contains(err.Error(), "netwrk") {
		t.Errorf("got %v, want the phase that there is not", err)
	}
}

func TestMedian(t *testing.T) {
	if got := median([]time.Duration{5, 1, 9}); got != 5 {
		t.Errorf("got %d, want 5", got)
	}
}

// TestExpected wants the values of the batches named and of no others.
func TestExpected(t *testing.T) {
	n := load.Province(3, 40)
	f, err := load.Write(t.TempDir(), "lines", n.Batches(10))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := expected(f, map[int]bool{0: true, 2: true})
	if err != nil {
		t.Fatal(err)
	}
	values := 0
	for _, v := range want {
		values += len(v)
	}
	if len(want) != 3 || values != 100 {
		t.Errorf("%d values of %d stations, want 100 of 3", values, len(want))
	}
}

// TestTiny runs the whole comparison in small, on our service and on the peers
// that are on this machine: whatever the figures, answers agree, nothing that was
// acknowledged is lost, and every wanted figure is measured.
func TestTiny(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the service and runs it for half a minute")
	}
	temp := t.TempDir()
	ours, err := store.BuildQuantrac(t.Context(), temp)
	if err != nil {
		t.Fatal(err)
	}
	var progress bytes.Buffer
	o := Options{Scale: Tiny(), Temp: temp, Ours: store.Quantrac(ours), Progress: &progress}
	if p := store.Find("", "VICTORIA_METRICS", "victoria-metrics", "victoria-metrics-prod"); p != "" {
		o.Peers = append(o.Peers, store.VictoriaMetrics(p))
	}
	if p := store.Find("", "PROMETHEUS", "prometheus"); p != "" {
		o.Peers = append(o.Peers, store.Prometheus(p))
	}
	b := New(t.Context(), o)
	if err := b.Run("network", "latest", "decade", "singles", "messages", "kill", "power", "open"); err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Checks {
		_, peer, compared := strings.Cut(c.Name, "the answer is that of ")
		absent := compared && peer != "the first time" && !slices.Contains(b.Stores(), peer)
		if c.OK == absent {
			t.Errorf("%s: %s, wanted %s (ok %v)", c.Name, c.Measured, c.Wanted, c.OK)
		}
	}
	if len(b.Figures.Failures) > 0 || len(b.Checks) < 20 {
		t.Errorf("%d checks; not measured: %v", len(b.Checks), b.Figures.Failures)
	}
	for _, r := range b.bars() {
		if _, ok := b.Figures.Get(r.figure, store.Ours); !ok && !strings.HasPrefix(r.figure, recordedLoad) {
			t.Errorf("%s was not measured", r.figure)
		}
	}
	var grown strings.Builder
	if err := b.grow(&grown, 60, 600); err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(grown.String()), "\n") {
		if f := strings.Split(line, "\t"); len(f) != 8 || f[0] != "60" || f[2] != b.Stores()[i] {
			t.Errorf("growth says %q", line)
		}
	}
	if t.Failed() {
		t.Log(progress.String())
	}
}
