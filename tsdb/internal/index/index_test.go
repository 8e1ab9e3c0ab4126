package index

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"quantrac"
)

// Match answers as going through all groups does.
func TestMatch(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var x Index
	type group struct {
		labels quantrac.Labels
		props  []string
	}
	var groups []group
	for i := range 400 {
		pairs := []string{"n", fmt.Sprint(i)} // makes it unique
		for _, name := range []string{"station", "sensor", "river"} {
			if rnd.IntN(3) > 0 {
				pairs = append(pairs, name, string(rune('a'+rnd.IntN(4))))
			}
		}
		g := group{labels: quantrac.NewLabels(pairs...)}
		if id := x.Add(g.labels); id != uint32(i) {
			t.Fatalf("group %d got number %d", i, id)
		}
		groups = append(groups, g)
	}
	for range 900 { // in any order
		i := rnd.IntN(len(groups))
		p := string(rune('p' + rnd.IntN(3)))
		if !slices.Contains(groups[i].props, p) {
			groups[i].props = append(groups[i].props, p)
			x.AddProperty(uint32(i), p)
		}
	}
	for i := range groups {
		if len(groups[i].props) == 0 {
			groups[i].props = []string{"p"}
			x.AddProperty(uint32(i), "p")
		}
		if id, ok := x.Lookup(groups[i].labels.AppendKey(nil)); !ok || id != uint32(i) {
			t.Fatalf("lookup of group %d gives %d, %v", i, id, ok)
		}
	}
	names := []string{"station", "sensor", "river", "none", quantrac.LabelMetric}
	values := []string{"", "a", "b", "p", "a|b", ".*", ".+", "[ab]", "z"}
	for range 2000 {
		var ms []*quantrac.Matcher
		for range rnd.IntN(4) {
			m, err := quantrac.NewMatcher(quantrac.MatchKind(rnd.IntN(4)), names[rnd.IntN(len(names))], values[rnd.IntN(len(values))])
			if err != nil {
				t.Fatal(err)
			}
			ms = append(ms, m)
		}
		var stations []string
		if rnd.IntN(3) == 0 {
			stations = []string{"a", "c", "", "unknown"}[:rnd.IntN(5)]
		}
		var want []uint32
		for i, g := range groups {
			if stations != nil && (g.labels.Station() == "" || !slices.Contains(stations, g.labels.Station())) {
				continue
			}
			pass := true
			for _, m := range ms {
				if m.Name == quantrac.LabelMetric {
					pass = pass && slices.ContainsFunc(g.props, m.Matches)
				} else {
					pass = pass && m.Matches(g.labels.Get(m.Name))
				}
			}
			if pass {
				want = append(want, uint32(i))
			}
		}
		if got := x.Match(ms, stations); !slices.Equal(got, want) {
			t.Fatalf("%v stations %q: got %v, want %v", ms, stations, got, want)
		}
	}
}

func TestEmpty(t *testing.T) {
	var x Index
	if got := x.Match(nil, nil); len(got) != 0 {
		t.Errorf("an empty index matches %v", got)
	}
	if _, ok := x.Lookup([]byte("x")); ok {
		t.Error("an empty index knows a group")
	}
}
