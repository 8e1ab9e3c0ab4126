package promql

import (
	"context"

	"quantrac"
	"quantrac/tsdb"
)

// Selection is what one selector reads of the store, for who takes series out
// as they are stored, without evaluating anything.
type Selection struct {
	// Query has the matchers, and what the pseudo-labels say; its times are the
	// caller's to set.
	Query tsdb.Query
	r     reading
}

// Selections understands selectors, such as {river="Tiền",__quality__="all"},
// as queries do: metadata are those at the end of what is read, or at asOf where
// that is not 0 and earlier. Without any there is one that passes everything.
// Errors: Invalid.
func (a *API) Selections(selectors []string, end, asOf quantrac.Millis) ([]Selection, error) {
	if len(selectors) == 0 {
		selectors = []string{`{__name__!=""}`}
	}
	sets, aerr := a.selectors(selectors)
	if aerr != nil {
		return nil, quantrac.WithKind(quantrac.Invalid, aerr)
	}
	v := a.view(min(end, a.o.Clock.Now()), asOf)
	out := make([]Selection, len(sets))
	for i, ms := range sets {
		sel, err := v.selector(ms)
		if err != nil {
			return nil, quantrac.WithKind(quantrac.Invalid, err)
		}
		out[i] = Selection{
			Query: tsdb.Query{Matchers: sel.identity, AsOf: sel.asOf, Qualities: sel.qualities, DeviceOnly: sel.deviceOnly},
			r:     reading{view: v, sel: &sel, join: newJoiner(v.reg, sel.registryAt)},
		}
	}
	return out, nil
}

// Restrict bounds the principal in the context to the stations whose metadata
// pass; false where none is left and nothing is to be read.
func (s *Selection) Restrict(ctx context.Context) (context.Context, bool) { return s.r.restrict(ctx) }

// Wants says whether the metadata of a series pass. It is for one goroutine.
func (s *Selection) Wants(series quantrac.Labels) bool { return s.r.join.passes(series, s.r.sel.meta) }
