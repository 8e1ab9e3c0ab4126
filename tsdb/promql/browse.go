package promql

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"quantrac"
	"quantrac/tsdb"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// browsing is a request of the endpoints that list series and labels.
type browsing struct {
	a        *API
	v        *view
	from, to quantrac.Millis
	limit    int
	sets     []selector // none: all series
}

// browse reads the parameters of such a request. Metadata are those of its end,
// of today where it has none. A range that reaches the present, by the clock of
// a client that may be slow, takes in what is written ahead of it: a client that
// looks at the last hours would else not learn of a forecast before its first
// value has come.
func (a *API) browse(r *http.Request) (*browsing, *apiError) {
	b := &browsing{a: a}
	var err *apiError
	if b.limit, err = limitParam(r, "limit"); err != nil {
		return nil, err
	}
	if b.from, err = timeParam(r, "start", quantrac.MinMillis); err != nil {
		return nil, err
	}
	if b.to, err = timeParam(r, "end", quantrac.MaxMillis); err != nil {
		return nil, err
	}
	if b.to < b.from {
		return nil, badParam("end", errors.New("end timestamp must not be before start time"))
	}
	asOf, err := asOfParam(r)
	if err != nil {
		return nil, err
	}
	at, now := b.to, a.o.Clock.Now()
	if at == quantrac.MaxMillis {
		at = now
	}
	b.v = a.view(at, asOf)
	if b.to >= now.Add(-quantrac.MaxAhead) {
		b.to = quantrac.MaxMillis // what is forecast is there now, and lies ahead
	}
	sets, err := a.matchParams(r)
	if err != nil {
		return nil, err
	}
	if len(sets) == 0 && asOf != 0 {
		sets = [][]*labels.Matcher{nil}
	}
	for _, ms := range sets {
		s, err := b.v.selector(ms)
		if err != nil {
			return nil, badParam("match[]", err)
		}
		b.sets = append(b.sets, s)
	}
	return b, nil
}

// each calls one of the functions for every selector: index where the store's
// index can answer it from the context and matchers given, listed with the
// identity labels of the series that pass where each must be looked at.
func (b *browsing) each(ctx context.Context,
	index func(ctx context.Context, ms []*quantrac.Matcher, j *joiner) error,
	listed func(ids []quantrac.Labels, j *joiner) error,
) error {
	sets := b.sets
	if len(sets) == 0 {
		sets = []selector{{registryAt: b.v.registryAt}}
	}
	for i := range sets {
		r := &reading{view: b.v, sel: &sets[i], join: newJoiner(b.v.reg, sets[i].registryAt)}
		ctx, ok := r.restrict(ctx)
		if !ok {
			continue
		}
		var err error
		if index != nil && r.sel.plain() && (len(r.sel.meta) == 0 || !r.sel.matchEmpty()) {
			err = index(ctx, r.sel.identity, r.join)
		} else {
			var ids []quantrac.Labels
			if ids, err = r.identities(ctx, b.from, b.to); err == nil {
				err = listed(ids, r.join)
			}
		}
		if err != nil {
			return storeError{err}
		}
	}
	return ctx.Err()
}

// identities returns the series that pass and have something to show from from
// to to. What was known earlier, or is of other qualities, only the samples can
// tell.
func (r *reading) identities(ctx context.Context, from, to quantrac.Millis) ([]quantrac.Labels, error) {
	var ids []quantrac.Labels
	if r.sel.plain() {
		all, err := r.store.Series(ctx, r.sel.identity, from, to)
		if err != nil {
			return nil, err
		}
		for _, id := range all {
			if r.join.passes(id, r.sel.meta) {
				ids = append(ids, id)
			}
		}
	} else {
		q := tsdb.Query{
			Matchers: r.sel.identity, From: from, To: to,
			AsOf: r.sel.asOf, Qualities: r.sel.qualities, DeviceOnly: r.sel.deviceOnly,
		}
		for s, err := range r.store.Select(ctx, q) {
			if err != nil {
				return nil, err
			}
			if r.join.passes(s.Labels, r.sel.meta) {
				ids = append(ids, s.Labels)
			}
		}
	}
	return ids, r.spend(len(ids), 0)
}

