package promql

import (
	"context"
	"slices"

	"quantrac"

	"github.com/prometheus/prometheus/model/labels"
)

// joiner adds metadata to label sets, as of one instant. It keeps what it has
// looked up, for one query and one goroutine.
type joiner struct {
	reg   Registry
	at    quantrac.Millis
	known map[string]quantrac.Labels // by station
	b     labels.ScratchBuilder
}

func newJoiner(reg Registry, at quantrac.Millis) *joiner {
	return &joiner{reg: reg, at: at, known: map[string]quantrac.Labels{}, b: labels.NewScratchBuilder(16)}
}

// metadata returns the metadata labels of a station.
func (j *joiner) metadata(station string) quantrac.Labels {
	if station == "" {
		return nil
	}
	ls, ok := j.known[station]
	if !ok {
		ls = j.reg.Labels(station, j.at)
		j.known[station] = ls
	}
	return ls
}

// join returns a series' labels with its station's metadata, as the engine
// wants them. The registry wins over a stored label of a reserved name, which
// the store should not have let in.
func (j *joiner) join(id quantrac.Labels) labels.Labels {
	meta := j.metadata(id.Station())
	j.b.Reset()
	for len(id) > 0 && len(meta) > 0 {
		switch {
		case id[0].Name < meta[0].Name:
			j.b.Add(id[0].Name, id[0].Value)
			id = id[1:]
		case id[0].Name == meta[0].Name:
			id = id[1:]
		default:
			j.b.Add(meta[0].Name, meta[0].Value)
			meta = meta[1:]
		}
	}
	for _, l := range append(id[:len(id):len(id)], meta...) {
		j.b.Add(l.Name, l.Value)
	}
	return j.b.Labels()
}

// passes says whether a series' metadata pass.
func (j *joiner) passes(id quantrac.Labels, ms []*quantrac.Matcher) bool {
	return len(ms) == 0 || quantrac.MatchAll(j.metadata(id.Station()), ms)
}

// root turns labels of the engine into ours.
func root(ls labels.Labels) quantrac.Labels {
	out := make(quantrac.Labels, 0, ls.Len())
	ls.Range(func(l labels.Label) { out = append(out, quantrac.Label{Name: l.Name, Value: l.Value}) })
	return out
}

// Identity returns a label set less the metadata labels that queries join to
// it: what tells one series from another, whatever commune it lies in today.
func (a *API) Identity(ls quantrac.Labels) quantrac.Labels { return ls.Without(a.reg.Keys()...) }

// within bounds the principal in the context to stations, among those it may
// see; false where none is left. The store intersects a principal's stations in
// the index, which no regular expression over thousands of names could match.
func within(ctx context.Context, stations []string) (context.Context, bool) {
	p := quantrac.PrincipalFrom(ctx)
	set := make(map[string]bool, len(stations))
	for _, s := range stations {
		set[s] = p.Stations == nil
	}
	for _, s := range p.Stations {
		if _, ok := set[s]; ok {
			set[s] = true
		}
	}
	p.Stations = make([]string, 0, len(set))
	for s, ok := range set {
		if ok {
			p.Stations = append(p.Stations, s)
		}
	}
	slices.Sort(p.Stations)
	return quantrac.WithPrincipal(ctx, p), len(p.Stations) > 0
}
