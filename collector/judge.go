package collector

import (
	"cmp"
	"slices"

	"quantrac"
	"quantrac/collector/qc"
)

// judgement is quality control over one batch. It works on copies of what is
// remembered of the series; remember keeps them, once the batch is durable.
type judgement struct {
	in     *intake
	series map[seriesKey]*judged
	flags  [len(qc.All)]int
	late   int
}

// judged is a series in a batch: its memory, and its newest cell in it so far,
// on which the spike test may yet speak.
type judged struct {
	recent qc.Recent
	last   *quantrac.Cell
}

// judge gives every cell of the batch its quality. Rows are judged in the order
// of their times, which is not always the order in which they come; the batch
// keeps its own order.
func (in *intake) judge() *judgement {
	j := &judgement{in: in, series: map[seriesKey]*judged{}}
	order := make([]int, len(in.batch.Rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(in.batch.Rows[a].Time, in.batch.Rows[b].Time)
	})
	b, ok := in.s.c.registry.Binding(in.s.device)
	if !ok {
		return j // taken out of the registry a moment ago: not evaluated
	}
	for _, i := range order {
		j.row(b, &in.batch.Rows[i], in.ahead[i])
	}
	return j
}

func (j *judgement) row(b *quantrac.Binding, r *quantrac.Row, ahead bool) {
	extra := ""
	if len(r.Group) > len(b.Group) {
		extra = r.Group.Key()
	}
	for i := range r.Cells {
		c := &r.Cells[i]
		p, ok := b.Properties[c.Property]
		if !ok {
			continue
		}
		if ahead { // the store fails it; it must not disturb what comes in its time
			j.say(c, qc.Judge(&p, nil, r.Time, c.Value))
			continue
		}
		s := j.memory(seriesKey{c.Property, extra})
		v := qc.Judge(&p, &s.recent, r.Time, c.Value)
		j.before(s, v.Before)
		j.say(c, v)
		if !v.Late {
			s.last = c
		}
	}
}

func (j *judgement) memory(key seriesKey) *judged {
	s := j.series[key]
	if s == nil {
		s = &judged{}
		if kept := j.in.s.recent[key]; kept != nil {
			s.recent = *kept
		}
		j.series[key] = s
	}
	return s
}

func (j *judgement) say(c *quantrac.Cell, v qc.Verdict) {
	if c.Quality == quantrac.Missing {
		return
	}
	c.Quality = v.Quality
	v.Flagged.Count(&j.flags)
}

// before works the spike test's verdict on the value before into the batch. A
// value that is durable already keeps its quality: a quality alone is no
// revision.
func (j *judgement) before(s *judged, q quantrac.Quality) {
	switch {
	case q == quantrac.NotEvaluated:
	case s.last == nil:
		if q == quantrac.Suspect {
			j.late++
		}
	case q == quantrac.Suspect && s.last.Quality != quantrac.Fail:
		s.last.Quality = quantrac.Suspect
		qc.Spike.Count(&j.flags)
	case s.last.Quality == quantrac.NotEvaluated:
		s.last.Quality = q
	}
}

func (j *judgement) remember() {
	for key, s := range j.series {
		kept := s.recent
		j.in.s.recent[key] = &kept
	}
	m := j.in.s.c.metrics
	m.flagged(&j.flags)
	m.lateSpikes.Add(float64(j.late))
}

// count enters a durable batch into the metrics.
func (in *intake) count() {
	var values [quantrac.Missing + 1]int
	for i := range in.batch.Rows {
		for _, c := range in.batch.Rows[i].Cells {
			values[min(c.Quality, quantrac.Missing)]++
		}
	}
	m := in.s.c.metrics
	m.durable(len(in.batch.Rows), values, &in.receipt)
	m.quarantined.Add(float64(in.held))
	m.strings.Add(float64(in.strings))
	for i := range in.letters {
		m.letters[in.letters[i].Kind].Inc()
	}
}
