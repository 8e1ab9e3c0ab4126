package promql

import (
	"context"
	"slices"
	"strings"
	"testing"

	"quantrac"
)

// TestSelections: a selector takes series out by what queries would see in it.
func TestSelections(t *testing.T) {
	clock := quantrac.NewManualClock(testNow)
	e := openDB(t, clock)
	newFixture(t, e, clock)
	a := New(e, newTestRegistry(), Options{Clock: clock})
	f := func(selector string, asOf quantrac.Millis, stations ...string) {
		t.Helper()
		all, err := a.Selections([]string{selector}, quantrac.MaxMillis, asOf)
		if err != nil {
			t.Fatalf("%s: %v", selector, err)
		}
		var got []string
		for _, s := range all {
			ctx, ok := s.Restrict(context.Background())
			if !ok {
				continue
			}
			q := s.Query
			q.From, q.To = quantrac.MinMillis, quantrac.MaxMillis
			for series, err := range e.Select(ctx, q) {
				if err != nil {
					t.Fatal(err)
				}
				if s.Wants(series.Labels) {
					got = append(got, series.Labels.Station())
				}
			}
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, stations) {
			t.Errorf("%s: stations %q, want %q", selector, got, stations)
		}
	}
	f(`water_level_meters`, 0, "hn", "tq")
	f(`{river="Hậu"}`, 0, "hn")
	f(`{commune="Xã Mới"}`, 0, "tq", "trap")
	f(`{station!="",river=""}`, 0, "trap")
	f(`{river="Mekong"}`, 0)

	if got, err := a.Selections([]string{`a_meters{__quality__="all",__revision__="device",__asof__="1700000000"}`, "b"}, quantrac.MaxMillis, 0); err != nil ||
		len(got) != 2 || got[0].Query.Qualities != quantrac.AllQualities || !got[0].Query.DeviceOnly || got[0].Query.AsOf != 1_700_000_000_000 || got[1].Query.AsOf != 0 {
		t.Errorf("pseudo-labels: %+v, %v", got, err)
	}
	for text, want := range map[string]string{"{": "unexpected end of input", `{a=""}`: "non-empty matcher", `{__quality__="7"}`: "quality"} {
		if _, err := a.Selections([]string{text}, quantrac.MaxMillis, 0); quantrac.KindOf(err) != quantrac.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
