package tsdb

import "quantrac"

// memo knows what readings of labels that lie in memory where these do are of:
// who sends much uses the same labels again and again. It keeps them, so that
// nothing else comes to lie there.
type memo struct {
	by     map[*quantrac.Label]*knownGroup
	last   *knownGroup // the one met before
	resume *knownGroup // what came after the one before that last time, where it did not now
	hits   int         // since it was last emptied
	passes int         // label sets not to remember, as that was of no use
}

// maxRemembered bounds the label sets that an appender remembers.
const maxRemembered = 1 << 15

// find returns what is known of labels, nil for nothing. Stations report in the
// same order time after time, so it is mostly what came after the one before, or
// that one again; one that is left out, or comes between, does not change the order.
func (m *memo) find(ls quantrac.Labels) *knownGroup {
	k := m.last
	switch {
	case k == nil:
		k = m.by[&ls[0]]
	case sameSlice(ls, k.given):
	case k.next != nil && sameSlice(ls, k.next.given):
		k = k.next
	case m.resume != nil && sameSlice(ls, m.resume.given):
		k, m.resume = m.resume, nil
	default:
		k = m.by[&ls[0]]
		m.last.follow(k)
		m.resume = m.last.next
	}
	if k == nil || !sameSlice(ls, k.given) {
		return nil
	}
	m.hits++
	m.last = k
	return k
}

// follow notes that k came after the group: the second time it counts.
func (g *knownGroup) follow(k *knownGroup) {
	if g.next == nil || g.other == k {
		g.next = k
	}
	g.other = k
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
		m.by = map[*quantrac.Label]*knownGroup{}
	case len(m.by) >= maxRemembered:
		if m.hits < len(m.by) {
			m.passes = 16 * maxRemembered
		}
		m.by, m.last, m.resume, m.hits = nil, nil, nil, 0
		return m.wants()
	}
	return true
}

// add remembers labels.
func (m *memo) add(ls quantrac.Labels, k *knownGroup) {
	k.given = ls
	m.by[&ls[0]] = k
	if m.last != nil {
		m.last.follow(k)
	}
	m.last = k
}