func (a *API) labelNames(r *http.Request) (answer, *apiError) {
	b, err := a.browse(r)
	if err != nil {
		return answer{}, err
	}
	ctx, release, err := a.enter(r.Context(), 0)
	if err != nil {
		return answer{}, err
	}
	defer release()
	var got gathered
	e := b.each(ctx, func(ctx context.Context, ms []*quantrac.Matcher, j *joiner) error {
		names, err := a.store.LabelNames(ctx, ms, b.from, b.to)
		if err != nil {
			return err
		}
		got.add(names)
		if len(b.v.keys) == 0 {
			return nil
		}
		stations, err := a.store.LabelValues(ctx, quantrac.LabelStation, ms, b.from, b.to, 0)
		set := map[string]bool{}
		for _, s := range stations {
			for _, l := range j.metadata(s) {
				set[l.Name] = true
			}
		}
		got.addSet(set)
		return err
	}, func(ids []quantrac.Labels, j *joiner) error {
		set := map[string]bool{}
		for _, id := range ids {
			for _, l := range id {
				set[l.Name] = true
			}
			for _, l := range j.metadata(id.Station()) {
				set[l.Name] = true
			}
		}
		got.addSet(set)
		return nil
	})
	if e != nil {
		return answer{}, a.classify(e)
	}
	return got.answer(b.limit), nil
}

func (a *API) labelValues(r *http.Request) (answer, *apiError) {
	name := r.PathValue("name")
	if strings.HasPrefix(name, "U__") {
		name = model.UnescapeName(name, model.ValueEncodingEscaping)
	}
	if !model.UTF8Validation.IsValidLabelName(name) {
		return answer{}, &apiError{badData, fmt.Errorf("invalid label name: %q", name)}
	}
	b, err := a.browse(r)
	if err != nil {
		return answer{}, err
	}
	ctx, release, err := a.enter(r.Context(), 0)
	if err != nil {
		return answer{}, err
	}
	defer release()
	var got gathered
	joined := slices.Contains(b.v.keys, name)
	e := b.each(ctx, func(ctx context.Context, ms []*quantrac.Matcher, j *joiner) error {
		if joined {
			stations, err := a.store.LabelValues(ctx, quantrac.LabelStation, ms, b.from, b.to, 0)
			set := map[string]bool{}
			for _, s := range stations {
				set[j.metadata(s).Get(name)] = true
			}
			got.addSet(set)
			return err
		}
		limit := 0
		if b.limit > 0 {
			limit = b.limit + 1 // one more tells that there are more
		}
		values, err := a.store.LabelValues(ctx, name, ms, b.from, b.to, limit)
		got.add(values)
		return err
	}, func(ids []quantrac.Labels, j *joiner) error {
		set := map[string]bool{}
		for _, id := range ids {
			if joined {
				set[j.metadata(id.Station()).Get(name)] = true
			} else {
				set[id.Get(name)] = true
			}
		}
		got.addSet(set)
		return nil
	})
	if e != nil {
		return answer{}, a.classify(e)
	}
	return got.answer(b.limit), nil
}

func (a *API) series(r *http.Request) (answer, *apiError) {
	if len(r.Form["match[]"]) == 0 {
		return answer{}, &apiError{badData, errors.New("no match[] parameter provided")}
	}
	b, err := a.browse(r)
	if err != nil {
		return answer{}, err
	}
	ctx, release, err := a.enter(r.Context(), 0)
	if err != nil {
		return answer{}, err
	}
	defer release()
	var list []labels.Labels
	e := b.each(ctx, nil, func(ids []quantrac.Labels, j *joiner) error {
		for _, id := range ids {
			list = append(list, j.join(id))
		}
		return nil
	})
	if e != nil {
		return answer{}, a.classify(e)
	}
	slices.SortFunc(list, labels.Compare)
	list = slices.CompactFunc(list, labels.Equal)
	var ans answer
	if b.limit > 0 && len(list) > b.limit {
		list, ans.warnings = list[:b.limit], []string{truncatedWarning}
	}
	ans.data = func(w *writer) {
		w.raw("[")
		for i, ls := range list {
			if i > 0 {
				w.raw(",")
			}
			w.labels(ls)
		}
		w.raw("]")
	}
	return ans, nil
}
