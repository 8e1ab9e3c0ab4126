package mqtt

import (
	"strings"

	"quantrac/collector/mqtt/packet"
)

// routes finds the subscriptions that match a topic. Filters without a wildcard
// are found by the topic; there are few distinct filters with one, and each is
// looked at.
type routes struct {
	exact map[string]map[*session]packet.Filter
	wild  map[string]map[*session]packet.Filter
}

func newRoutes() routes {
	return routes{exact: map[string]map[*session]packet.Filter{}, wild: map[string]map[*session]packet.Filter{}}
}

func (r *routes) table(filter string) map[string]map[*session]packet.Filter {
	if strings.ContainsAny(filter, "+#") {
		return r.wild
	}
	return r.exact
}

func (r *routes) add(s *session, f packet.Filter) {
	t := r.table(f.Filter)
	if t[f.Filter] == nil {
		t[f.Filter] = map[*session]packet.Filter{}
	}
	t[f.Filter][s] = f
}

func (r *routes) remove(s *session, filter string) {
	t := r.table(filter)
	delete(t[filter], s)
	if len(t[filter]) == 0 {
		delete(t, filter)
	}
}

// drop removes every subscription of a session.
func (r *routes) drop(s *session) {
	for filter := range s.subs {
		r.remove(s, filter)
	}
}

// target is what one subscriber gets of a message: once, however many of its
// filters match, at the highest QoS of them.
type target struct {
	qos    byte
	retain bool // keep the retain flag
}

func (r *routes) match(topic string, from *session) map[*session]target {
	var out map[*session]target
	add := func(subs map[*session]packet.Filter) {
		for s, f := range subs {
			if f.NoLocal && s == from {
				continue
			}
			if out == nil {
				out = map[*session]target{}
			}
			t := out[s]
			out[s] = target{max(t.qos, f.QoS), t.retain || f.RetainAsPublished}
		}
	}
	add(r.exact[topic])
	for filter, subs := range r.wild {
		if covers(filter, topic) {
			add(subs)
		}
	}
	return out
}
