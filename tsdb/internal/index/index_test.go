package index

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"quantrac"
)

// Match answers as going through all groups does.
func TestMatch(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	type group struct {
		labels quantrac.Labels
		props  []string
		gone   bool
	}
	var groups []group
	x := New(func(id uint32) string { return groups[id].labels.Key() })
	for i := range 400 {
		pairs := []string{"n", fmt.Sprint(i)} // makes it unique
		for _, name := range []string{"station", "sensor", "river"} {
			if rnd.IntN(3) > 0 {
				pairs = append(pairs, name, string(rune('a'+rnd.IntN(4))))
			}
		}
		g := group{labels: quantrac.NewLabels(pairs...)}
		groups = append(groups, g)
		if id := x.Add(g.labels.Key()); id != uint32(i) {
			t.Fatalf("group %d got number %d", i, id)
		}
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
	for n := range 2000 {
		if i := rnd.IntN(len(groups)); n%10 == 9 && !groups[i].gone {
			groups[i].gone = true
			x.Remove(uint32(i), groups[i].labels.Key(), groups[i].props)
			if id, ok := x.Lookup(groups[i].labels.AppendKey(nil)); ok {
				t.Fatalf("group %d was removed and is found as %d", i, id)
			}
		}
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
			if g.gone || stations != nil && (g.labels.Station() == "" || !slices.Contains(stations, g.labels.Station())) {
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
		carried := map[string][]string{}
		for _, i := range want {
			for _, l := range groups[i].labels {
				carried[l.Name] = append(carried[l.Name], l.Value)
			}
			carried[quantrac.LabelMetric] = append(carried[quantrac.LabelMetric], groups[i].props...)
		}
		if got, want := x.Names(want), slices.Sorted(maps.Keys(carried)); !slices.Equal(got, want) {
			t.Fatalf("%v stations %q: names %v, want %v", ms, stations, got, want)
		}
		name, limit := names[rnd.IntN(len(names))], rnd.IntN(4)
		wantValues := slices.Compact(slices.Sorted(slices.Values(carried[name])))
		if limit > 0 && len(wantValues) > limit {
			wantValues = wantValues[:limit]
		}
		if got := x.Values(name, want, limit); !slices.Equal(got, wantValues) {
			t.Fatalf("%v stations %q: values of %s are %v, want %v", ms, stations, name, got, wantValues)
		}
	}
	// What is new shows among values that have been put in order.
	groups = append(groups, group{labels: quantrac.NewLabels("river", "aa")})
	x.Add(groups[len(groups)-1].labels.Key())
	if got := x.Values("river", x.Match(nil, nil), 2); !slices.Equal(got, []string{"a", "aa"}) {
		t.Errorf("with a new river there are %v", got)
	}
}

func TestEmpty(t *testing.T) {
	x := New(func(uint32) string { return "" })
	if got := x.Match(nil, nil); len(got) != 0 {
		t.Errorf("an empty index matches %v", got)
	}
	if got := append(x.Names(nil), x.Values("a", nil, 0)...); len(got) != 0 {
		t.Errorf("an empty index has %v", got)
	}
	if _, ok := x.Lookup([]byte("x")); ok {
		t.Error("an empty index knows a group")
	}
}

// What groups came and went leaves no values behind, and takes no more places.
func TestValuesComeAndGo(t *testing.T) {
	var keys []string
	x := New(func(id uint32) string { return keys[id] })
	add := func(station string) {
		keys = append(keys, quantrac.NewLabels("station", station, "area", "a").Key())
		x.AddProperty(x.Add(keys[len(keys)-1]), "p")
	}
	add("stays")
	for round := range 5 {
		first := len(keys)
		for i := range 1000 {
			add(fmt.Sprint(round, "-", i))
		}
		if got := len(x.labels["station"].ones); got != 1001 {
			t.Fatalf("round %d: %d places for 1001 stations", round, got)
		}
		for i := first; i < len(keys); i++ {
			x.Remove(uint32(i), keys[i], []string{"p"})
		}
		if got := x.Values("station", x.Match(nil, nil), 0); !slices.Equal(got, []string{"stays"}) || x.byKey.Len() != 1 {
			t.Fatalf("round %d: stations %q and %d keys are left", round, got, x.byKey.Len())
		}
	}
}

// Values come sorted whether their texts are kept or are too many for that, those of all
// groups and those of some.
func TestValuesOfAnyNumber(t *testing.T) {
	var keys, all []string
	x := New(func(id uint32) string { return keys[id] })
	grow := func(n int) {
		for len(keys) < n {
			station := fmt.Sprintf("%06d", len(keys)*7919%1_000_003)
			keys, all = append(keys, quantrac.NewLabels("area", "a", "station", station).Key()), append(all, station)
			x.Add(keys[len(keys)-1])
		}
	}
	for _, n := range []int{1, 1000, maxTexts, maxTexts + 1} {
		grow(n)
		ids := x.Match(nil, nil)
		some := ids[:n/2+1]
		for _, limit := range []int{0, 1, n} {
			for _, groups := range [][]uint32{ids, some} {
				want := slices.Sorted(slices.Values(all[:len(groups)]))
				if limit > 0 {
					want = want[:min(limit, len(want))]
				}
				got := x.Values("station", groups, limit)
				if !slices.Equal(got, want) {
					t.Errorf("%d of %d groups, at most %d: %d values, want %d, or others", len(groups), n, limit, len(got), len(want))
				}
				clear(got) // it is the caller's
			}
		}
	}
}

// TestUnionWhileGroupsCome: while the values of a label are matched, groups come and
// go; what had been there all along is found.
func TestUnionWhileGroupsCome(t *testing.T) {
	var keys []string
	x := New(func(id uint32) string { return keys[id] })
	add := func(station string) uint32 {
		keys = append(keys, quantrac.NewLabels("station", station).Key())
		return x.Add(keys[len(keys)-1])
	}
	var want []uint32
	for i := range 3 * unionPiece {
		if id := add(fmt.Sprint("s", i)); i%5 == 0 {
			want = append(want, id)
		}
	}
	asked := 0
	got := x.union("station", func(v string) bool {
		if asked++; asked%50 == 1 {
			i := asked/50*5 + 1 // one that is not wanted
			x.Remove(uint32(i), keys[i], nil)
			add(fmt.Sprint("new", asked)) // in the place of its value
		}
		var n int
		_, err := fmt.Sscanf(v, "s%d", &n)
		return err == nil && n%5 == 0
	})
	if !slices.Equal(got.ToArray(), want) {
		t.Errorf("found %v, want %v", got.ToArray(), want)
	}
	if asked < 3*unionPiece {
		t.Errorf("%d values were looked at", asked)
	}
}
