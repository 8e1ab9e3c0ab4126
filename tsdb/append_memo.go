package tsdb

import "quantrac"

// memo knows what readings of labels that lie in memory where these do are of:
// who sends much uses the same labels again and again. It keeps them, so that
// nothing else comes to lie there.
type memo struct {
	by     map[*quantrac.Label]remembered
	hits   int // since it was last emptied
	passes int // label sets not to remember, as that was of no use
}

type remembered struct {
	labels quantrac.Labels
	*knownGroup
}

// maxRemembered bounds the label sets that an appender remembers.
const maxRemembered = 1 << 15

// find returns what is known of labels, nil for nothing.
func (m *memo) find(ls quantrac.Labels) *knownGroup {
	r, ok := m.by[&ls[0]]
	if !ok || !sameSlice(ls, r.labels) {
		return nil
	}
	m.hits++
	return r.knownGroup
}

// wants says whether labels that are not known should be added. When there are
// too many all are forgotten; where they came once each, as of a million series in
// turn, nothing is remembered for a while.
func (m *memo) wants() bool {
	switch {
	case m.passes > 0:
		m.passes--
		return false
	case m.by == nil:
		m.by = map[*quantrac.Label]remembered{}
	case len(m.by) >= maxRemembered:
		if m.hits < len(m.by) {
			m.passes = 16 * maxRemembered
		}
		m.by, m.hits = nil, 0
		return m.wants()
	}
	return true
}

// add remembers labels.
func (m *memo) add(ls quantrac.Labels, k *knownGroup) { m.by[&ls[0]] = remembered{ls, k} }
