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
	reg  Registry
	at   quantrac.Millis
	last struct { // asked for
		station string
		labels  quantrac.Labels
	}
	b labels.ScratchBuilder
	// labels is where merged sets are made; they are not moved.
	labels quantrac.Labels
}

func newJoiner(reg Registry, at quantrac.Millis) *joiner {
	return &joiner{reg: reg, at: at, b: labels.NewScratchBuilder(16)}
}

// metadata returns the metadata labels of a station. Of one series they are
// asked for several times.
func (j *joiner) metadata(station string) quantrac.Labels {
	switch station {
	case "":
		return nil
	case j.last.station:
		return j.last.labels
	}
	j.last.station, j.last.labels = station, j.reg.Labels(station, j.at)
	return j.last.labels
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

// merged is join for the native paths: a set of ours, with the name or without.
func (j *joiner) merged(id quantrac.Labels, nameless bool) quantrac.Labels {
	meta := j.metadata(id.Station())
	if len(meta) == 0 && !nameless {
		return id
	}
	if n := len(id) + len(meta); cap(j.labels)-len(j.labels) < n {
		j.labels = make(quantrac.Labels, 0, max(min(2*cap(j.labels), 1024), 64, n))
	}
	from := len(j.labels)
	for len(id) > 0 || len(meta) > 0 {
		var l quantrac.Label
		switch {
		case len(meta) == 0 || len(id) > 0 && id[0].Name < meta[0].Name:
			l, id = id[0], id[1:]
		case len(id) > 0 && id[0].Name == meta[0].Name:
			id = id[1:] // the registry's follows
			continue
		default:
			l, meta = meta[0], meta[1:]
		}
		if !nameless || !reservedName(l.Name) {
			j.labels = append(j.labels, l)
		}
	}
	return j.labels[from:len(j.labels):len(j.labels)]
}

// clashes says whether a series has a stored label that is the registry's, so
// that two series might become one.
func (j *joiner) clashes(id quantrac.Labels) bool {
	meta := j.metadata(id.Station())
	for _, l := range id {
		for len(meta) > 0 && meta[0].Name < l.Name {
			meta = meta[1:]
		}
		if len(meta) > 0 && meta[0].Name == l.Name {
			return true
		}
	}
	return false
}

// engineLabels turns labels of ours into the engine's.
func engineLabels(ls quantrac.Labels) labels.Labels {
	b := labels.NewScratchBuilder(len(ls))
	for _, l := range ls {
		b.Add(l.Name, l.Value)
	}
	return b.Labels()
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
