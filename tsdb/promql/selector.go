package promql

import (
	"slices"

	"quantrac"
	"quantrac/internal/params"

	"github.com/prometheus/prometheus/model/labels"
)

// Pseudo-labels of selectors.
const (
	pseudoQuality    = "__quality__"
	pseudoRevision   = "__revision__"
	pseudoAsOf       = "__asof__"
	pseudoRegistryAt = "__registry_at__"
)

// selector is a set of matchers taken apart by who can judge them.
type selector struct {
	identity []*quantrac.Matcher // labels of the stored series
	meta     []*quantrac.Matcher // metadata labels, judged by the registry

	qualities  quantrac.QualitySet // 0: the default set
	deviceOnly bool
	asOf       quantrac.Millis // 0: all that is known
	registryAt quantrac.Millis
}

// plain says whether the selector reads what everybody sees now.
func (s *selector) plain() bool {
	return (s.qualities == 0 || s.qualities == quantrac.DefaultQualities) && !s.deviceOnly && s.asOf == 0
}

// oneMetric says whether all series that pass have the same name.
func (s *selector) oneMetric() bool {
	for _, m := range s.identity {
		if m.Name == quantrac.LabelMetric && m.Kind == quantrac.MatchEqual && m.Value != "" {
			return true
		}
	}
	return false
}

// selector takes matchers apart. asOf and registryAt are those of the whole
// request; a pseudo-label of the selector overrides them.
func (v *view) selector(ms []*labels.Matcher) (selector, error) {
	s := selector{asOf: v.asOf, registryAt: v.registryAt}
	for _, m := range ms {
		var err error
		switch m.Name {
		case pseudoQuality:
			// A set is written 1,2,3; =~"1|2|3" reads the same and is taken too.
			if m.Type != labels.MatchEqual && m.Type != labels.MatchRegexp {
				return s, pseudoError(m, `write `+pseudoQuality+`="1,2,3"`)
			}
			s.qualities, err = quantrac.ParseQualitySet(m.Value)
		case pseudoRevision:
			if m.Type != labels.MatchEqual || m.Value != "device" {
				return s, pseudoError(m, `the only form is `+pseudoRevision+`="device"`)
			}
			s.deviceOnly = true
		case pseudoAsOf, pseudoRegistryAt:
			if m.Type != labels.MatchEqual {
				return s, pseudoError(m, `write `+m.Name+`="2026-11-23T07:00:00+07:00"`)
			}
			var t quantrac.Millis
			t, err = quantrac.ParseTime(m.Value)
			if m.Name == pseudoAsOf {
				s.asOf = params.Knowledge(t)
			} else {
				s.registryAt = t
			}
		default:
			var q *quantrac.Matcher
			if q, err = convert(m); q == nil {
				break
			}
			if slices.Contains(v.keys, m.Name) {
				s.meta = append(s.meta, q)
			} else {
				s.identity = append(s.identity, q)
			}
		}
		if err != nil {
			return s, quantrac.Errorf(quantrac.Invalid, "selector %s: %w", m, err)
		}
	}
	return s, nil
}

func pseudoError(m *labels.Matcher, hint string) error {
	return quantrac.Errorf(quantrac.Invalid, "selector %s: not a matcher that this pseudo-label takes; %s", m, hint)
}

// convert makes one of our matchers of one of Prometheus', nil where it lets
// everything pass. Expressions that are not really expressions become what they
// are, so that the index need not run them.
func convert(m *labels.Matcher) (*quantrac.Matcher, error) {
	kind := quantrac.MatchKind(0)
	switch m.Type {
	case labels.MatchEqual:
		kind = quantrac.MatchEqual
	case labels.MatchNotEqual:
		kind = quantrac.MatchNotEqual
	case labels.MatchRegexp, labels.MatchNotRegexp:
		equal, different := quantrac.MatchEqual, quantrac.MatchNotEqual
		kind = quantrac.MatchRegexp
		if m.Type == labels.MatchNotRegexp {
			equal, different = different, equal
			kind = quantrac.MatchNotRegexp
		}
		switch set := m.SetMatches(); {
		case m.Value == "" || len(set) == 1 && set[0] == m.Value:
			return quantrac.NewMatcher(equal, m.Name, m.Value)
		case m.Value == ".+":
			return quantrac.NewMatcher(different, m.Name, "")
		case m.Value == ".*" && m.Type == labels.MatchRegexp:
			return nil, nil
		}
	}
	return quantrac.NewMatcher(kind, m.Name, m.Value)
}

// matchEmpty says whether series without any metadata pass.
func (s *selector) matchEmpty() bool {
	return quantrac.MatchAll(nil, s.meta)
}
